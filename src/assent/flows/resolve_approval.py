"""A human answers: a yes, a no, a revocation or leave to ask again, counted by one function whatever the surface.

Every act is recorded, also the one that did not count, with the exact reason. The answer leaves after the commit.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from assent.core import approvals, denials, grants
from assent.core.actions import Action, ActionEvent, ActionState, approve, end
from assent.core.approvals import Approval, ApprovalId, ApprovalState, DenialCategory, Moved, Voter
from assent.core.breaker_rules import REJECTED
from assent.core.denials import Again, Denial
from assent.core.errors import Forged, NotFound
from assent.core.grants import Grant, GrantId
from assent.core.operators import Assurance, Permission
from assent.core.passkeys import about_vote
from assent.core.reasons import Reason
from assent.core.records import RecordKind
from assent.flows import entries, passkey_entries
from assent.flows.active_policy import decide, refuse_behind
from assent.flows.answers import who_can_decide
from assent.flows.authenticate import OperatorCaller, SessionCaller, confirm_operator, require, was_revoked
from assent.flows.broker import Broker
from assent.flows.end_action import end_without_running, settle
from assent.flows.judge_again import judge_again, why_in_vain
from assent.flows.log_says import believe_log
from assent.flows.notice import notice
from assent.flows.one_hand import why_one_hand
from assent.flows.seen_whole import why_not_displayable, why_not_seen
from assent.flows.sign_for import Answer, SteppedUp, Unsigned, check_answer, take
from assent.flows.use_of_passkey import PasskeyUse, gains_by_passkey, use_of_passkey
from assent.flows.watch_actions import tell
from assent.ports import Policy, Tx, View

# So many open questions are looked at in one transaction to find those that one person could answer.
LOOKED_AT_ONCE = 1_000
NOW = Again()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One approval as an operator sees it at `now`: the whole action, and why the caller cannot vote.

    `again` says from when on a denied one may be asked again. `passkey` says what the caller's would do here.
    """

    approval: Approval
    action: Action
    why_not_me: Reason | None
    policy: Policy
    now: datetime
    again: Again = NOW
    passkey: PasskeyUse = PasskeyUse.NONE

    @property
    def who(self) -> tuple[str, ...]:
        """Who could still vote; everybody is looked at for it, so lists that do not show it do not ask."""
        return who_can_decide(self.approval, self.policy, self.now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What became of an act on an approval: `refused` says why it did not count, else the values are the new ones.

    `again` says from when on a denied one may be asked again. `rejected`: this very act was a human's no.
    """

    approval: Approval
    action: Action
    refused: Reason | None = None
    who: tuple[str, ...] = ()
    again: Again = NOW
    rejected: bool = False


async def show_approval(broker: Broker, caller: OperatorCaller, key: str) -> Seen:
    """Return one approval by id or code.

    Raises:
        NotFound: no such approval.
        Forbidden: the caller may not read approvals.

    """
    require(caller, Permission.APPROVALS_READ)

    async def work(view: View) -> Seen:
        await confirm_operator(view, caller)
        return await _seen(broker, view, caller, await find(view, key))

    return await broker.ledger.read(work)


@dataclass(frozen=True, slots=True)
class Listed:
    """Approvals as of `now`, newest first; `rest` is where older ones begin, None when there are none."""

    items: tuple[Seen, ...]
    now: datetime
    rest: ApprovalId | None = None


async def find_approval(broker: Broker, caller: OperatorCaller, code: str) -> Listed:
    """Return the newest approval with this code, or nothing.

    Raises:
        Forbidden: the caller may not read approvals.

    """
    require(caller, Permission.APPROVALS_READ)

    async def work(view: View) -> Listed:
        await confirm_operator(view, caller)
        one = await view.approval_by_code(code)
        seen = None if one is None else await _seen_or_damaged(broker, view, caller, one)
        return Listed(() if seen is None else (seen,), view.now)

    return await broker.ledger.read(work)


async def list_approvals(
    broker: Broker,
    caller: OperatorCaller,
    states: tuple[ApprovalState, ...],
    *,
    limit: int = 50,
    before: ApprovalId | None = None,
) -> Listed:
    """Return approvals in any of `states`, newest first, at most `limit`.

    Raises:
        Forbidden: the caller may not read approvals.

    """
    require(caller, Permission.APPROVALS_READ)

    async def work(view: View) -> Listed:
        await confirm_operator(view, caller)
        found = await view.approvals(states, limit=limit, before=before)
        listed = [await _seen_or_damaged(broker, view, caller, approval) for approval in found]
        return Listed(tuple(seen for seen in listed if seen is not None), view.now, _rest(found, limit))

    return await broker.ledger.read(work)


async def list_mine(
    broker: Broker,
    caller: OperatorCaller,
    states: tuple[ApprovalState, ...],
    *,
    limit: int = 50,
    before: ApprovalId | None = None,
) -> Listed:
    """Return those approvals in any of `states` that wait for the caller's vote; a page may hold fewer than `limit`.

    Raises:
        Forbidden: the caller may not read approvals.

    """
    require(caller, Permission.APPROVALS_READ)

    async def work(view: View) -> Listed:
        await confirm_operator(view, caller)
        found = await view.approvals(states, limit=LOOKED_AT_ONCE, before=before)
        mine: list[Seen] = []
        for approval in found:
            seen = await _mine_or_damaged(broker, view, caller, approval)
            mine += [] if seen is None else [seen]
            if len(mine) >= limit:
                return Listed(tuple(mine), view.now, approval.id)
        return Listed(tuple(mine), view.now, _rest(found, LOOKED_AT_ONCE))

    return await broker.ledger.read(work)


async def _mine_or_damaged(broker: Broker, view: View, caller: OperatorCaller, approval: Approval) -> Seen | None:
    try:
        heard = await _as_heard(view, approval)
    except Forged:
        return None
    if approvals.has_voted(heard, caller.operator.id) or not _may_be_mine(broker, heard, caller, view.now):
        return None
    seen = await _seen_or_damaged(broker, view, caller, heard)
    return seen if seen is not None and _waits_for_me(seen) else None


def _may_be_mine(broker: Broker, approval: Approval, caller: OperatorCaller, now: datetime) -> bool:
    return not _why_not_now(approval, caller, now) or gains_by_passkey(broker, approval, caller, now)


def _waits_for_me(seen: Seen) -> bool:
    return seen.why_not_me is None or seen.passkey is PasskeyUse.NEEDED


def _rest(found: Sequence[Approval], limit: int) -> ApprovalId | None:
    return found[-1].id if len(found) >= limit else None


async def _seen_or_damaged(broker: Broker, view: View, caller: OperatorCaller, approval: Approval) -> Seen | None:
    # A list leaves out what is damaged, here an approval whose action is: the others still need an answer.
    try:
        return await _seen(broker, view, caller, approval)
    except (Forged, NotFound):
        return None


async def _seen(broker: Broker, view: View, caller: OperatorCaller, approval: Approval) -> Seen:
    approval, action = await _as_heard(view, approval), await action_of(view, approval)
    why_not = (
        _why_not_now(approval, caller, view.now)
        or await why_one_hand(view, approval, caller)
        or await why_not_displayable(view, action, caller)
    )
    return Seen(
        approval=approval,
        action=action,
        why_not_me=why_not,
        policy=broker.policy(),
        now=view.now,
        again=await _again(view, approval, action),
        passkey=await use_of_passkey(broker, view, action, approval, caller),
    )


def _why_not_now(approval: Approval, caller: OperatorCaller, now: datetime) -> Reason | None:
    return approvals.why_closed(approval, now) or approvals.why_not_vote(approval, caller.voter(), now)


async def _again(view: View, approval: Approval, action: Action) -> Again:
    if approval.state is not ApprovalState.DENIED:
        return NOW
    content = denials.cooled_content(agent=action.agent, tool=action.tool, arguments=action.arguments)
    held = await view.denials(action.agent, action.tool)
    return denials.when_again(held, content=content, rules=action.rules, now=view.now)


async def find(view: View, key: str) -> Approval:
    """Return the approval of that id or code. Raises NotFound."""
    found = await view.get(Approval, key) or await view.approval_by_code(key.upper())
    if found is None:
        raise NotFound(f"no approval `{key}`", hint="list the open ones with `assent approvals list`")
    return found


async def action_of(view: View, approval: Approval) -> Action:
    """Return the action that `approval` is about. Raises NotFound."""
    action = await view.get(Action, approval.action)
    if action is None:
        raise NotFound(f"the action of approval `{approval.code}` is gone", hint="run `assent audit verify`")
    return action


async def approve_action(
    broker: Broker, caller: OperatorCaller, key: str, *, digest_prefix: str, comment: str = "", passkey: str = ""
) -> Resolved:
    """Return the approval with the caller's yes counted, and its grant issued when that completed it.

    `comment` is payload of the vote's record. `passkey` is what the caller's passkey answered to what `ask_to_vote`
    told, as JSON: with it the vote counts as `step_up`, and where it does not hold nothing counts.

    Raises:
        NotFound: no such approval.
        Unauthenticated: the caller's token was revoked since.
        IllegalMove: there is an answer of a passkey, and this broker takes none.
        PolicyBehind: another policy is active than the one that is loaded here. A no, and taking back, always pass.

    """
    grant_id = GrantId(broker.new_id("grt"))
    answer = await _answer_of(broker, caller, key, passkey)

    async def work(tx: Tx) -> Resolved:
        policy = broker.policy()
        await confirm_operator(tx, caller)
        await refuse_behind(tx, policy)
        approval = await _as_heard(tx, await find(tx, key))
        action = await action_of(tx, approval)
        signed = await _signed(tx, caller, approval, answer)
        if isinstance(signed, Unsigned):
            refused = entries.vote_refused(action, approval, caller.voter(), "approve", signed.reason)
            await tx.append(passkey_entries.with_unsigned(refused, signed))
            return Resolved(approval=approval, action=action, refused=signed.reason)
        sure = caller if signed is None else signed.caller
        voted = approvals.vote(
            approval, sure.voter(), digest_prefix=digest_prefix, operators=policy.operators(), now=tx.now
        )
        if isinstance(voted, Reason):
            return await _refused(broker, tx, action, approval, voter=sure.voter(), act="approve", reason=voted)
        if not voted.moved:
            return Resolved(approval=approval, action=action)
        why_not = await why_one_hand(tx, approval, sure) or await why_not_seen(tx, action, sure)
        why_not = why_not or _why_one_factor(broker, approval, voted.approval, tx.now)
        if why_not is not None:
            return await _refused(broker, tx, action, approval, voter=sure.voter(), act="approve", reason=why_not)
        if (changed := why_in_vain(judge_again(policy, action), action, approval)) is not None:
            return await _overtaken(tx, action, approval, sure, changed)
        await tx.replace(approval, voted.approval)
        entry = entries.approval_voted(action, voted.approval, sure.voter(), comment)
        await tx.append(entry if signed is None else passkey_entries.with_signed(entry, signed))
        if voted.approval.state is ApprovalState.APPROVED:
            action = await _make_ready(tx, action, voted.approval, grant_id)
        return Resolved(approval=voted.approval, action=action, who=who_can_decide(voted.approval, policy, tx.now))

    return await _transact_and_tell(broker, work)


async def _as_heard(view: View, approval: Approval) -> Approval:
    """Return the approval without votes by a token or passkey that was revoked since: whose hand was it?

    What is decided stays as it was decided, and by whom.
    """
    if approval.state not in approvals.OPEN:
        return approval
    votes = tuple([vote for vote in approval.votes if not await was_revoked(view, vote.using)])
    return approval if len(votes) == len(approval.votes) else replace(approval, votes=votes)


async def _answer_of(broker: Broker, caller: OperatorCaller, key: str, passkey: str) -> Answer | None:
    if not passkey or not isinstance(caller, SessionCaller):
        return None
    approval = await broker.ledger.read(lambda view: find(view, key))
    return await check_answer(broker, caller, about_vote(approval), passkey)


async def _signed(
    tx: Tx, caller: OperatorCaller, approval: Approval, answer: Answer | None
) -> SteppedUp | Unsigned | None:
    # Whoever voted already hears that, however often the same answer comes.
    if answer is None or not isinstance(caller, SessionCaller) or approvals.has_voted(approval, caller.operator.id):
        return None
    return await take(tx, caller, about_vote(approval), answer)


def _why_one_factor(broker: Broker, before: Approval, voted: Approval, now: datetime) -> Reason | None:
    """Return why two votes that rest on one factor are not enough, where somebody who can still vote has another one.

    Whoever holds a Slack workspace holds everybody's clicks, and whoever reads a disk everybody's tokens.
    """
    is_for_two = sum(need.count for route in before.routes for need in route.needs) > 1
    if voted.state is not ApprovalState.APPROVED or not is_for_two:
        return None
    if any(vote.assurance >= Assurance.CONSOLE for vote in voted.votes):
        return None
    able = broker.who_can_be_at_console().intersection(approvals.who_can_vote(before, broker.policy().operators(), now))
    named = " and ".join(f"`{one}`" for one in sorted(able))
    said = f"this needs two people, and one of them answers at the console: {named} can"
    return Reason.of("step_up_required", said) if able else None


async def _overtaken(tx: Tx, action: Action, approval: Approval, caller: OperatorCaller, changed: Reason) -> Resolved:
    """Cancel a question that policy would not ask like this any more; the agent asks anew, and so does the broker."""
    await tx.append(entries.vote_refused(action, approval, caller.voter(), "approve", changed))
    ended = await end_without_running(tx, action, ActionEvent.CANCEL, changed)
    return Resolved(approval=ended.approval or approval, action=ended.action, refused=changed)


async def _make_ready(tx: Tx, action: Action, approval: Approval, grant_id: GrantId) -> Action:
    await believe_log(tx, action, RecordKind.APPROVAL_MOVED, RecordKind.ACTION_MOVED)
    until = tx.now + min(route.pick_up_within for route in approval.routes)
    ready = approve(action, now=tx.now, pick_up_until=until)
    grant: Grant = grants.issue(ready, new_id=grant_id, now=tx.now, expires_at=until)
    await tx.replace(action, ready)
    await tx.add(grant)
    await tx.append(entries.approval_moved(ready, approval))
    await tx.append(entries.grant_issued(ready, grant))
    return ready


async def deny_action(
    broker: Broker, caller: OperatorCaller, key: str, *, category: DenialCategory, comment: str
) -> Resolved:
    """Return the approval denied by the caller: nothing will be run.

    Raises:
        NotFound: no such approval.
        Unauthenticated: the caller's token was revoked since.

    """

    async def work(tx: Tx) -> Resolved:
        await confirm_operator(tx, caller)
        approval = await find(tx, key)
        action = await action_of(tx, approval)
        denied = approvals.deny(approval, caller.voter(), category=category, comment=comment, now=tx.now)
        if isinstance(denied, Reason):
            return await _refused(broker, tx, action, approval, voter=caller.voter(), act="deny", reason=denied)
        if denied.moved:
            action = await _store_denied(tx, action, approval, denied, caller.voter())
        again = await _again(tx, denied.approval, action)
        return Resolved(approval=denied.approval, action=action, again=again, rejected=denied.moved)

    resolved = await _transact_and_tell(broker, work)
    if resolved.rejected:
        action = resolved.action
        await notice(broker, broker.policy().counted(action.agent, action.tool, action.environment), REJECTED)
    return resolved


async def _store_denied(tx: Tx, action: Action, approval: Approval, denied: Moved, voter: Voter) -> Action:
    category = denied.approval.category
    why = Reason.of("approval_denied", "" if category is None else category.value)
    ended = end(action, ActionEvent.DENY, why, now=tx.now)
    remembered = denials.remember(denied.approval, action, tx.now)
    await tx.replace(approval, denied.approval)
    await tx.replace(action, ended)
    await tx.add(remembered)
    await tx.append(entries.approval_denied(ended, denied.approval, voter, remembered))
    await settle(tx, ended)
    return ended


async def revoke_approval(broker: Broker, caller: OperatorCaller, key: str, *, reason: str) -> Resolved:
    """Return the approved action revoked, as long as nobody has picked it up.

    Raises:
        NotFound: no such approval.
        Unauthenticated: the caller's token was revoked since.

    """

    async def work(tx: Tx) -> Resolved:
        await confirm_operator(tx, caller)
        approval = await find(tx, key)
        action = await action_of(tx, approval)
        refused = approvals.why_not_stop(approval, caller.voter(), tx.now) or _why_not_revocable(action)
        if refused is not None:
            return await _refused(broker, tx, action, approval, voter=caller.voter(), act="revoke", reason=refused)
        if action.state is ActionState.READY:
            why = Reason.of("approval_revoked", reason)
            act = entries.Act(by=caller.voter(), approval=approval, said=reason)
            action = (await end_without_running(tx, action, ActionEvent.REVOKE, why, act=act)).action
        return Resolved(approval=approval, action=action)

    return await _transact_and_tell(broker, work)


async def let_ask_again(broker: Broker, caller: OperatorCaller, key: str, *, reason: str = "") -> Resolved:
    """Return the denied approval, whose question people may be asked again from now on; nothing is approved by that.

    `reason` is payload of the record.

    Raises:
        NotFound: no such approval.
        Unauthenticated: the caller's token was revoked since.
        PolicyBehind: another policy is active than the one that is loaded here.

    """

    async def work(tx: Tx) -> Resolved:
        await confirm_operator(tx, caller)
        await refuse_behind(tx, broker.policy())
        approval = await find(tx, key)
        action = await action_of(tx, approval)
        refused = approvals.why_not_let_again(approval, caller.voter(), tx.now)
        if refused is not None:
            return await _refused(broker, tx, action, approval, voter=caller.voter(), act="let_again", reason=refused)
        await _lift(tx, action, approval, caller.voter(), reason)
        return Resolved(approval=approval, action=action, again=await _again(tx, approval, action))

    return await _transact_and_tell(broker, work)


async def _lift(tx: Tx, action: Action, approval: Approval, voter: Voter, reason: str) -> None:
    about = await tx.get(Denial, approval.id)
    if about is None:
        return
    lifted = denials.let_again(await tx.denials(action.agent, action.tool), about)
    for old, new in lifted:
        await tx.replace(old, new)
    if lifted:
        await tx.append(entries.approval_let_again(action, approval, voter, [old.id for old, _ in lifted], reason))


def _why_not_revocable(action: Action) -> Reason | None:
    if action.state in {ActionState.READY, ActionState.REVOKED}:
        return None
    if action.state is ActionState.PENDING:
        return Reason.of("not_approved")
    running = "it is running: this is only a request to stop" if action.state is ActionState.EXECUTING else ""
    return Reason.of("already_decided", running or f"the action is `{action.state}`")


async def _refused(
    broker: Broker, tx: Tx, action: Action, approval: Approval, *, voter: Voter, act: str, reason: Reason
) -> Resolved:
    await tx.append(entries.vote_refused(action, approval, voter, act, reason))
    who = who_can_decide(approval, broker.policy(), tx.now)
    return Resolved(approval=approval, action=action, refused=reason, who=who)


async def _transact_and_tell(broker: Broker, work: Callable[[Tx], Awaitable[Resolved]]) -> Resolved:
    resolved = await decide(broker, work)
    tell(broker, resolved.action)
    return resolved
