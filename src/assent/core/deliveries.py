"""Deliveries: one approval told at one destination, and whether what stands there is what holds now.

    queued → sent → current ⇄ stale, over when it shows the end, dead when nothing can be told there

`sent` and `stale` mean that something was handed over and nobody has said that it arrived: a first card is then looked
for before it is sent again, so that it never stands there twice; an update may be repeated, as it changes one card.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NewType, TypeAlias

from assent.core.actions import ENDED, Action, ActionState
from assent.core.approvals import OPEN, Approval, ApprovalId, Route, why_barred
from assent.core.errors import AssentError, IllegalMove
from assent.core.operators import Operator, OperatorId
from assent.core.presence import Presence

DeliveryId = NewType("DeliveryId", str)

LOOK_AFTER: Final = timedelta(seconds=10)
"""So long after a first card was handed over, unheard, it is looked for."""
CONFIRMED_WITHIN: Final = timedelta(seconds=20)
"""A step that nobody confirmed by then starts the next one."""
PAST: Final = timedelta(days=30)
"""How far back a card looks."""
FIRST_WAIT: Final = timedelta(seconds=1)
LONGEST_WAIT: Final = timedelta(minutes=1)
_MOST_DOUBLINGS: Final = 6
SLACK: Final = "slack"
WEBHOOK: Final = "webhook"
EMAIL: Final = "email"
DIRECT: Final = "dm"
PRIMARY: Final = "primary"
SECONDARY: Final = "secondary"
ON_DUTY: Final = "@"
OnDutyNow: TypeAlias = Mapping[str, frozenset[str]]
"""The accounts that are in each user group of Slack, by its id, as far as anybody said."""
NOBODY_SAID: Final[OnDutyNow] = MappingProxyType({})


class DeliveryState(StrEnum):
    """Where a delivery is."""

    QUEUED = "queued"
    SENT = "sent"
    CURRENT = "current"
    STALE = "stale"
    OVER = "over"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One approval at one destination, such as `slack:C0PROD`.

    `place` is what the channel calls the card that stands there; `shown` names the revisions of approval and action
    that it shows. `due_at` is when something is to be done next; `step` counts the steps of the routes.
    `handed_over_at` is when it was first tried to tell what is not known to have arrived, None when nothing is.
    """

    id: DeliveryId
    approval: ApprovalId
    destination: str
    step: int
    due_at: datetime
    state: DeliveryState = DeliveryState.QUEUED
    place: str | None = None
    shown: str = ""
    handed_over_at: datetime | None = None
    attempts: int = 0
    why: str = ""
    revision: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What became of what people were asked for the same agent and tool lately; `denied` counts silence as well."""

    succeeded: int = 0
    failed: int = 0
    unknown: int = 0
    denied: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """What a channel tells of one approval: the whole of it, at one moment.

    `who` could still vote, `operators` are those of the loaded policy, `past` stands beside what is still open.
    `presence` is that of an agent that said it waits.
    """

    approval: Approval
    action: Action
    now: datetime
    who: tuple[OperatorId, ...]
    operators: Sequence[Operator]
    past: Past | None = None
    presence: Presence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What stands at a destination now: `place` finds it again, `seen` is SHA-256 over exactly what was sent, in hex.

    `seen` is empty where nothing was sent, because what was told before still holds there. `approvable` says whether
    somebody could say yes there.
    """

    place: str
    seen: str
    approvable: bool


class DeliveryFault(AssentError):
    """A channel could not do what it was asked."""

    code = "delivery_failed"


class NotNow(DeliveryFault):
    """Nothing was done; asking again after `retry_after_seconds` may work."""

    retry_after_seconds: float = 5.0


class NobodyKnows(DeliveryFault):
    """It may have been done: no answer came, or none that says."""


class Undeliverable(DeliveryFault):
    """It can never be done there: the place or the card is gone, or the channel refuses it for good."""


class LockedOut(DeliveryFault):
    """The channel refuses everything until somebody sees to its credentials."""


def shows(approval: Approval, action: Action) -> str:
    """Return the name of what a card of these two shows; it changes whenever one of them moves."""
    return f"{approval.revision}.{action.revision}"


def destinations(
    approval: Approval, operators: Sequence[Operator], on_duty: OnDutyNow = NOBODY_SAID
) -> dict[str, tuple[int, timedelta]]:
    """Return every destination of the routes with the number of its step and when that is, the earliest first.

    A destination that several steps name is told once, with the earliest.
    """
    steps = sorted(
        ((step.after, where) for route in approval.routes for step in route.steps for where in step.tell),
        key=lambda one: one[0],
    )
    times = sorted({after for after, _ in steps})
    barred = frozenset(o.id for o in operators if why_barred(approval, o, approval.asked_at) is not None)
    found: dict[str, tuple[int, timedelta]] = {}
    for after, tell in steps:
        for where in resolved(tell, operators, on_duty, barred):
            found.setdefault(where, (times.index(after), after))
    return found


def channels_of(routes: Iterable[Route]) -> frozenset[str]:
    """Return the channels over which the routes tell people: `slack`, `webhook`, `email`."""
    kinds = {tell.partition(":")[0] for route in routes for step in route.steps for tell in step.tell}
    return frozenset(SLACK if kind == DIRECT else kind for kind in kinds)


def planned(
    approval: Approval, operators: Sequence[Operator], on_duty: OnDutyNow = NOBODY_SAID
) -> tuple[Delivery, ...]:
    """Return a delivery for every destination of every step of the routes, each due with its step."""
    return tuple(
        Delivery(
            id=DeliveryId(f"{approval.id}.{number}"),
            approval=approval.id,
            destination=where,
            step=step,
            due_at=approval.asked_at + after,
        )
        for number, (where, (step, after)) in enumerate(destinations(approval, operators, on_duty).items())
    )


def is_over(approval: Approval, action: Action) -> bool:
    """Whether nothing about these two can change any more; an outcome that nobody told may still come."""
    return approval.state not in OPEN and action.state in ENDED and action.state is not ActionState.UNKNOWN


def hand_over(delivery: Delivery, *, now: datetime) -> Delivery:
    """Return the delivery handed over to its channel, unheard of yet; a first card is `sent`, a change `stale`.

    Raises:
        IllegalMove: it was handed over already, or is dead.

    """
    if delivery.state not in {DeliveryState.QUEUED, DeliveryState.CURRENT, DeliveryState.STALE}:
        raise IllegalMove(f"a delivery that is `{delivery.state}` cannot be handed over")
    state = DeliveryState.SENT if delivery.place is None else DeliveryState.STALE
    attempts = delivery.attempts + 1
    since, due_at = delivery.handed_over_at or now, now + _wait(delivery, attempts)
    return _moved(delivery, state=state, handed_over_at=since, attempts=attempts, due_at=due_at)


def arrived(delivery: Delivery, *, place: str, shown: str, over: bool, now: datetime) -> Delivery:
    """Return the delivery current: `place` shows what `shown` names; `over` when that is the end."""
    state = DeliveryState.OVER if over else DeliveryState.CURRENT
    return _moved(delivery, state=state, place=place, shown=shown, attempts=0, why="", due_at=now, handed_over_at=None)


def put_off(delivery: Delivery, *, until: datetime, why: str) -> Delivery:
    """Return the delivery to be tried again: nothing was done, and the channel says when that may change."""
    state = DeliveryState.QUEUED if delivery.place is None else DeliveryState.STALE
    return _moved(delivery, state=state, due_at=until, why=why)


def unheard(delivery: Delivery, *, why: str) -> Delivery:
    """Return the delivery handed over as before: nobody knows, and why."""
    return _moved(delivery, why=why)


def sought_later(delivery: Delivery, *, until: datetime, why: str) -> Delivery:
    """Return the delivery to be looked for again: whether its card stands there, nobody could say now.

    Raises:
        IllegalMove: nothing is looked for.

    """
    if delivery.state is not DeliveryState.SENT:
        raise IllegalMove(f"a delivery that is `{delivery.state}` is not looked for")
    return _moved(delivery, due_at=until, why=why)


def lost(delivery: Delivery, *, now: datetime) -> Delivery:
    """Return the delivery queued again: it was looked for, and nothing stands there."""
    if delivery.state is not DeliveryState.SENT:
        raise IllegalMove(f"a delivery that is `{delivery.state}` was not lost")
    return _moved(delivery, state=DeliveryState.QUEUED, due_at=now)


def dead(delivery: Delivery, *, why: str) -> Delivery:
    """Return the delivery ended: nothing more is told there."""
    return _moved(delivery, state=DeliveryState.DEAD, why=why, handed_over_at=None)


def hurried(delivery: Delivery, *, now: datetime) -> Delivery:
    """Return a later step's delivery due now, because an earlier step reached nobody."""
    return _moved(delivery, due_at=min(delivery.due_at, now))


def _wait(delivery: Delivery, attempts: int) -> timedelta:
    if delivery.place is None:
        return LOOK_AFTER
    return min(LONGEST_WAIT, FIRST_WAIT * (1 << min(attempts - 1, _MOST_DOUBLINGS)))


def _moved(delivery: Delivery, **changes: object) -> Delivery:
    return replace(delivery, revision=delivery.revision + 1, **changes)  # type: ignore[arg-type]  # our own fields


def unconfirmed_step(deliveries: Sequence[Delivery], *, now: datetime) -> int | None:
    """Return the latest step that began 20 seconds ago or more and reached nobody, or None."""
    begun = [d for d in deliveries if d.handed_over_at or d.place or d.state is DeliveryState.DEAD]
    steps = {d.step for d in begun}
    silent = [step for step in steps if not any(d.step == step and d.shown for d in begun)]
    late = [step for step in silent if _is_late([d for d in begun if d.step == step], now)]
    return max(late, default=None)


def begins_at(deliveries: Sequence[Delivery], step: int) -> datetime | None:
    """Return when the next step begins because this one tells nobody before that, or None where it still may.

    It may as long as something of it was not tried, was told, or is tried again within the 20 seconds.
    """
    mine = [d for d in deliveries if d.step == step and d.state is not DeliveryState.DEAD]
    tried = [d.handed_over_at for d in mine if d.handed_over_at is not None]
    if not tried or any(d.shown or d.state is not DeliveryState.QUEUED or d.handed_over_at is None for d in mine):
        return None
    at = min(tried) + CONFIRMED_WITHIN
    return at if all(d.due_at >= at for d in mine) else None


def _is_late(step: Sequence[Delivery], now: datetime) -> bool:
    return all(
        d.state is DeliveryState.DEAD or (d.handed_over_at is not None and now - d.handed_over_at >= CONFIRMED_WITHIN)
        for d in step
    )


def gone(delivery: Delivery, *, now: datetime) -> Delivery:
    """Return the delivery to be told anew: the card that stood there was taken away while people still decide."""
    return _moved(delivery, state=DeliveryState.QUEUED, place=None, shown="", due_at=now, handed_over_at=None)


def resolved(
    tell: str,
    operators: Sequence[Operator],
    on_duty: OnDutyNow = NOBODY_SAID,
    barred: Collection[OperatorId] = (),
) -> tuple[str, ...]:
    """Return the destinations that a step of a route names, as `channel:where`.

    `slack:C0PROD` and `webhook:pager` are one already. `dm:GROUP` is everybody of the group who has an account in
    Slack, `email:GROUP` everybody who has an address; `GROUP:primary` is the first of them who is not away,
    `GROUP:secondary` the second. When all are away, all are told.

    `GROUP@S0ONCALL` is those of the group who are in this user group of Slack by `on_duty`. Where nobody said who is,
    or none of the group is, the whole group is told, whoever is away and whichever of them was named.

    Who is `barred` from answering is nobody's primary or secondary and nobody's duty, as long as others are left.
    """
    kind, _, rest = tell.partition(":")
    if kind not in {DIRECT, EMAIL}:
        return (tell,)
    named, _, which = rest.partition(":")
    group, _, live = named.partition(ON_DUTY)
    members = [o for o in operators if group in o.groups and is_reached(o, kind)]
    if live:
        serving = [o for o in members if SLACK in o.identities and _account(o) in on_duty.get(live, ())]
        able = [o for o in serving if o.id not in barred]
        chosen = _chosen(able, which) if able else members
    else:
        able = [o for o in members if o.id not in barred] or members
        chosen = _chosen(able if which else members, which)
    return tuple(f"{EMAIL}:{o.id}" if kind == EMAIL else f"{SLACK}:{_account(o)}" for o in chosen)


def _chosen(members: Sequence[Operator], which: str) -> Sequence[Operator]:
    here = [o for o in members if not o.away] or list(members)
    return {PRIMARY: here[:1], SECONDARY: here[1:2] or here[:1]}.get(which, here)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """Whom one route tells, over all its steps: people, each once however they are told, and other destinations."""

    people: tuple[OperatorId, ...]
    places: tuple[str, ...]


def reached(route: Route, operators: Sequence[Operator]) -> Reached:
    """Return whom a route tells at most; of a live user group the whole group, as where nobody says who is in it."""
    told = [tell for step in route.steps for tell in step.tell]
    named = [tell for tell in told if tell.partition(":")[0] in {DIRECT, EMAIL}]
    where = {one for tell in named for one in resolved(tell, operators)}
    people = [o.id for o in operators if f"{EMAIL}:{o.id}" in where or (is_reached(o, DIRECT) and _direct(o) in where)]
    return Reached(people=tuple(people), places=tuple(dict.fromkeys(tell for tell in told if tell not in named)))


def _direct(operator: Operator) -> str:
    return f"{SLACK}:{_account(operator)}"


def user_groups(routes: Iterable[Route]) -> frozenset[str]:
    """Return the ids of the user groups of Slack that these routes look at."""
    told = (tell.partition(":") for route in routes for step in route.steps for tell in step.tell)
    people = (rest.partition(":")[0] for kind, _, rest in told if kind in {DIRECT, EMAIL})
    return frozenset(live for one in people if (live := one.partition(ON_DUTY)[2]))


def is_reached(operator: Operator, kind: str) -> bool:
    """Whether `dm` or `email` reaches this person: an account in Slack is declared, or an address."""
    return operator.email is not None if kind == EMAIL else SLACK in operator.identities


def _account(operator: Operator) -> str:
    return operator.identities[SLACK].rpartition("/")[2]
