"""Actions: what is asked, the facts that the catalogue derived from it, and its life.

The arguments are kept as one canonical byte string from the ask to the run: those bytes are judged, shown, bound by
the grant and executed. An action is runnable only for the attempt that holds it.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from hmac import compare_digest
from typing import NewType

from assent.core.agents import AgentId
from assent.core.budgets import Reservation
from assent.core.canonical import Json, canonical_of_ours, digest, load
from assent.core.credentials import CredentialId
from assent.core.errors import IllegalMove
from assent.core.reasons import Reason
from assent.core.refusals import REFUSALS
from assent.core.values import made_quickly

ActionId = NewType("ActionId", str)
RunId = NewType("RunId", str)


class Impact(StrEnum):
    """What a tool does to the world."""

    READ = "read"
    WRITE = "write"
    DESTRUCTIVE = "destructive"


class RedeemedBy(StrEnum):
    """Who redeems the grant: the agent itself, or the tool's own service."""

    AGENT = "agent"
    TOOL = "tool"


class ActionState(StrEnum):
    """Where an action is in its life."""

    DENIED = "denied"
    PENDING = "pending"
    READY = "ready"
    EXECUTING = "executing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"
    LAPSED = "lapsed"
    REVOKED = "revoked"
    CANCELLED = "cancelled"


class ActionEvent(StrEnum):
    """What can happen to an action after it was decided."""

    APPROVE = "approve"
    DENY = "deny"
    EXPIRE = "expire"
    CANCEL = "cancel"
    REDEEM = "redeem"
    LAPSE = "lapse"
    REVOKE = "revoke"
    SUCCEED = "succeed"
    FAIL = "fail"
    LOSE_TRACK = "lose_track"
    PUT_BACK = "put_back"


_S, _E = ActionState, ActionEvent
MOVES: dict[tuple[ActionState, ActionEvent], ActionState] = {
    (_S.PENDING, _E.APPROVE): _S.READY,
    (_S.PENDING, _E.DENY): _S.DENIED,
    (_S.PENDING, _E.EXPIRE): _S.DENIED,
    (_S.PENDING, _E.CANCEL): _S.CANCELLED,
    (_S.READY, _E.REDEEM): _S.EXECUTING,
    (_S.READY, _E.LAPSE): _S.LAPSED,
    (_S.READY, _E.REVOKE): _S.REVOKED,
    (_S.READY, _E.CANCEL): _S.CANCELLED,
    (_S.EXECUTING, _E.SUCCEED): _S.SUCCEEDED,
    (_S.EXECUTING, _E.FAIL): _S.FAILED,
    (_S.EXECUTING, _E.LOSE_TRACK): _S.UNKNOWN,
    # The ledger was put back to when this was open: what became of it since, nobody can say any more.
    (_S.PENDING, _E.PUT_BACK): _S.UNKNOWN,
    (_S.READY, _E.PUT_BACK): _S.UNKNOWN,
    (_S.EXECUTING, _E.PUT_BACK): _S.UNKNOWN,
    # The lease ran out unheard, then the holder's report arrived after all: knowing beats not knowing. Nothing can run
    # again on either side of this move, and `report` lets only the holding attempt make it.
    (_S.UNKNOWN, _E.SUCCEED): _S.SUCCEEDED,
    (_S.UNKNOWN, _E.FAIL): _S.FAILED,
}
DID_NOT_RUN = frozenset({_S.DENIED, _S.LAPSED, _S.REVOKED, _S.CANCELLED})
ENDED = frozenset({_S.DENIED, _S.SUCCEEDED, _S.FAILED, _S.UNKNOWN, _S.LAPSED, _S.REVOKED, _S.CANCELLED})


class Runs(StrEnum):
    """Where the argument vector of a tool that is a program comes from."""

    COMMAND = "command"
    ARGV = "argv"


@made_quickly
@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What the catalogue made of one request: validated arguments and the facts derived from them.

    `arguments` are canonical bytes; `definition` is the hex digest of the tool's catalogue entry; `how_bad` and
    `undo` are the rendered templates; `sensitive` names arguments that never leave the payload store, `opaque` those
    of them that cannot change what happens. `command` is the argument vector to execute, where the catalogue has one:
    it follows from definition and arguments, so that a digest binds it too.
    """

    tool: str
    definition: str
    impact: Impact
    arguments: bytes
    resource: str
    environment: str
    nonproduction: bool
    redeemed_by: RedeemedBy = RedeemedBy.AGENT
    resource_is_public: bool = False
    sensitive: tuple[str, ...] = ()
    how_bad: str = ""
    undo: str = ""
    opaque: tuple[str, ...] = ()
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of the run, in the agent's own word; `status` is succeeded, failed or unknown."""

    status: ActionState
    at: datetime
    reported: bool
    duration_ms: int | None = None
    error: str | None = None
    result_digest: str | None = None


@made_quickly
@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One concrete ask and everything that was decided about it.

    Payload (encrypted at rest, never in a record's leaf): `arguments`, `nonce`, `resource`, `reason`, `context`,
    `how_bad`, `undo`, `command` and the outcome's `error`. `content` is SHA-256 over what was asked, to find the action
    again. `attempt` is the SHA-256 of the attempt that holds it. `decided_by_human` is true once an approval was
    needed. `opaque` are those of the `sensitive` arguments that cannot change what happens. `probe_of` are the
    half-open breakers that it takes a place in; `reserved` is what it holds of budgets (payload). `command` is the
    argument vector to execute, where the tool is a program; it follows from definition and arguments, so that the
    digest binds it. `erased_by` is the record that says that its payload is gone.
    """

    id: ActionId
    agent: AgentId
    key: CredentialId
    tool: str
    definition: str
    impact: Impact
    environment: str
    state: ActionState
    created_at: datetime
    arguments: bytes
    content: bytes
    nonce: bytes
    digest: str
    resource: str = ""
    resource_is_public: bool = False
    redeemed_by: RedeemedBy = RedeemedBy.AGENT
    sensitive: tuple[str, ...] = ()
    how_bad: str = ""
    undo: str = ""
    reason: str = ""
    context: bytes = b""
    run_id: RunId | None = None
    call_id: str | None = None
    idempotency_key: str | None = None
    on_behalf_of: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()
    rules: tuple[str, ...] = ()
    policy_version: str = ""
    record_id: str = ""
    decided_by_human: bool = False
    revision: int = 1
    decided_at: datetime | None = None
    attempt: bytes | None = None
    pick_up_until: datetime | None = None
    lease_expires_at: datetime | None = None
    outcome: Outcome | None = None
    opaque: tuple[str, ...] = ()
    probe_of: tuple[str, ...] = ()
    reserved: tuple[Reservation, ...] = ()
    command: tuple[str, ...] = ()
    erased_by: str = ""

    @property
    def to_be_revealed(self) -> tuple[str, ...]:
        """The sensitive arguments that whoever says yes must have seen."""
        return tuple(name for name in self.sensitive if name not in self.opaque)


def action_digest(*, agent: str, proposal: Proposal, nonce: bytes) -> str:
    """Return the hex SHA-256 that a grant binds: nonce and canonical (agent, tool, definition, arguments, …)."""
    facts: Json = {
        "agent": agent,
        "tool": proposal.tool,
        "definition": proposal.definition,
        "resource": proposal.resource,
        "environment": proposal.environment,
    }
    return digest("assent/action/v1", nonce, canonical_of_ours(facts), proposal.arguments).hex()


def is_same_action(action: Action, proposal: Proposal) -> bool:
    """Whether `proposal` is what `action` was: every fact that its digest binds."""
    return compare_digest(action.digest, action_digest(agent=action.agent, proposal=proposal, nonce=action.nonce))


def content_of(*, agent: str, tool: str, arguments: bytes, on_behalf_of: tuple[str, ...]) -> bytes:
    """Return SHA-256 over what was asked and for whom; equal content means the same ask."""
    named = canonical_of_ours({"agent": agent, "tool": tool, "on_behalf_of": list(on_behalf_of)})
    return digest("assent/content/v1", named, arguments)


def attempt_of(secret: str) -> bytes:
    """Return what the ledger keeps of an attempt: SHA-256, so that reading the ledger gives nobody the attempt."""
    return digest("assent/attempt/v1", secret.encode())


def move(action: Action, event: ActionEvent) -> ActionState:
    """Return the state that `event` leads to.

    Raises:
        IllegalMove: the table holds no such move; terminal states have none.

    """
    try:
        return MOVES[action.state, event]
    except KeyError:
        raise IllegalMove(f"an action that is `{action.state}` cannot `{event}`") from None


def approve(action: Action, *, now: datetime, pick_up_until: datetime) -> Action:
    """Return `action` ready to be picked up until `pick_up_until`."""
    state = move(action, ActionEvent.APPROVE)
    return replace(action, state=state, decided_at=now, pick_up_until=pick_up_until, revision=action.revision + 1)


def end(action: Action, event: ActionEvent, reason: Reason, *, now: datetime) -> Action:
    """Return `action` ended without having run: denied, expired, cancelled, lapsed or revoked, for `reason`."""
    state = move(action, event)
    return replace(
        action,
        state=state,
        reasons=(*action.reasons, reason),
        decided_at=action.decided_at or now,
        pick_up_until=None,
        revision=action.revision + 1,
    )


def start(action: Action, *, attempt: bytes, lease_expires_at: datetime) -> Action:
    """Return `action` executing, held by `attempt` until the lease ends."""
    state = move(action, ActionEvent.REDEEM)
    return replace(
        action,
        state=state,
        attempt=attempt,
        pick_up_until=None,
        lease_expires_at=lease_expires_at,
        revision=action.revision + 1,
    )


_REPORTED = {
    ActionState.SUCCEEDED: ActionEvent.SUCCEED,
    ActionState.FAILED: ActionEvent.FAIL,
    ActionState.UNKNOWN: ActionEvent.LOSE_TRACK,
}


def report(action: Action, outcome: Outcome) -> Action:
    """Return `action` ended with `outcome`.

    The caller must have checked that the reporting attempt holds the action.

    Raises:
        IllegalMove: it is not executing, or an outcome was reported before.

    """
    if action.outcome is not None and action.outcome.reported:
        raise IllegalMove(f"the outcome of this action is `{action.outcome.status}` already")
    state = move(action, _REPORTED[outcome.status])
    return replace(action, state=state, outcome=outcome, revision=action.revision + 1)


def put_back(action: Action, reason: Reason, *, now: datetime) -> Action:
    """Return `action`, which was open when the ledger was copied, as what it is when that copy is put in place.

    It may have run since, whoever held it or was to be asked; so nothing may run it again.
    """
    return replace(
        action,
        state=move(action, ActionEvent.PUT_BACK),
        reasons=(*action.reasons, reason),
        decided_at=action.decided_at or now,
        pick_up_until=None,
        outcome=Outcome(status=ActionState.UNKNOWN, at=now, reported=False),
        revision=action.revision + 1,
    )


def forget(action: Action, *, erased_by: str) -> Action:
    """Return `action`, which has ended, without its payload.

    What finds it again stays as long as an ask may still mean it, so that nothing runs twice for having been forgotten.

    Raises:
        IllegalMove: it has not ended.

    """
    if action.state not in ENDED:
        raise IllegalMove(f"this action is `{action.state}`", hint="wait until it has ended, or cancel it")
    return replace(
        action,
        arguments=b"{}",
        content=action.content if can_be_found_again(action) else b"",
        nonce=b"",
        resource=action.resource if action.resource_is_public else "",
        how_bad="",
        undo="",
        command=(),
        reason="",
        context=b"",
        reasons=tuple(Reason(reason.code, _sentence(reason.code)) for reason in action.reasons),
        outcome=None if action.outcome is None else replace(action.outcome, error=None),
        reserved=(),
        erased_by=erased_by,
        revision=action.revision + 1,
    )


def _sentence(code: str) -> str:
    return REFUSALS[code].sentence if code in REFUSALS else ""


def is_held_by(action: Action, attempt: bytes | None) -> bool:
    """Whether `attempt` is the one that may run, or ran, this action."""
    return attempt is not None and action.attempt is not None and action.attempt == attempt


def frozen_arguments(action: Action) -> Json:
    """Return a fresh copy of the arguments as judged, shown and bound; changing it changes nothing here."""
    return load(action.arguments)


def can_be_found_again(action: Action) -> bool:
    """Whether an ask with the same run and content, but no call id, means this action.

    Pending and ready ones always; executing and unknown ones only where running twice would matter. Ended ones never,
    so that reading the same file three times in a loop reads three times.
    """
    if action.state in {ActionState.PENDING, ActionState.READY}:
        return True
    return action.impact is not Impact.READ and action.state in {ActionState.EXECUTING, ActionState.UNKNOWN}
