"""Approvals: the human answer to one pending action. Moves only forward; expires closed; silence is never a yes.

Quorum counts distinct people: every vote fills at most one seat, over all routes together, and only while its voter is
still eligible. The owner, the driver and whoever issued the agent's key never fill a seat, however many accounts
they have, because people are compared by operator.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType

from assent.core.actions import ActionId, Impact
from assent.core.agents import AgentId
from assent.core.errors import IllegalMove
from assent.core.operators import Assurance, Operator, OperatorId, Permission
from assent.core.reasons import Reason

ApprovalId = NewType("ApprovalId", str)

MIN_DIGEST_PREFIX = 8
NEW_TOKEN_FROM_OWNER_WAITS = timedelta(hours=24)
DEFAULT_COOL_OFF = timedelta(minutes=30)


class ApprovalState(StrEnum):
    """Where an approval is; the last four are final."""

    PENDING = "pending"
    PARTIAL = "partial"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class ApprovalEvent(StrEnum):
    """What can happen to an approval."""

    VOTE = "vote"
    COMPLETE = "complete"
    DENY = "deny"
    EXPIRE = "expire"
    CANCEL = "cancel"


_S, _E = ApprovalState, ApprovalEvent
_AFTER = {
    _E.VOTE: _S.PARTIAL,
    _E.COMPLETE: _S.APPROVED,
    _E.DENY: _S.DENIED,
    _E.EXPIRE: _S.EXPIRED,
    _E.CANCEL: _S.CANCELLED,
}
OPEN = frozenset({_S.PENDING, _S.PARTIAL})
MOVES: dict[tuple[ApprovalState, ApprovalEvent], ApprovalState] = {
    (state, event): after for state in sorted(OPEN) for event, after in _AFTER.items()
}


class DenialCategory(StrEnum):
    """Why a human said no; required, so that numbers about denials mean something."""

    WRONG_TARGET = "wrong_target"
    WRONG_TIME = "wrong_time"
    TOO_RISKY = "too_risky"
    NOT_NEEDED = "not_needed"
    MALICIOUS = "malicious"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """`count` different people of the group `of`."""

    count: int
    of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Who is told when: `tell` names destinations, such as `slack:C0PROD`, `after` counts from the question."""

    after: timedelta
    tell: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Who must answer, with what assurance and until when; copied into the approval when it is asked.

    What was denied is not asked again for `cool_off`. An agent that said it waits and is not seen for so long as
    `agent_gone_after` is gone, and nobody is asked any more; None: never. Routes that differ in `steps` or in this
    alone ask the same people the same. `assurance_left_open`: it names no assurance, so `assurance` is `slack`, and
    what destroys in production asks for more (see `at_console`).
    """

    name: str
    needs: tuple[Need, ...]
    assurance: Assurance = Assurance.SLACK
    assurance_left_open: bool = False
    expires_after: timedelta = timedelta(minutes=15)
    pick_up_within: timedelta = timedelta(minutes=30)
    cool_off: timedelta = DEFAULT_COOL_OFF
    agent_gone_after: timedelta | None = field(default=None, compare=False)
    steps: tuple[Step, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One eligible person's yes, with how sure we were who it was and on which surface.

    `using` is the id of the bearer token that it rests on, empty where it rests on none.
    """

    operator: OperatorId
    at: datetime
    assurance: Assurance
    surface: str
    using: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One question to humans about one action.

    `code` is short and for people (`K7Q-4MX`); `digest` is the action's. `nonproduction`: its environment was
    marked so when it was asked. `decided_by` names who completed or denied it. `comment` is payload: encrypted at rest,
    committed to in the record.
    """

    id: ApprovalId
    code: str
    action: ActionId
    digest: str
    agent: AgentId
    owner: OperatorId
    tool: str
    environment: str
    impact: Impact
    routes: tuple[Route, ...]
    asked_at: datetime
    expires_at: datetime
    state: ApprovalState = ApprovalState.PENDING
    drivers: tuple[OperatorId, ...] = ()
    key_issuer: str = ""
    nonproduction: bool = False
    run_id: str | None = None
    votes: tuple[Vote, ...] = ()
    revision: int = 1
    decided_at: datetime | None = None
    decided_by: OperatorId | None = None
    category: DenialCategory | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voter:
    """Who acts, as the surface found out: the operator of the loaded policy, the surface and its assurance.

    `account` is the channel's id of who acted, where a channel told us. `using`, `token_issued_by` and
    `token_issued_at` describe the bearer token used, where one was.
    """

    operator: Operator
    assurance: Assurance
    surface: str
    account: str = ""
    using: str = ""
    token_issued_by: str | None = None
    token_issued_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """The act counted; `approval` is the new value. `moved` is False when it only repeats the voter's own act."""

    approval: Approval
    moved: bool = True


@dataclass(frozen=True, slots=True)
class _Seat:
    group: str
    assurance: Assurance


def first_step_only(approval: Approval) -> Approval:
    """Return the question as it is asked about a probe: whoever is told first, and nobody is woken after them."""
    routes = tuple(replace(route, steps=tuple(sorted(route.steps, key=_after)[:1])) for route in approval.routes)
    return replace(approval, routes=routes)


def _after(step: Step) -> timedelta:
    return step.after


def move(approval: Approval, event: ApprovalEvent) -> ApprovalState:
    """Return the state that `event` leads to.

    Raises:
        IllegalMove: the approval is final.

    """
    try:
        return MOVES[approval.state, event]
    except KeyError:
        raise IllegalMove(f"an approval that is `{approval.state}` cannot `{event}`") from None


def why_barred(approval: Approval, operator: Operator, now: datetime) -> Reason | None:
    """Return why this person may never fill a seat of this approval, or None.

    Owner, drivers and key issuer are barred whatever their groups; `single_person` lets an owner through for what is
    not destructive, and every surface then says so (see `is_self_approved`).
    """
    if not operator.may(Permission.APPROVALS_DECIDE):
        return Reason.of("not_eligible", "you do not hold `approvals.decide`")
    exempt = _single_person_holds(approval, operator, now)
    if operator.id == approval.owner and not exempt:
        return Reason.of("not_eligible", "you own this agent")
    if operator.id in approval.drivers and not exempt:
        return Reason.of("not_eligible", "the agent acts on your behalf")
    if operator.id == approval.key_issuer and not exempt:
        return Reason.of("not_eligible", "you issued the agent's key")
    return None


def _single_person_holds(approval: Approval, operator: Operator, now: datetime) -> bool:
    single = operator.single_person
    return single is not None and now < single.until and approval.impact is not Impact.DESTRUCTIVE


def is_self_approved(approval: Approval) -> bool:
    """Whether somebody who would be barred filled a seat under `single_person`; every surface must say so."""
    return any(vote.operator in _involved(approval) for vote in approval.votes)


def _involved(approval: Approval) -> set[str]:
    return {approval.owner, approval.key_issuer, *approval.drivers} - {""}


def can_be_satisfied(
    approval: Approval, operators: Iterable[Operator], now: datetime, *, without_passkey: Collection[str] = ()
) -> bool:
    """Whether enough different eligible people exist to fill every seat, on whatever surface they can come to.

    Those `without_passkey` can come to any but `step_up`.
    """
    seats = _seats(approval)
    groups = {seat.group for seat in seats}
    people = [
        (o, Assurance.CONSOLE if o.id in without_passkey else Assurance.STEP_UP)
        for o in operators
        if not groups.isdisjoint(o.groups) and why_barred(approval, o, now) is None
    ]
    return _all_filled(seats, people)


def at_console(
    approval: Approval, operators: Iterable[Operator], *, who_can_be_there: Collection[str], now: datetime
) -> Approval:
    """Return the question with `console` on every route that leaves the assurance open.

    Meant for what destroys in production. Where not enough people who may answer can be at the console, it is returned
    as it is: an answer that nobody can give would only teach people to write `assurance: token`. Whom the agent names
    as its drivers counts among these people: else it would choose how surely it is answered.
    """
    asked = replace(approval, routes=tuple(_route_at_console(route) for route in approval.routes))
    of_anybody = replace(asked, drivers=())
    enough = can_be_satisfied_there(of_anybody, operators, who_can_be_there=who_can_be_there, now=now)
    return asked if enough else approval


def can_be_satisfied_there(
    approval: Approval, operators: Iterable[Operator], *, who_can_be_there: Collection[str], now: datetime
) -> bool:
    """Whether enough different eligible people exist to fill every seat, those at the console who can be there."""
    able = [o for o in operators if why_barred(approval, o, now) is None]
    people = [(o, Assurance.STEP_UP if o.id in who_can_be_there else Assurance.LINKED) for o in able]
    return _all_filled(_seats(approval), people)


def _route_at_console(route: Route) -> Route:
    return replace(route, assurance=Assurance.CONSOLE) if route.assurance_left_open else route


def was_put_at_console(approval: Approval) -> bool:
    """Whether `at_console` said so, not a route itself."""
    return any(route.assurance_left_open and route.assurance >= Assurance.CONSOLE for route in approval.routes)


def asks_for_passkey(approval: Approval) -> bool:
    """Whether some seat is filled with a passkey alone."""
    return any(seat.assurance is Assurance.STEP_UP for seat in _seats(approval))


def who_can_vote(approval: Approval, operators: Iterable[Operator], now: datetime) -> tuple[OperatorId, ...]:
    """Return the people who could still fill a seat, in the order given."""
    voted = {vote.operator for vote in approval.votes}
    groups = {seat.group for seat in _seats(approval)}
    return tuple(
        o.id
        for o in operators
        if not groups.isdisjoint(o.groups) and o.id not in voted and why_barred(approval, o, now) is None
    )


def has_voted(approval: Approval, operator: OperatorId) -> bool:
    """Whether this person has said yes already."""
    return any(vote.operator == operator for vote in approval.votes)


def why_not_vote(approval: Approval, voter: Voter, now: datetime) -> Reason | None:
    """Return why `voter` cannot fill a seat now, or None when they can."""
    operator = voter.operator
    if (reason := why_barred(approval, operator, now)) is not None:
        return reason
    mine = [seat for seat in _seats(approval) if seat.group in operator.groups]
    if not mine:
        return Reason.of("not_eligible", "you are in none of the groups that must answer")
    # Not the key issuer's: who hands out credentials hands out both, and that record names them.
    if voter.token_issued_by in {approval.owner, *approval.drivers} - {operator.id} and is_fresh(voter, now):
        return Reason.of("not_eligible", "somebody who may not vote here issued your token less than 24 hours ago")
    if all(voter.assurance < seat.assurance for seat in mine):
        least = min(seat.assurance for seat in mine)
        how = ": at the console, signed with a passkey" if least is Assurance.STEP_UP else " or better"
        return Reason.of("step_up_required", f"this route accepts `{least.name.lower()}`{how}")
    return None


def gains_by_passkey(approval: Approval, voter: Voter, now: datetime) -> bool:
    """Whether `voter` could fill a seat with a passkey that they cannot fill as they are."""
    groups = voter.operator.groups
    if not any(seat.group in groups and seat.assurance > voter.assurance for seat in _seats(approval)):
        return False
    return why_not_vote(approval, replace(voter, assurance=Assurance.STEP_UP), now) is None


def is_fresh(voter: Voter, now: datetime) -> bool:
    """Whether the token of `voter` was issued within the last day, or nobody knows when."""
    return voter.token_issued_at is None or now - voter.token_issued_at < NEW_TOKEN_FROM_OWNER_WAITS


def why_closed(approval: Approval, now: datetime) -> Reason | None:
    """Return why this approval can no longer be decided, or None while it is open and not expired."""
    if approval.state is ApprovalState.EXPIRED or (approval.state in OPEN and now >= approval.expires_at):
        return Reason.of("approval_expired")
    if approval.state not in OPEN:
        by = f" by `{approval.decided_by}`" if approval.decided_by else ""
        return Reason.of("already_decided", f"it is `{approval.state}`{by}")
    return None


def vote(
    approval: Approval, voter: Voter, *, digest_prefix: str, operators: Sequence[Operator], now: datetime
) -> Moved | Reason:
    """Return the approval with `voter`'s yes counted, or the reason why it does not count.

    The caller must have authenticated the voter, and shown them the full content on a surface that could show it.
    `operators` are those of the loaded policy: earlier votes of people who lost eligibility since fill no seat.
    """
    # (1) my own vote again changes nothing, whatever happened since
    if has_voted(approval, voter.operator.id):
        return Moved(approval, moved=False)
    # (2) open and not expired, at the ledger's time
    if (reason := why_closed(approval, now)) is not None:
        return reason
    # (3) what was shown is what is stored
    if len(digest_prefix) < MIN_DIGEST_PREFIX or not approval.digest.startswith(digest_prefix):
        return Reason.of("digest_changed")
    # (4) the person: permission, group, separation of duty, token age, assurance of the surface
    if (reason := why_not_vote(approval, voter, now)) is not None:
        return reason
    cast = Vote(operator=voter.operator.id, at=now, assurance=voter.assurance, surface=voter.surface, using=voter.using)
    return Moved(_counted(replace(approval, votes=(*approval.votes, cast)), operators, now))


def _counted(approval: Approval, operators: Sequence[Operator], now: datetime) -> Approval:
    complete = _all_filled(_seats(approval), _votes_that_count(approval, operators, now))
    state = move(approval, ApprovalEvent.COMPLETE if complete else ApprovalEvent.VOTE)
    return replace(
        approval,
        state=state,
        revision=approval.revision + 1,
        decided_at=now if complete else None,
        decided_by=approval.votes[-1].operator if complete else None,
    )


def _votes_that_count(
    approval: Approval, operators: Sequence[Operator], now: datetime
) -> list[tuple[Operator, Assurance]]:
    known = {o.id: o for o in operators}
    return [
        (operator, v.assurance)
        for v in approval.votes
        if (operator := known.get(v.operator)) is not None and why_barred(approval, operator, now) is None
    ]


def _seats(approval: Approval) -> list[_Seat]:
    return [
        _Seat(need.of, route.assurance) for route in approval.routes for need in route.needs for _ in range(need.count)
    ]


def _all_filled(seats: Sequence[_Seat], people: Sequence[tuple[Operator, Assurance]]) -> bool:
    # Bipartite matching by augmenting paths: a person fills one seat, and may move to another to make room. An
    # approval without seats is never filled: nobody was asked, so nobody agreed.
    filled: dict[int, int] = {}

    def seat_one(person: int, tried: set[int]) -> bool:
        operator, assurance = people[person]
        for index, seat in enumerate(seats):
            if index in tried or seat.group not in operator.groups or assurance < seat.assurance:
                continue
            tried.add(index)
            if index not in filled or seat_one(filled[index], tried):
                filled[index] = person
                return True
        return False

    for person in range(len(people)):
        seat_one(person, set())
    return bool(seats) and len(filled) == len(seats)


def deny(approval: Approval, voter: Voter, *, category: DenialCategory, comment: str, now: datetime) -> Moved | Reason:
    """Return the approval denied, or the reason why `voter` may not deny it.

    Any eligible approver may, the agent's owner and security admins too; one denial is enough.
    """
    repeated = approval.state is ApprovalState.DENIED and approval.decided_by == voter.operator.id
    if repeated:
        return Moved(approval, moved=False)
    if (reason := why_closed(approval, now)) is not None:
        return reason
    if (reason := why_not_stop(approval, voter, now)) is not None:
        return reason
    return Moved(
        replace(
            approval,
            state=move(approval, ApprovalEvent.DENY),
            decided_at=now,
            decided_by=voter.operator.id,
            category=category,
            comment=comment,
            revision=approval.revision + 1,
        )
    )


def why_not_stop(approval: Approval, voter: Voter, now: datetime) -> Reason | None:
    """Return why `voter` may neither deny nor revoke, or None; saying no needs less than saying yes."""
    if voter.operator.id == approval.owner or voter.operator.security_admin:
        return None
    reason = why_not_vote(approval, voter, now)
    return None if reason is None or reason.code == "step_up_required" else reason


def why_not_let_again(approval: Approval, voter: Voter, now: datetime) -> Reason | None:
    """Return why `voter` may not let a denied question be asked again, or None.

    Who denied it may take that back; anybody else needs what a yes needs, because it leads to one.
    """
    denied = approval.state is ApprovalState.DENIED
    if denied and voter.operator.id == approval.decided_by:
        return None
    if (reason := _why_not_lead_to_yes(approval, voter, now)) is not None:
        return reason
    return None if denied else Reason.of("not_denied", f"it is `{approval.state}`")


def _why_not_lead_to_yes(approval: Approval, voter: Voter, now: datetime) -> Reason | None:
    if (reason := why_barred(approval, voter.operator, now)) is not None:
        return reason
    return None if voter.operator.security_admin else why_not_vote(approval, voter, now)


def expire(approval: Approval, *, now: datetime) -> Approval:
    """Return the approval expired: nobody answered in time, and nobody is said to have denied it."""
    state = move(approval, ApprovalEvent.EXPIRE)
    return replace(approval, state=state, decided_at=now, revision=approval.revision + 1)


def cancel(approval: Approval, *, now: datetime) -> Approval:
    """Return the approval cancelled: the agent withdrew, a breaker tripped, or the question changed."""
    state = move(approval, ApprovalEvent.CANCEL)
    return replace(approval, state=state, decided_at=now, revision=approval.revision + 1)
