"""Entries: what each flow writes into the log; public facts by name, payload only as commitments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from assent.core.actions import Action
from assent.core.agents import AgentStatus, is_suspended
from assent.core.approvals import Approval, Voter, is_self_approved
from assent.core.canonical import Json, canonical
from assent.core.credentials import Credential, Kind
from assent.core.decisions import Decision
from assent.core.deliveries import Told
from assent.core.denials import Denial
from assent.core.grants import Grant
from assent.core.handovers import Handover
from assent.core.reasons import Reason
from assent.core.records import Entry, RecordId, RecordKind, rfc3339


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What somebody did about an approval, with their own words on it, which are payload."""

    by: Voter
    approval: Approval
    said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A copy that took the ledger's place: its `records` and their `root`, and who did it on which machine.

    `forgotten` is how many records are known to have come after it, and `known` the signed note that says so, as text;
    whoever went on all the same said why, and `dated` when. `stop` says whether everything was stopped with it.
    """

    records: int
    root: bytes
    by_hand: Mapping[str, Json]
    stop: bool = False
    forgotten: int = 0
    known: str = ""
    dated: str = ""
    reason: str = ""


def _about(action: Action) -> dict[str, Any]:
    return {
        "agent": action.agent,
        "tool": action.tool,
        "environment": action.environment or None,
        "action": action.id,
        "digest": action.digest or None,
        "policy": action.policy_version,
    }


def _codes(reasons: tuple[Reason, ...]) -> tuple[str, ...]:
    return tuple([reason.code for reason in reasons])


def action_decided(action: Action, decision: Decision, approval: Approval | None) -> Entry:
    """Return the record of a decision: the answer and why in public, what was asked as commitments."""
    detail: dict[str, Json] = {"state": action.state.value, "impact": action.impact.value, "key": action.key}
    if action.definition:
        detail["definition"] = action.definition
    if action.run_id is not None:
        detail["run"] = action.run_id
    if action.on_behalf_of:
        detail["on_behalf_of"] = list(action.on_behalf_of)
    if action.resource_is_public:
        detail["resource"] = action.resource
    if decision.denied_as is not None:
        detail["denied_as"] = decision.denied_as
    if action.probe_of:
        detail["probe_of"] = list(action.probe_of)
    return Entry(
        kind=RecordKind.ACTION_DECIDED,
        id=RecordId(action.record_id),
        decision=decision.answer.value,
        reasons=_codes(decision.reasons),
        rules=decision.rules,
        approval=None if approval is None else approval.id,
        detail=detail,
        payload=_asked_payload(action),
        **_about(action),
    )


def _asked_payload(action: Action) -> dict[str, bytes]:
    payload = {"arguments": action.arguments, "nonce": canonical(action.nonce.hex())}
    if action.resource and not action.resource_is_public:
        payload["resource"] = canonical(action.resource)
    if action.reason:
        payload["reason"] = canonical(action.reason)
    if action.context:
        payload["context"] = action.context
    return payload


def action_replayed(action: Action, decision: Decision) -> Entry:
    """Return the record of an ask that found an earlier action and was told no."""
    return Entry(
        kind=RecordKind.ACTION_REPLAYED,
        decision=decision.answer.value,
        reasons=_codes(decision.reasons),
        detail={"state": action.state.value},
        **_about(action),
    )


def action_moved(action: Action, *, by: str | None = None, because: str = "") -> Entry:
    """Return the record of an action that ended without running: cancelled, lapsed, revoked, denied or expired.

    `because` is one word for what nobody did, such as `agent_gone`.
    """
    return Entry(
        kind=RecordKind.ACTION_MOVED,
        operator=by,
        reasons=_codes(action.reasons[-1:]),
        detail={"state": action.state.value} | ({"because": because} if because else {}),
        **_about(action),
    )


def action_revoked(action: Action, act: Act) -> Entry:
    """Return the record of a yes that was taken back before anything ran: by whom, how sure, on which surface."""
    return Entry(
        kind=RecordKind.ACTION_MOVED,
        operator=act.by.operator.id,
        approval=act.approval.id,
        reasons=_codes(action.reasons[-1:]),
        detail={"state": action.state.value, **how(act.by)},
        payload=_words("reason", act.said),
        **_about(action),
    )


def how(voter: Voter) -> dict[str, Json]:
    """Return what a record says of how sure it is who acted, and on which surface."""
    account: dict[str, Json] = {"account": voter.account} if voter.account else {}
    return {"assurance": voter.assurance.name.lower(), "surface": voter.surface, **account}


def _words(name: str, said: str) -> dict[str, bytes]:
    return {name: canonical(said)} if said else {}


def action_outcome(action: Action) -> Entry:
    """Return the record of an outcome, or of a lease that ran out unheard; the outcome is the agent's own word."""
    outcome = action.outcome
    detail: dict[str, Json] = {"state": action.state.value, "reported": outcome is not None and outcome.reported}
    if outcome is not None and outcome.duration_ms is not None:
        detail["duration_ms"] = outcome.duration_ms
    if outcome is not None and outcome.result_digest is not None:
        detail["result_digest"] = outcome.result_digest
    payload = {} if outcome is None or outcome.error is None else {"error": canonical(outcome.error)}
    return Entry(kind=RecordKind.ACTION_OUTCOME, detail=detail, payload=payload, **_about(action))


def approval_asked(action: Action, approval: Approval) -> Entry:
    """Return the record of a question to humans: which routes, how sure, until when."""
    detail: dict[str, Json] = {
        "routes": [route.name for route in approval.routes],
        "assurance": [route.assurance.name.lower() for route in approval.routes],
        "expires_at": rfc3339(approval.expires_at),
        "owner": approval.owner,
        "drivers": list(approval.drivers),
        "key_issuer": approval.key_issuer,
    }
    return Entry(kind=RecordKind.APPROVAL_ASKED, approval=approval.id, detail=detail, **_about(action))


def approval_voted(action: Action, approval: Approval, voter: Voter, comment: str = "") -> Entry:
    """Return the record of one yes: who, how sure, on which surface, and what it led to."""
    detail: dict[str, Json] = {
        **how(voter),
        "state": approval.state.value,
        "self_approved": is_self_approved(approval),
    }
    return Entry(
        kind=RecordKind.APPROVAL_VOTED,
        operator=voter.operator.id,
        approval=approval.id,
        detail=detail,
        payload=_words("comment", comment),
        **_about(action),
    )


def vote_refused(action: Action, approval: Approval, voter: Voter, act: str, reason: Reason) -> Entry:
    """Return the record of an act on an approval that did not count, with the exact reason."""
    return Entry(
        kind=RecordKind.APPROVAL_VOTE_REFUSED,
        operator=voter.operator.id,
        approval=approval.id,
        reasons=(reason.code,),
        detail={"act": act, **how(voter)},
        **_about(action),
    )


def stranger_refused(
    action: Action, approval: Approval, *, account: str, surface: str, act: str, reason: Reason
) -> Entry:
    """Return the record of an act on an approval by somebody for whom no operator stands, or not for certain."""
    return Entry(
        kind=RecordKind.APPROVAL_VOTE_REFUSED,
        approval=approval.id,
        reasons=(reason.code,),
        detail={"act": act, "surface": surface, "account": account},
        payload=_words("why", reason.message),
        **_about(action),
    )


def acts_refused(account: str, times: int) -> Entry:
    """Return the record of acts on approvals that were refused too fast for a record each."""
    return Entry(kind=RecordKind.APPROVAL_ACTS_REFUSED, detail={"account": account, "times": times})


def approval_moved(action: Action, approval: Approval) -> Entry:
    """Return the record of an approval that ended: approved, expired or cancelled."""
    return _moved(action, approval, {})


def approval_denied(action: Action, approval: Approval, voter: Voter, denial: Denial) -> Entry:
    """Return the record of a no: who, how sure, on which surface, and until when the same is not asked again."""
    detail = how(voter)
    if approval.category is not None:
        detail["category"] = approval.category.value
    if denial.cools_until is not None:
        detail["cools_until"] = rfc3339(denial.cools_until)
    return _moved(action, approval, detail)


def _moved(action: Action, approval: Approval, detail: Mapping[str, Json]) -> Entry:
    return Entry(
        kind=RecordKind.APPROVAL_MOVED,
        operator=approval.decided_by,
        approval=approval.id,
        reasons=_codes(action.reasons[-1:]),
        detail={"state": approval.state.value, **detail},
        payload=_words("comment", approval.comment),
        **_about(action),
    )


def approval_let_again(
    action: Action, approval: Approval, voter: Voter, lifted: Sequence[str], reason: str = ""
) -> Entry:
    """Return the record of leave to ask a denied question again; `lifted` names every denial that it changed."""
    return Entry(
        kind=RecordKind.APPROVAL_LET_AGAIN,
        operator=voter.operator.id,
        approval=approval.id,
        detail={**how(voter), "lifted": list(lifted)},
        payload=_words("reason", reason),
        **_about(action),
    )


def approval_shown(action: Action, approval: Approval, *, destination: str, told: Told) -> Entry:
    """Return the record of a card that reached people: where, and what exactly stood on it."""
    detail: dict[str, Json] = {
        "destination": destination,
        "place": told.place,
        "card": told.seen,
        "revision": approval.revision,
        "state": approval.state.value,
        "approvable": told.approvable,
    }
    return Entry(kind=RecordKind.APPROVAL_SHOWN, approval=approval.id, detail=detail, **_about(action))


def approval_on_screen(action: Action, approval: Approval, *, operator: str, session: str, approvable: bool) -> Entry:
    """Return the record of a question whose last line was on somebody's screen, in which of their sessions."""
    detail: dict[str, Json] = {
        "destination": f"console:{operator}",
        "session": session,
        "revision": approval.revision,
        "state": approval.state.value,
        "approvable": approvable,
    }
    return Entry(
        kind=RecordKind.APPROVAL_SHOWN, operator=operator, approval=approval.id, detail=detail, **_about(action)
    )


def values_revealed(action: Action, approval: Approval, *, operator: str, session: str, reason: str) -> Entry:
    """Return the record of sensitive values that somebody who is to decide was shown: which, never what they are."""
    detail: dict[str, Json] = {"fields": list(action.to_be_revealed), "session": session}
    return Entry(
        kind=RecordKind.PAYLOAD_REVEALED,
        operator=operator,
        approval=approval.id,
        detail=detail,
        payload=_words("reason", reason),
        **_about(action),
    )


def grant_issued(action: Action, grant: Grant) -> Entry:
    """Return the record of a grant: for which digest, until when, redeemed by whom."""
    detail: dict[str, Json] = {
        "expires_at": rfc3339(grant.expires_at),
        "redeemed_by": grant.redeemed_by.value,
    }
    return Entry(kind=RecordKind.GRANT_ISSUED, grant=grant.id, detail=detail, **_about(action))


def grant_redeemed(action: Action, grant: Grant, *, by: str) -> Entry:
    """Return the record of a redemption: from here on the action runs, and nobody else may run it."""
    lease: dict[str, Json] = {"by": by}
    if action.lease_expires_at is not None:
        lease["lease_expires_at"] = rfc3339(action.lease_expires_at)
    return Entry(kind=RecordKind.GRANT_REDEEMED, grant=grant.id, detail=lease, **_about(action))


def grant_refused(action: Action, grant: Grant, *, by: str, reason: Reason) -> Entry:
    """Return the record of a redemption that was refused; a spent grant presented again is a replay."""
    kind = RecordKind.GRANT_REPLAYED if reason.code == "grant_spent" else RecordKind.GRANT_REFUSED
    return Entry(kind=kind, grant=grant.id, reasons=(reason.code,), detail={"by": by}, **_about(action))


def grant_killed(action: Action, grant: Grant) -> Entry:
    """Return the record of a grant that was withdrawn before anybody redeemed it."""
    return Entry(kind=RecordKind.GRANT_KILLED, grant=grant.id, reasons=_codes(action.reasons[-1:]), **_about(action))


_ISSUED = {
    Kind.AGENT: RecordKind.KEY_ISSUED,
    Kind.SERVICE: RecordKind.KEY_ISSUED,
    Kind.OPERATOR: RecordKind.TOKEN_ISSUED,
    Kind.LINK: RecordKind.LINK_ISSUED,
    Kind.SESSION: RecordKind.SESSION_OPENED,
}
_REVOKED = {
    Kind.AGENT: RecordKind.KEY_REVOKED,
    Kind.SERVICE: RecordKind.KEY_REVOKED,
    Kind.OPERATOR: RecordKind.TOKEN_REVOKED,
    Kind.LINK: RecordKind.SESSION_ENDED,
    Kind.SESSION: RecordKind.SESSION_ENDED,
}


def credential_issued(
    credential: Credential, *, using: str | None = None, by_hand: Mapping[str, Json] | None = None
) -> Entry:
    """Return the record of an issued key or token: for whom, by whom, until when; never its secret.

    `using` is the token that its issuer showed, or the passkey: who looks into a stolen one finds what came of it.
    """
    entry = _credential(_ISSUED[credential.kind], credential, by=credential.issued_by)
    more: dict[str, Json] = {} if using is None else {"using": using}
    if by_hand is not None:
        more["by_hand"] = dict(by_hand)
    return replace(entry, detail={**entry.detail, **more})


def credential_revoked(credential: Credential, *, by: str, cancelled: int = 0) -> Entry:
    """Return the record of a revoked key or token, and of how many actions that waited ended with it."""
    entry = _credential(_REVOKED[credential.kind], credential, by=by)
    return replace(entry, detail={**entry.detail, "cancelled": cancelled}) if cancelled else entry


def _credential(kind: RecordKind, credential: Credential, *, by: str) -> Entry:
    detail: dict[str, Json] = {
        "credential": credential.id,
        "for": credential.principal,
        "credential_kind": credential.kind.value,
    }
    if credential.tools:
        detail["tools"] = list(credential.tools)
    if credential.expires_at is not None:
        detail["expires_at"] = rfc3339(credential.expires_at)
    if credential.signed_in_by is not None:
        detail["signed_in_by"] = credential.signed_in_by.value
    agent = credential.principal if credential.kind is Kind.AGENT else None
    return Entry(kind=kind, agent=agent, operator=by, detail=detail)


def agent_suspended(status: AgentStatus, *, by: str, reason: str, cancelled: int, running: int) -> Entry:
    """Return the record of a suspension: of whom, by whom, how much that cut off and what still runs."""
    detail: dict[str, Json] = {"state": status.state.value, "cancelled": cancelled, "running": running}
    return _status(RecordKind.AGENT_SUSPENDED, status, by, reason, detail)


def agent_resumed(status: AgentStatus, *, by: Voter, reason: str) -> Entry:
    """Return the record of an agent that may ask again, or of the first person's wish that it may."""
    kind = RecordKind.AGENT_RESUME_ASKED if is_suspended(status) else RecordKind.AGENT_RESUMED
    return _status(kind, status, by.operator.id, reason, {"state": status.state.value, **how(by)})


def _status(kind: RecordKind, status: AgentStatus, by: str, reason: str, detail: Mapping[str, Json]) -> Entry:
    payload = {"reason": canonical(reason)} if reason else {}
    return Entry(kind=kind, agent=status.id, operator=by, detail=detail, payload=payload)


def broker_started(version: str, policy: str) -> Entry:
    """Return the record of a broker that begins to serve."""
    return Entry(kind=RecordKind.BROKER_STARTED, policy=policy, detail={"version": version})


def broker_key_rotated(handover: Handover, note: bytes, *, until: datetime, by_hand: Mapping[str, Json]) -> Entry:
    """Return the record of a signing key that took another one's place: the note that both signed, and who did it."""
    detail: dict[str, Json] = {
        "key": handover.use.value,
        "note": note.decode(),
        "until": rfc3339(until),
        "by_hand": dict(by_hand),
    }
    return Entry(kind=RecordKind.BROKER_KEY_ROTATED, detail=detail)


def ledger_restored(restored: Restored) -> Entry:
    """Return the record of a copy that took the ledger's place: how much of the log it held, and what was forgotten."""
    detail: dict[str, Json] = {
        "records": restored.records,
        "root": restored.root.hex(),
        "stopped": restored.stop,
        "by_hand": dict(restored.by_hand),
    }
    if restored.forgotten:
        detail |= {"forgotten": restored.forgotten, "dated": restored.dated, "known": restored.known}
    payload = {"reason": canonical(restored.reason)} if restored.reason else {}
    return Entry(kind=RecordKind.LEDGER_RESTORED, detail=detail, payload=payload)


def broker_stopped(version: str) -> Entry:
    """Return the record of a broker that stopped as asked; a crash leaves none."""
    return Entry(kind=RecordKind.BROKER_STOPPED, detail={"version": version})
