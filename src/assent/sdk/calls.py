"""The protocol of the contract, once: ask, wait for a human, redeem, report. Nothing here touches a socket.

The argument for running a tool's body, in order: (1) the broker allowed this very ask and this attempt holds the
action, by the ask itself or by redeeming its grant; (2) digest and arguments are the ones that were asked; (3) every
other answer, word, state and error ends in an exception before the body.
"""

import math
import time
from dataclasses import dataclass, field
from typing import NoReturn

from assent.core.actions import ActionState, RedeemedBy
from assent.core.canonical import canonical
from assent.core.decisions import Answer
from assent.core.errors import AssentError
from assent.core.reasons import Reason
from assent.core.refusals import REFUSALS
from assent.sdk.decisions import (
    ENDED_BY_RUNNING,
    NOT_NOW,
    OK,
    UNRECOGNISED,
    ApprovalNotice,
    Decided,
    Decision,
    ToolNotice,
    denial,
    parse_accepted,
    parse_decided,
    parse_decision,
    parse_redemption,
    parse_tools,
)
from assent.sdk.errors import (
    ActionDenied,
    AlreadyExecuted,
    ApprovalPending,
    ApprovalTimeout,
    UntrustedAnswer,
)
from assent.sdk.http import Response
from assent.sdk.messages import (
    Ask,
    OutcomeReport,
    build_ask,
    build_cancel,
    build_decided,
    build_look,
    build_me,
    build_outcome,
    build_redeem,
)
from assent.sdk.state import ClientState
from assent.sdk.steps import Pause, Steps, Turn, exchange
from assent.sdk.trouble import log_event

_MANY_TRIES = 1_000_000  # waiting for a human is bounded by time, not by count
_MIN_POLL_SECONDS = 1.0
_KEEP_FOR_LATER = NOT_NOW | {401, 403}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """What may run now: the frozen arguments, and the attempt that holds the action.

    `command` is the argument vector that the catalogue made of them, where the tool is a program. With a `token` the
    tool's own service redeems and reports, and `attempt` is None.
    """

    action_id: str
    arguments: bytes = field(repr=False)
    attempt: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    command: tuple[str, ...] = field(default=(), repr=False)


def ask(state: ClientState, asked: Ask) -> Steps[Decision]:
    """Ask once and remember the action as held; the caller releases it (`release`) when it is done with it."""
    yield from replay(state)
    if asked.run_id is None:
        state.warn_without_run()
    if asked.content is None:
        return parse_decision((yield from exchange(state, build_ask(asked))))
    turn = state.in_flight.enter(asked.content)
    try:
        if turn is not None:
            yield Turn(turn, state.limits.exchange_seconds)
        held = state.in_flight.held(asked.content)
        decision = parse_decision((yield from exchange(state, build_ask(asked, in_flight=held))))
        state.in_flight.hold(asked.content, decision.action_id)
        return decision
    finally:
        state.in_flight.leave(asked.content, turn)


def release(state: ClientState, asked: Ask | None, action_id: str) -> None:
    """Forget that this process holds the action."""
    if asked is not None and asked.content is not None:
        state.in_flight.release(asked.content, action_id)


def request(state: ClientState, asked: Ask, *, wait: float | None) -> Steps[Decision]:
    """Ask and wait up to `wait` seconds (None: until the approval ends) for a human; "no" comes back as a value."""
    decision = yield from ask(state, asked)
    try:
        return (yield from wait_for(state, decision, wait=wait))
    finally:
        release(state, asked, decision.action_id)


def look(state: ClientState, action_id: str, *, wait: float | None) -> Steps[Decision]:
    """Return where the action is, after waiting up to `wait` seconds (None: until the approval ends) for a human."""
    decision = parse_decision((yield from exchange(state, build_look(action_id, wait_seconds=0, after=0))))
    return (yield from wait_for(state, decision, wait=wait))


def wait_for(state: ClientState, decision: Decision, *, wait: float | None) -> Steps[Decision]:
    """Long-poll while a human has to answer, at most `wait` seconds, rounded up to whole ones.

    A broker that is away is waited for (`outage_seconds`): the approval is on record, and nothing runs meanwhile.
    """
    limits = state.limits
    until = time.monotonic() + min(limits.longest_wait_seconds if wait is None else wait, limits.longest_wait_seconds)
    while decision.is_pending and (left := until - time.monotonic()) > 0:
        began = time.monotonic()
        look_request = build_look(
            decision.action_id, wait_seconds=min(limits.poll_seconds, math.ceil(left)), after=decision.revision
        )
        patience = min(limits.outage_seconds, left)
        response = yield from exchange(state, look_request, tries=_MANY_TRIES, within_seconds=patience)
        seen = parse_decision(response)
        _refuse_another(decision, seen)
        moved = seen.revision != decision.revision or not seen.is_pending
        if not moved and time.monotonic() - began < min(_MIN_POLL_SECONDS, left):
            # The broker answered at once although nothing moved; do not spin.
            yield Pause(min(_MIN_POLL_SECONDS, left))
        decision = seen
    return decision


def begin(state: ClientState, asked: Ask, *, wait: float | None) -> Steps[Claimed]:
    """Ask, wait, redeem: return what may run, or raise. The action stays held until `release`.

    Raises:
        ActionDenied, ApprovalPending, ApprovalTimeout, AlreadyExecuted, BrokerUnavailable: nothing may run.

    """
    if asked.attempt is None:
        raise AssertionError("an ask that is to run carries an attempt")
    decision = yield from ask(state, asked)
    try:
        _refuse_other_arguments(decision, asked)
        # (1) routine work: the ask itself made this attempt the holder. Only the answer to the ask may say so, and it
        # tells the end of the lease to nobody else.
        if _runs_at_once(decision):
            return Claimed(
                action_id=decision.action_id,
                arguments=asked.arguments,
                attempt=asked.attempt,
                command=decision.command,
            )
        decision = yield from wait_for(state, decision, wait=wait)
        _refuse_other_arguments(decision, asked)
        return (yield from claim(state, decision, attempt=asked.attempt, asked=asked, waited=wait != 0))
    except BaseException:
        release(state, asked, decision.action_id)
        raise


def claim(state: ClientState, decision: Decision, *, attempt: str, asked: Ask | None, waited: bool) -> Steps[Claimed]:
    """Redeem the grant of a decision for `attempt`, or raise why it cannot run; `asked` is compared where known."""
    tool = asked.tool if asked else decision.tool
    if decision.decision is not Answer.ALLOW or decision.state is not ActionState.READY:
        stop(decision, tool=tool, waited=waited)
    if decision.grant is None or not decision.digest:
        raise UntrustedAnswer("the broker allows the action but gives no grant for it")
    if decision.grant.redeemed_by is RedeemedBy.TOOL:
        return _for_the_tool(decision, asked)
    redeem = build_redeem(decision.grant.id, attempt=attempt, digest=decision.digest)
    response = yield from exchange(state, redeem)
    redemption = parse_redemption(response)
    frozen = canonical(redemption.arguments)
    # (2) what was asked is what runs
    expected = asked.arguments if asked else decision.arguments
    if redemption.action_id != decision.action_id or (expected is not None and frozen != expected):
        raise UntrustedAnswer("the broker returned another action or other arguments than were asked; nothing ran")
    return Claimed(action_id=decision.action_id, arguments=frozen, attempt=attempt, command=redemption.command)


def stop(decision: Decision, *, tool: str | None, waited: bool) -> NoReturn:
    """Raise why an action that is not ready cannot run."""
    what = f"`{tool}`" if tool else f"action `{decision.action_id}`"
    if decision.is_pending:
        raise _pending(decision, tool, what, waited=waited)
    reason = _decisive(decision)
    if reason.code == AlreadyExecuted.code:
        became = f"its outcome is {decision.outcome}" if decision.outcome else "it may still be running"
        raise AlreadyExecuted(
            f"{what} was run by another attempt; {became}",
            outcome=decision.outcome,
            action_id=decision.action_id,
            tool=tool,
        )
    raise denial(
        reason.code,
        f"{what} is denied: {reason.message}",
        reasons=decision.reasons,
        tool=tool,
        action_id=decision.action_id,
        breaker=decision.breaker,
    )


def report(state: ClientState, outcome: OutcomeReport, *, tries: int | None = None) -> Steps[None]:
    """Report an outcome; one that the broker does not take now is spooled. Raises nothing of its own."""
    try:
        response = yield from exchange(state, build_outcome(outcome), tries=tries)
    except AssentError:
        state.spool.add(outcome)
        return
    except BaseException:
        state.spool.add(outcome)
        raise
    if not _is_settled(response, outcome):
        state.spool.add(outcome)


def replay(state: ClientState) -> Steps[None]:
    """Send outcomes that an earlier call, process or crash left behind; what does not go through stays."""
    sent: list[OutcomeReport] = []
    try:
        for outcome in state.spool.waiting():
            response = yield from exchange(state, build_outcome(outcome), tries=1)
            if not _is_settled(response, outcome):
                break
            sent.append(outcome)
    except AssentError:
        return  # whoever asks next hears the same from the broker
    finally:
        if sent:
            state.spool.remove(sent)


def cancel(state: ClientState, action_id: str, reason: str | None) -> Steps[None]:
    """Withdraw an action that has not run. Raises ActionDenied when it cannot be withdrawn any more."""
    parse_accepted((yield from exchange(state, build_cancel(action_id, reason))))


def decided(state: ClientState, *, since: str | None, wait_seconds: int) -> Steps[Decided]:
    """Return what was decided after the cursor `since`."""
    response = yield from exchange(state, build_decided(since=since, wait_seconds=wait_seconds))
    return parse_decided(response, since=since)


def tools(state: ClientState) -> Steps[tuple[ToolNotice, ...]]:
    """Return the tools that this agent may use, and remember them."""
    state.tools = parse_tools((yield from exchange(state, build_me())))
    return state.tools


def _runs_at_once(decision: Decision) -> bool:
    return (
        decision.decision is Answer.ALLOW
        and decision.state is ActionState.EXECUTING
        and decision.lease_expires_at is not None
    )


def _for_the_tool(decision: Decision, asked: Ask | None) -> Claimed:
    arguments = asked.arguments if asked else decision.arguments
    if decision.grant is None or decision.grant.token is None or arguments is None:
        raise UntrustedAnswer("the broker names no token, or no arguments, for a tool that redeems by itself")
    return Claimed(action_id=decision.action_id, arguments=arguments, token=decision.grant.token)


def _pending(decision: Decision, tool: str | None, what: str, *, waited: bool) -> ApprovalPending:
    notice = decision.approval
    kind, wording = (
        (ApprovalTimeout, "nobody answered yet; the approval goes on")
        if waited
        else (ApprovalPending, "a human has to approve it first")
    )
    return kind(
        f"{what} did not run: {wording}" + _where(notice),
        action_id=decision.action_id,
        approval_code=notice.code if notice else None,
        url=notice.url if notice else None,
        expires_at=notice.expires_at if notice else None,
        tool=tool,
    )


def _where(notice: ApprovalNotice | None) -> str:
    if notice is None:
        return ""
    return f" (`{notice.code}`)" + (f"; {notice.notice}" if notice.notice else "")


def _decisive(decision: Decision) -> Reason:
    """Return why it cannot run: the last reason of a deny that the refusals table knows, or that it ran before."""
    ran = decision.state is ActionState.EXECUTING or decision.state in ENDED_BY_RUNNING
    if ran and decision.decision is not Answer.DENY:
        return Reason.of(AlreadyExecuted.code)
    known = [r for r in decision.reasons if r.code in REFUSALS or r.code == UNRECOGNISED]
    fallback = Reason.of(AlreadyExecuted.code if ran else ActionDenied.code)
    return (known or decision.reasons or (fallback,))[-1]


def _refuse_another(before: Decision, seen: Decision) -> None:
    if seen.action_id != before.action_id or (before.digest and seen.digest != before.digest):
        raise UntrustedAnswer("the broker's answer is about another action than the one that was asked; nothing ran")


def _refuse_other_arguments(decision: Decision, asked: Ask) -> None:
    if decision.arguments is not None and decision.arguments != asked.arguments:
        raise UntrustedAnswer("the broker judged other arguments than were asked; nothing ran")


def _is_settled(response: Response, outcome: OutcomeReport) -> bool:
    """Whether the broker has heard the outcome for good, be it that it refuses it."""
    if response.status == OK:
        return True
    if not response.is_client_error or response.status in _KEEP_FOR_LATER:
        return False
    log_event("outcome_refused", action=outcome.action_id, status=outcome.status, answer=response.status)
    return True
