"""How actions and grants are stored.

What was asked (arguments, content, nonce, resource, the words of agent and policy about it) is payload. `content` is
searched by its blinded form, because arguments may be guessable. `due_at` is when a live action runs out.
"""

from datetime import datetime
from decimal import Decimal

from assent.core.actions import Action, ActionState, Impact, Outcome, RedeemedBy, can_be_found_again
from assent.core.budgets import BudgetId, Reservation
from assent.core.grants import Grant, GrantState
from assent.core.reasons import Reason
from assent.stores.packing import Value, pack, unpack
from assent.stores.rows.moments import moment, moment_or_none, stamp, stamp_or_none
from assent.stores.rows.table import Facts, Split, Stored, Table, hexed, unhexed
from assent.stores.sealing import LedgerKeys

CONTENT = "content"


def _split_action(action: Action, keys: LedgerKeys) -> Split:
    columns = (
        action.id,
        action.revision,
        action.agent,
        action.tool,
        action.environment,
        action.state.value,
        action.run_id,
        action.call_id,
        action.idempotency_key,
        keys.blind(CONTENT, action.content) if _is_searched(action) else None,
        stamp_or_none(action.decided_at) if action.decided_by_human else None,
        stamp_or_none(_due_at(action)),
    )
    return columns, _action_facts(action), _action_payload(action)


def _is_searched(action: Action) -> bool:
    # Only what an ask without a call id may still mean: a loop that reads a thousand times is not searched again.
    return action.run_id is not None and action.call_id is None and can_be_found_again(action)


def _due_at(action: Action) -> datetime | None:
    if action.state is ActionState.READY:
        return action.pick_up_until
    return action.lease_expires_at if action.state is ActionState.EXECUTING else None


def _action_facts(action: Action) -> dict[str, object]:
    always: dict[str, object] = {
        "key": action.key,
        "definition": action.definition,
        "impact": action.impact.value,
        "created_at": stamp(action.created_at),
        "digest": action.digest,
        "redeemed_by": action.redeemed_by.value,
        "policy_version": action.policy_version,
        "record_id": action.record_id,
    }
    sometimes = {
        "resource_is_public": action.resource_is_public,
        "sensitive": action.sensitive,
        "opaque": action.opaque,
        "on_behalf_of": action.on_behalf_of,
        "rules": action.rules,
        "decided_by_human": action.decided_by_human,
        "decided_at": stamp_or_none(action.decided_at),
        "attempt": hexed(action.attempt),
        "pick_up_until": stamp_or_none(action.pick_up_until),
        "lease_expires_at": stamp_or_none(action.lease_expires_at),
        "outcome": None if action.outcome is None else _outcome_facts(action.outcome),
        "probe_of": action.probe_of,
        "erased_by": action.erased_by,
    }
    return always | {name: fact for name, fact in sometimes.items() if fact}


def _outcome_facts(outcome: Outcome) -> dict[str, object]:
    return {
        "status": outcome.status.value,
        "at": stamp(outcome.at),
        "reported": outcome.reported,
        "duration_ms": outcome.duration_ms,
        "result_digest": outcome.result_digest,
    }


def _action_payload(action: Action) -> tuple[Value, ...]:
    return (
        action.arguments,
        action.content,
        action.nonce,
        action.resource,
        action.how_bad,
        action.undo,
        action.reason,
        action.context,
        pack([part for reason in action.reasons for part in (reason.code, reason.message)]),
        None if action.outcome is None else action.outcome.error,
        *_later(action),
    )


def _later(action: Action) -> tuple[bytes, ...]:
    """Return what came to the payload later, as far as there is any; what stands before the last of it is empty."""
    if action.command:
        return _pack_reserved(action), pack(action.command)
    return (_pack_reserved(action),) if action.reserved else ()


def _pack_reserved(action: Action) -> bytes:
    return pack(part for one in action.reserved for part in (one.budget, one.place, str(one.amount)))


def _join_reserved(packed: Value) -> tuple[Reservation, ...]:
    parts = [str(part) for part in unpack(packed)] if isinstance(packed, bytes) else []
    held = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    return tuple(Reservation(BudgetId(budget), int(place), Decimal(amount)) for budget, place, amount in held)


def _join_command(packed: Value) -> tuple[str, ...]:
    return tuple(str(part) for part in unpack(packed)) if isinstance(packed, bytes) else ()


def _join_action(stored: Stored) -> Action:
    columns, facts = stored.columns, stored.facts
    arguments, content, nonce, resource, how_bad, undo, words, context, reasons, error, *more = stored.payload
    return Action(
        id=columns["id"],
        revision=columns["revision"],
        agent=columns["agent"],
        tool=columns["tool"],
        environment=columns["environment"],
        state=ActionState(columns["state"]),
        run_id=columns["run_id"],
        call_id=columns["call_id"],
        idempotency_key=columns["idempotency_key"],
        arguments=arguments,
        content=content,
        nonce=nonce,
        resource=resource,
        how_bad=how_bad,
        undo=undo,
        reason=words,
        context=context,
        reasons=_join_reasons(reasons),
        key=facts["key"],
        definition=facts["definition"],
        impact=Impact(facts["impact"]),
        created_at=moment(facts["created_at"]),
        digest=facts["digest"],
        resource_is_public=facts.get("resource_is_public", False),
        redeemed_by=RedeemedBy(facts["redeemed_by"]),
        sensitive=tuple(facts.get("sensitive", ())),
        opaque=tuple(facts.get("opaque", ())),
        on_behalf_of=tuple(facts.get("on_behalf_of", ())),
        rules=tuple(facts.get("rules", ())),
        policy_version=facts["policy_version"],
        record_id=facts["record_id"],
        decided_by_human=facts.get("decided_by_human", False),
        decided_at=moment_or_none(facts.get("decided_at")),
        attempt=unhexed(facts.get("attempt")),
        pick_up_until=moment_or_none(facts.get("pick_up_until")),
        lease_expires_at=moment_or_none(facts.get("lease_expires_at")),
        outcome=_join_outcome(facts["outcome"], error) if "outcome" in facts else None,
        probe_of=tuple(facts.get("probe_of", ())),
        erased_by=facts.get("erased_by", ""),
        reserved=_join_reserved(more[0]) if more else (),
        command=_join_command(more[1]) if len(more) > 1 else (),
    )


def _join_reasons(packed: bytes) -> tuple[Reason, ...]:
    parts = [str(part) for part in unpack(packed)]
    return tuple(Reason(code, message) for code, message in zip(parts[::2], parts[1::2], strict=True))


def _join_outcome(facts: Facts, error: str | None) -> Outcome:
    return Outcome(
        status=ActionState(facts["status"]),
        at=moment(facts["at"]),
        reported=facts["reported"],
        duration_ms=facts["duration_ms"],
        error=error,
        result_digest=facts["result_digest"],
    )


ACTIONS: Table[Action] = Table(
    name="action",
    columns=(
        "id",
        "revision",
        "agent",
        "tool",
        "environment",
        "state",
        "run_id",
        "call_id",
        "idempotency_key",
        "content",
        "answered_at",
        "due_at",
    ),
    split=_split_action,
    join=_join_action,
)


def _split_grant(grant: Grant, _keys: LedgerKeys) -> Split:
    facts: dict[str, object] = {
        "agent": grant.agent,
        "tool": grant.tool,
        "digest": grant.digest,
        "redeemed_by": grant.redeemed_by.value,
        "issued_at": stamp(grant.issued_at),
        "expires_at": stamp(grant.expires_at),
        "attempt": hexed(grant.attempt),
        "spent_at": stamp_or_none(grant.spent_at),
    }
    return (grant.id, grant.revision, grant.action, grant.state.value), facts, ()


def _join_grant(stored: Stored) -> Grant:
    columns, facts = stored.columns, stored.facts
    return Grant(
        id=columns["id"],
        revision=columns["revision"],
        action=columns["action"],
        state=GrantState(columns["state"]),
        agent=facts["agent"],
        tool=facts["tool"],
        digest=facts["digest"],
        redeemed_by=RedeemedBy(facts["redeemed_by"]),
        issued_at=moment(facts["issued_at"]),
        expires_at=moment(facts["expires_at"]),
        attempt=unhexed(facts["attempt"]),
        spent_at=moment_or_none(facts["spent_at"]),
    )


GRANTS: Table[Grant] = Table(
    name="grant", columns=("id", "revision", "action", "state"), split=_split_grant, join=_join_grant
)
