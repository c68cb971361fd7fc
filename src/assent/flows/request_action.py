"""An agent asks: the decision is recorded, then answered. The same ask again is found, read anew, never run twice."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from assent.core import approvals, breaker_rules, breakers, decisions, denials, grants
from assent.core.actions import (
    Action,
    ActionId,
    ActionState,
    Impact,
    Proposal,
    RedeemedBy,
    RunId,
    action_digest,
    attempt_of,
    content_of,
)
from assent.core.agents import AgentId
from assent.core.approvals import Approval, ApprovalId
from assent.core.breaker_rules import Counted
from assent.core.budgets import Reservation
from assent.core.canonical import Json, canonical, load, sha256_hex
from assent.core.credentials import Credential
from assent.core.decisions import Answer, Decision, Effect, Facts, Load, Verdict
from assent.core.deliveries import planned
from assent.core.errors import IdempotencyConflict
from assent.core.grants import GrantId
from assent.core.operators import OperatorId
from assent.core.reasons import Reason
from assent.core.values import made_quickly
from assent.flows import breaker_entries, entries
from assent.flows.active_policy import decide, refuse_behind
from assent.flows.agent_status import status_of
from assent.flows.answers import Answered, read_anew, when_again, who_can_decide, with_token
from assent.flows.authenticate import AgentCaller, confirm
from assent.flows.broker import Broker
from assent.flows.draw_budget import Draw, draw, overdrawn, reserve
from assent.flows.notice import TooMuchOf, notice, too_much
from assent.flows.watch_actions import CARDS
from assent.flows.who_can_at_all import who_can_at_all
from assent.ports import Policy, Tx

OPERATOR_PREFIX = "operator:"
MAX_REFUSED_BYTES = 2_048


@made_quickly
@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request of an agent, parsed but not believed.

    `in_flight` names actions with the same content that the asking process holds already: asking again beside them
    means another action. `attempt` is the caller's secret for this try, `context` is the agent's own word.
    """

    tool: str
    arguments: Json
    idempotency_key: str | None = None
    reason: str = ""
    run_id: str | None = None
    call_id: str | None = None
    attempt: str | None = None
    on_behalf_of: tuple[str, ...] = ()
    context: Json = None
    in_flight: frozenset[str] = field(default_factory=frozenset)


@made_quickly
@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """Everything about an ask that needs no transaction: what policy makes of it, and the ids it would get.

    `refused` is the catalogue's reason when it made nothing of the request; `facts` then hold none. `counted` are the
    rules that count it.
    """

    policy: Policy
    refused: Reason | None
    facts: Proposal
    verdict: Verdict
    arguments: bytes
    content: bytes
    nonce: bytes
    digest: str
    action: ActionId
    record: str
    attempt: bytes | None
    counted: Counted


@made_quickly
@dataclass(frozen=True, slots=True)
class _Asked:
    """What an ask came to: the answer, whether a new action was made for it, and which budgets it is too much for."""

    answered: Answered
    judged: _Judged
    is_new: bool = False
    too_much: tuple[TooMuchOf, ...] = ()


@made_quickly
@dataclass(frozen=True, slots=True, kw_only=True)
class _Fate:
    """Where a fresh action stands once it is decided, and why."""

    decision: Decision
    state: ActionState
    decided_at: datetime | None
    attempt: bytes | None = None
    pick_up_until: datetime | None = None
    lease_expires_at: datetime | None = None
    reserved: tuple[Reservation, ...] = ()


async def request_action(broker: Broker, caller: AgentCaller, ask: Ask) -> Answered:
    """Return the broker's answer to `ask` once its record is durable.

    Raises:
        Unauthenticated: the caller's key is not valid any more.
        IdempotencyConflict: the idempotency key or call id was used for other content.
        LedgerUnavailable: nothing was decided, or not known to be.
        PolicyBehind: another policy is active, and this is no read that the loaded one simply allows.

    """
    first = _judge(broker, caller, ask)
    # Where nothing counts at first, nobody looks; should a policy that counts come in between, that is a no.
    readable = first.counted.in_signals and await broker.signals.readable()

    async def work(tx: Tx) -> _Asked:
        # A policy that was taken up since then decides: nothing judged by an older one commits after it.
        judged = first if broker.policy() is first.policy else _judge(broker, caller, ask)
        key = await confirm(tx, caller.key)
        if not _is_plain_read(judged):
            await refuse_behind(tx, judged.policy)
        found = await _find_again(tx, caller, ask, judged.content)
        if found is None:
            return await _decide(broker, tx, key, ask, judged, counters_readable=readable)
        if found.content != judged.content:
            raise IdempotencyConflict(f"action `{found.id}` was asked under this key with other content")
        return _Asked(await _replayed(tx, found, judged), judged)

    asked = await decide(broker, work)
    answered = asked.answered
    if answered.approval is not None:
        broker.signals.wake(CARDS)
    if asked.is_new and asked.judged.counted.rules:
        await _count(broker, asked)
    if broker.held.trips and answered.decision.answer is not Answer.DENY:
        # A trip that could not be stored holds here; what was committed before it is not told.
        broker.held.refuse(agent=caller.agent, tool=ask.tool, environment=asked.judged.facts.environment)
    return with_token(broker, answered)


async def _count(broker: Broker, asked: _Asked) -> None:
    judged = asked.judged
    for found in asked.too_much:
        await too_much(broker, found)
    decision = asked.answered.decision
    refused = decision.reasons[0].code if decision.answer is Answer.DENY and decision.reasons else None
    if refused is None and decision.answer is Answer.DENY:
        refused = "no_rule"
    await notice(broker, judged.counted, breaker_rules.decided(refused, judged.content.hex()))


def _judge(broker: Broker, caller: AgentCaller, ask: Ask) -> _Judged:
    policy, nonce = broker.policy(), broker.new_nonce()
    proposal = policy.propose(ask.tool, ask.arguments)
    if isinstance(proposal, Reason):
        refused, facts, verdict, digest = proposal, _NO_FACTS, _NO_VERDICT, ""
        arguments = _kept(canonical(ask.arguments))
    else:
        refused, facts, arguments = None, proposal, proposal.arguments
        verdict = policy.verdict(proposal, caller.agent, ask.on_behalf_of)
        digest = action_digest(agent=caller.agent, proposal=proposal, nonce=nonce)
    return _Judged(
        policy=policy,
        refused=refused,
        facts=facts,
        verdict=verdict,
        arguments=arguments,
        content=content_of(agent=caller.agent, tool=ask.tool, arguments=arguments, on_behalf_of=ask.on_behalf_of),
        nonce=nonce,
        digest=digest,
        action=ActionId(broker.new_id("act")),
        record=broker.new_id("rec"),
        attempt=None if ask.attempt is None else attempt_of(ask.attempt),
        counted=policy.counted(caller.agent, ask.tool, facts.environment),
    )


def _is_plain_read(judged: _Judged) -> bool:
    return judged.refused is None and judged.facts.impact is Impact.READ and judged.verdict.effect is Effect.ALLOW


def _kept(arguments: bytes) -> bytes:
    # Nobody will run, show or approve what the catalogue refused: of a large one the ledger keeps what names it.
    if len(arguments) <= MAX_REFUSED_BYTES:
        return arguments
    return canonical({"bytes": len(arguments), "sha256": sha256_hex(arguments)})


_NO_VERDICT = Verdict(effect=Effect.DENY)
# What stands in a denied action that the catalogue could make nothing of: no facts, and the worst impact.
_NO_FACTS = Proposal(
    tool="", definition="", impact=Impact.DESTRUCTIVE, arguments=b"", resource="", environment="", nonproduction=False
)


async def _find_again(tx: Tx, caller: AgentCaller, ask: Ask, content: bytes) -> Action | None:
    return await tx.asked_before(
        caller.agent,
        idempotency_key=ask.idempotency_key,
        run_id=ask.run_id,
        call_id=ask.call_id,
        content=content,
        excluding=ask.in_flight,
    )


async def _replayed(tx: Tx, action: Action, judged: _Judged) -> Answered:
    answered = await read_anew(tx, judged.policy, action, judged.attempt)
    if answered.decision.answer is Answer.DENY and action.state is not ActionState.DENIED:
        await tx.append(entries.action_replayed(action, answered.decision))
    return answered


async def _decide(
    broker: Broker, tx: Tx, key: Credential, ask: Ask, judged: _Judged, *, counters_readable: bool
) -> _Asked:
    agent = AgentId(key.principal)
    opened = tuple(await tx.open_breakers())
    tried = decisions.as_probe(judged.verdict, opened, judged.facts, agent) if opened else judged.verdict
    is_for_probe = tried is not judged.verdict
    judged = replace(judged, verdict=tried) if is_for_probe else judged
    question = _question(broker, tx, key, ask, judged) if judged.verdict.routes else None
    if question is not None and is_for_probe:
        question = approvals.first_step_only(question)
    draws = await _draws(tx, judged) if judged.counted.budgets else ()
    someone_can, why_nobody = await who_can_at_all(broker, tx, question, judged.policy.operators())
    facts = Facts(
        profile=judged.policy.agent(agent),
        status=await status_of(tx, agent, ask.on_behalf_of),
        proposal=judged.refused or judged.facts,
        verdict=judged.verdict,
        breakers=opened,
        load=await _load(tx, agent, ask, judged),
        someone_can_approve=someone_can,
        why_nobody_can=why_nobody,
        cooling=await _why_not_ask(tx, agent, ask, judged),
        counters_readable=counters_readable or not judged.counted.in_signals,
        overdrawn=overdrawn(draws),
    )
    decision = decisions.decide(facts, broker.limits, tx.now)
    fate = await _fate(broker, tx, judged, decision, draws)
    action = _action(tx, key, ask, judged, fate)
    await _take_places(tx, action, decision)
    if decision.answer is Answer.PENDING and question is not None:
        answered = await _store_pending(tx, action, decision, question, judged)
        for delivery in planned(question, judged.policy.operators(), broker.on_duty.now):
            await tx.add(delivery)
    else:
        answered = await _store_allowed(broker, tx, action, decision)
    return _Asked(answered, judged, is_new=True, too_much=_too_much(draws, decision))


async def _fate(broker: Broker, tx: Tx, judged: _Judged, decision: Decision, draws: tuple[Draw, ...]) -> _Fate:
    if decision.answer is Answer.DENY:
        return _Fate(decision=decision, state=ActionState.DENIED, decided_at=tx.now)
    reserved = await reserve(tx, draws) if draws else ()
    if decision.answer is Answer.PENDING:
        return _Fate(decision=decision, state=ActionState.PENDING, decided_at=None, reserved=reserved)
    return _allowed(broker, tx, judged, decision, reserved)


async def _draws(tx: Tx, judged: _Judged) -> tuple[Draw, ...]:
    if judged.refused is not None:
        return ()
    arguments = load(judged.facts.arguments)
    return tuple([await draw(tx, applying, condition, arguments) for applying, condition in judged.counted.budgets])


def _too_much(draws: tuple[Draw, ...], decision: Decision) -> tuple[TooMuchOf, ...]:
    """Return the budgets that this ask was too much for; one that was denied for something else drew on none."""
    if decision.answer is Answer.DENY and not decision.is_overdrawn:
        return ()
    return tuple(one.too_much for one in draws if one.too_much is not None)


async def _take_places(tx: Tx, action: Action, decision: Decision) -> None:
    """Store the places that the action takes among the probes of half-open breakers."""
    if decision.probes is None or decision.answer is Answer.DENY:
        return
    for breaker in decision.probes.breakers:
        probed = breakers.reserve(
            breaker, action=action.id, agent=action.agent, by_human=decision.answer is Answer.PENDING
        )
        await tx.replace(breaker, probed)
        await tx.append(breaker_entries.probed(probed, action))


def _probe_of(decision: Decision) -> tuple[str, ...]:
    if decision.probes is None or decision.answer is Answer.DENY:
        return ()
    return tuple(breaker.id for breaker in decision.probes.breakers)


async def _why_not_ask(tx: Tx, agent: AgentId, ask: Ask, judged: _Judged) -> denials.Cooling | None:
    if judged.refused is not None or not decisions.asks_a_human(judged.facts, judged.verdict):
        return None
    content = denials.cooled_content(agent=agent, tool=ask.tool, arguments=judged.arguments)
    held = await tx.denials(agent, ask.tool)
    return denials.why_not_ask(held, content=content, rules=judged.verdict.rules, now=tx.now)


async def _load(tx: Tx, agent: AgentId, ask: Ask, judged: _Judged) -> Load:
    # What is denied, or allowed and started at once, waits for nobody and takes no place: it counts nothing.
    effect = judged.verdict.effect
    if effect is Effect.DENY or (effect is Effect.ALLOW and _starts_at_once(judged)):
        return Load()
    return await tx.load(agent, ask.run_id, judged.verdict.routes)


def _starts_at_once(judged: _Judged) -> bool:
    return judged.attempt is not None and judged.facts.redeemed_by is RedeemedBy.AGENT


def _allowed(broker: Broker, tx: Tx, judged: _Judged, decision: Decision, reserved: tuple[Reservation, ...]) -> _Fate:
    if _starts_at_once(judged):
        # One round trip: the asking attempt holds the action from the start, so there is no grant to sign or redeem.
        lease = tx.now + broker.lease
        return _Fate(
            decision=decision,
            state=ActionState.EXECUTING,
            decided_at=tx.now,
            attempt=judged.attempt,
            lease_expires_at=lease,
            reserved=reserved,
        )
    return _Fate(
        decision=decision,
        state=ActionState.READY,
        decided_at=tx.now,
        pick_up_until=tx.now + broker.pick_up_within,
        reserved=reserved,
    )


def _action(tx: Tx, key: Credential, ask: Ask, judged: _Judged, fate: _Fate) -> Action:
    facts = judged.facts
    return Action(
        id=judged.action,
        record_id=judged.record,
        agent=AgentId(key.principal),
        key=key.id,
        tool=ask.tool,
        definition=facts.definition,
        impact=facts.impact,
        environment=facts.environment,
        state=fate.state,
        created_at=tx.now,
        arguments=judged.arguments,
        content=judged.content,
        nonce=judged.nonce,
        digest=judged.digest,
        resource=facts.resource,
        resource_is_public=facts.resource_is_public,
        redeemed_by=facts.redeemed_by,
        sensitive=facts.sensitive,
        opaque=facts.opaque,
        how_bad=facts.how_bad,
        undo=facts.undo,
        command=facts.command,
        reason=ask.reason,
        context=b"" if ask.context is None else canonical(ask.context),
        run_id=None if ask.run_id is None else RunId(ask.run_id),
        call_id=ask.call_id,
        idempotency_key=ask.idempotency_key,
        on_behalf_of=ask.on_behalf_of,
        reasons=fate.decision.reasons,
        rules=fate.decision.rules,
        policy_version=judged.policy.version,
        decided_by_human=fate.state is ActionState.PENDING,
        decided_at=fate.decided_at,
        attempt=fate.attempt,
        pick_up_until=fate.pick_up_until,
        lease_expires_at=fate.lease_expires_at,
        probe_of=_probe_of(fate.decision),
        reserved=fate.reserved,
    )


def _question(broker: Broker, tx: Tx, key: Credential, ask: Ask, judged: _Judged) -> Approval | None:
    """Return the approval that would be asked, or None when no route of the verdict would be."""
    found = [judged.policy.route(name) for name in judged.verdict.routes]
    routes = tuple(route for route in found if route is not None)
    profile = judged.policy.agent(key.principal)
    if profile is None or not routes or len(routes) != len(found):
        return None
    question = Approval(
        id=ApprovalId(broker.new_id("apr")),
        code=broker.new_code(),
        action=judged.action,
        digest=judged.digest,
        agent=profile.id,
        owner=profile.owner,
        tool=ask.tool,
        environment=judged.facts.environment,
        impact=judged.facts.impact,
        routes=routes,
        asked_at=tx.now,
        expires_at=tx.now + min(route.expires_after for route in routes),
        drivers=_drivers(ask.on_behalf_of),
        key_issuer=key.issued_by,
        nonproduction=judged.facts.nonproduction,
        run_id=ask.run_id,
    )
    if not decisions.destroys_in_production(judged.facts):
        return question
    there = broker.who_can_be_at_console()
    return approvals.at_console(question, judged.policy.operators(), who_can_be_there=there, now=tx.now)


def _drivers(on_behalf_of: tuple[str, ...]) -> tuple[OperatorId, ...]:
    return tuple(
        OperatorId(name.removeprefix(OPERATOR_PREFIX)) for name in on_behalf_of if name.startswith(OPERATOR_PREFIX)
    )


async def _store_pending(tx: Tx, pending: Action, decision: Decision, question: Approval, judged: _Judged) -> Answered:
    answered = await _store(tx, pending, decision, approval=question)
    await tx.add(question)
    await tx.append(entries.approval_asked(pending, question))
    return replace(answered, approval=question, who=who_can_decide(question, judged.policy, tx.now))


async def _store_allowed(broker: Broker, tx: Tx, action: Action, decision: Decision) -> Answered:
    answered = await _store(tx, action, decision)
    if action.pick_up_until is None:
        return answered
    grant = grants.issue(action, new_id=GrantId(broker.new_id("grt")), now=tx.now, expires_at=action.pick_up_until)
    await tx.add(grant)
    await tx.append(entries.grant_issued(action, grant))
    return replace(answered, grant=grant)


async def _store(tx: Tx, action: Action, decision: Decision, approval: Approval | None = None) -> Answered:
    await tx.append(entries.action_decided(action, decision, approval))
    await tx.add(action)
    return Answered(action=action, decision=decision, retry_after=when_again(decision, tx.now))
