"""A grant is redeemed, the action runs, its outcome comes back. At most one attempt ever gets to run it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256

from assent.core import actions, breakers, grants
from assent.core.actions import Action, ActionId, ActionState, Outcome, RedeemedBy, attempt_of, is_held_by
from assent.core.breakers import BREAKER_OPEN, Breaker, first_open
from assent.core.canonical import Json, canonical
from assent.core.credentials import Credential
from assent.core.errors import Forbidden, IllegalMove, NotFound
from assent.core.grants import Claim, Grant, GrantId
from assent.core.patterns import TOOL_SEPARATOR, matches
from assent.core.reasons import Reason
from assent.core.records import RecordKind
from assent.flows import entries
from assent.flows.active_policy import decide, refuse_behind
from assent.flows.agent_status import status_of
from assent.flows.authenticate import AgentCaller, ServiceCaller, confirm
from assent.flows.broker import Broker
from assent.flows.end_action import settle
from assent.flows.judge_again import asks_the_same, judge_again
from assent.flows.log_says import believe_log
from assent.flows.notice import notice_outcome
from assent.flows.watch_actions import owned, tell
from assent.ports import Policy, Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Redemption:
    """What became of redeeming: `refused` says why not, else `action` is executing, held by the attempt.

    `breaker` is what stops it where that is the reason, `retry_after` the seconds until it may be tried again.
    `is_new`: the outcome was not known before; `also` are actions that moved along with it.
    """

    action: Action
    refused: Reason | None = None
    breaker: Breaker | None = None
    retry_after: int | None = None
    is_new: bool = False
    also: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an attempt says became of its run; `status` is succeeded, failed or unknown, `duration_ms` milliseconds."""

    attempt: str
    status: ActionState
    duration_ms: int | None = None
    error: str | None = None
    result_digest: str | None = None


async def redeem_as_agent(
    broker: Broker, caller: AgentCaller, key: GrantId, *, attempt: str, digest: str | None, arguments: Json
) -> Redemption:
    """Return the action executing under `attempt`, or why the grant cannot be redeemed; both are recorded.

    Either `digest` or `arguments` says what is about to run; None stands for not given.

    Raises:
        NotFound: no such grant of this agent, or one that the tool redeems.
        PolicyBehind: another policy is active than the one that is loaded here.

    """
    claim = _claim(attempt, digest, arguments)

    async def work(tx: Tx) -> Redemption:
        await confirm(tx, caller.key)
        grant = await tx.get(Grant, key)
        if grant is None or grant.agent != caller.agent or grant.redeemed_by is not RedeemedBy.AGENT:
            raise NotFound("no such grant")
        return await _redeem(broker, tx, grant, claim, by=caller.agent)

    return await _transact_redemption(broker, work)


async def redeem_as_tool(
    broker: Broker, caller: ServiceCaller, *, token: str, attempt: str, arguments: Json
) -> Redemption:
    """Return the action executing under the tool's `attempt`, or why the token's grant cannot be redeemed.

    Raises:
        NotFound: the token was not signed by this broker, or names no grant.
        Forbidden: the service may not redeem grants for this tool.
        PolicyBehind: another policy is active than the one that is loaded here.

    """
    claims = broker.open_grant(token)
    key = claims.get("jti") if claims is not None else None
    if not isinstance(key, str):
        raise NotFound("this token names no grant of this broker")
    claim = _claim(attempt, None, arguments)

    async def work(tx: Tx) -> Redemption:
        await confirm(tx, caller.key)
        grant = await tx.get(Grant, key)
        if grant is None or grant.redeemed_by is not RedeemedBy.TOOL:
            raise NotFound("this token names no grant that a tool redeems")
        if not any(matches(pattern, grant.tool, TOOL_SEPARATOR) for pattern in caller.tools):
            raise Forbidden(f"`{caller.service}` may not redeem grants for `{grant.tool}`")
        return await _redeem(broker, tx, grant, claim, by=caller.service)

    return await _transact_redemption(broker, work)


def _claim(attempt: str, digest: str | None, arguments: Json) -> Claim:
    hashed = None if arguments is None else sha256(canonical(arguments)).hexdigest()
    return Claim(attempt=attempt_of(attempt), digest=digest, arguments_sha256=hashed)


async def _redeem(broker: Broker, tx: Tx, grant: Grant, claim: Claim, *, by: str) -> Redemption:
    policy = broker.policy()
    await refuse_behind(tx, policy)
    action = await tx.get(Action, grant.action)
    if action is None:
        raise NotFound("the action of this grant is gone", hint="run `assent audit verify`")
    holds = await _what_holds(policy, tx, action)
    result = grants.redeem(grant, action, claim, holds, tx.now)
    if isinstance(result, Reason):
        await tx.append(entries.grant_refused(action, grant, by=by, reason=result))
        return _refused(action, result, holds.breakers, tx)
    if result.repeated:
        return Redemption(action=action)
    await believe_log(tx, action, RecordKind.GRANT_REDEEMED, RecordKind.GRANT_KILLED)
    return await _start(broker, tx, grant, action, spent=result.grant, attempt=claim.attempt, by=by)


def _refused(action: Action, why: Reason, opened: tuple[Breaker, ...], tx: Tx) -> Redemption:
    if why.code != BREAKER_OPEN:
        return Redemption(action=action, refused=why)
    breaker = first_open(opened, agent=action.agent, tool=action.tool, environment=action.environment, action=action.id)
    again = None if breaker is None else breakers.retry_after(breaker, tx.now)
    return Redemption(action=action, refused=why, breaker=breaker, retry_after=again)


async def _start(
    broker: Broker, tx: Tx, grant: Grant, action: Action, *, spent: Grant, attempt: bytes, by: str
) -> Redemption:
    executing = actions.start(action, attempt=attempt, lease_expires_at=tx.now + broker.lease)
    await tx.replace(grant, spent)
    await tx.replace(action, executing)
    await tx.append(entries.grant_redeemed(executing, spent, by=by))
    return Redemption(action=executing)


async def _what_holds(policy: Policy, tx: Tx, action: Action) -> grants.RedeemFacts:
    judgement = judge_again(policy, action)
    approval = await tx.approval_of(action.id) if action.decided_by_human else None
    return grants.RedeemFacts(
        profile=policy.agent(action.agent),
        status=await status_of(tx, action.agent, action.on_behalf_of),
        key=await tx.get(Credential, action.key),
        breakers=tuple(await tx.open_breakers()),
        proposal=judgement.proposal,
        verdict=judgement.verdict,
        asks_the_same=approval is not None and asks_the_same(judgement, approval),
    )


async def report_outcome(broker: Broker, caller: AgentCaller, key: ActionId, report: Report) -> Redemption:
    """Return the caller's own action with the reported outcome; the same report again changes nothing.

    Raises:
        NotFound: no such action of this agent.

    """

    async def work(tx: Tx) -> Redemption:
        await confirm(tx, caller.key)
        return await _report(tx, await owned(tx, caller, key), report)

    return await _transact_outcome(broker, work)


async def report_outcome_as_tool(broker: Broker, caller: ServiceCaller, key: ActionId, report: Report) -> Redemption:
    """Return the action that this service redeemed, with the reported outcome.

    Raises:
        NotFound: no such action, or not for this service's tools.

    """

    async def work(tx: Tx) -> Redemption:
        await confirm(tx, caller.key)
        action = await tx.get(Action, key)
        mine = action is not None and any(matches(p, action.tool, TOOL_SEPARATOR) for p in caller.tools)
        if action is None or not mine or action.redeemed_by is not RedeemedBy.TOOL:
            raise NotFound("no such action")
        return await _report(tx, action, report)

    return await _transact_outcome(broker, work)


async def _report(tx: Tx, action: Action, report: Report) -> Redemption:
    if not is_held_by(action, attempt_of(report.attempt)):
        return Redemption(action=action, refused=Reason.of("attempt_mismatch"))
    outcome = Outcome(
        status=report.status,
        at=tx.now,
        reported=True,
        duration_ms=report.duration_ms,
        error=report.error,
        result_digest=report.result_digest,
    )
    known = action.outcome
    if known is not None and known.reported:
        same = known.status is outcome.status
        return Redemption(action=action, refused=None if same else Reason.of("outcome_conflict"))
    return await _store_outcome(tx, action, outcome)


async def _store_outcome(tx: Tx, action: Action, outcome: Outcome) -> Redemption:
    try:
        ended = actions.report(action, outcome)
    except IllegalMove:
        # The lease ran out and the holder itself says it does not know: the ledger says so already.
        return Redemption(action=action)
    await tx.replace(action, ended)
    await tx.append(entries.action_outcome(ended))
    return Redemption(action=ended, is_new=True, also=await settle(tx, ended))


async def _transact_redemption(broker: Broker, work: Callable[[Tx], Awaitable[Redemption]]) -> Redemption:
    redemption = await decide(broker, work)
    if redemption.refused is None:
        action = redemption.action
        # A trip that could not be stored holds here; what was committed before it is not told.
        broker.held.refuse(agent=action.agent, tool=action.tool, environment=action.environment)
        tell(broker, action)
    return redemption


async def _transact_outcome(broker: Broker, work: Callable[[Tx], Awaitable[Redemption]]) -> Redemption:
    reported = await broker.ledger.transact(work)
    if reported.refused is None:
        tell(broker, reported.action, *reported.also)
    if reported.is_new:
        await notice_outcome(broker, reported.action)
    return reported
