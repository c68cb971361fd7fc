"""Denials: what a human's no leaves behind, so that nobody is asked the same again and again.

The same content is not asked again for the route's `cool_off`. Two denials of one (agent, tool, rule) within a day stop
asking under that rule, however the arguments are varied. A denial only ever keeps a question from people: without it
somebody is asked, and nothing passes unasked.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from assent.core.actions import Action, content_of
from assent.core.agents import AgentId
from assent.core.approvals import Approval, ApprovalId
from assent.core.reasons import Reason

DENIALS_THAT_STOP = 2
COUNTS_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """One human's no; `id` and `code` are the approval's.

    `content` is SHA-256 over agent, tool and arguments, whoever the action was for. It cools until `cools_until`, and
    the denial counts against each of `rules` until `counts_until`; None says that somebody lets it be asked again.
    """

    id: ApprovalId
    code: str
    agent: AgentId
    tool: str
    rules: tuple[str, ...]
    content: bytes
    denied_at: datetime
    cools_until: datetime | None
    counts_until: datetime | None
    revision: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """From when on people may be asked again: the same content, and anything under the rules that were denied."""

    same_at: datetime | None = None
    alike_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Cooling:
    """Why nobody is asked something now, and the denial that `let_again` has to be about."""

    reason: Reason
    by: Denial


def cooled_content(*, agent: str, tool: str, arguments: bytes) -> bytes:
    """Return what cools off: naming somebody else as driver does not make it another question."""
    return content_of(agent=agent, tool=tool, arguments=arguments, on_behalf_of=())


def remember(approval: Approval, action: Action, now: datetime) -> Denial:
    """Return what the denial of `approval` at `now` leaves behind; of several routes the longest `cool_off` counts."""
    return Denial(
        id=approval.id,
        code=approval.code,
        agent=action.agent,
        tool=action.tool,
        rules=action.rules,
        content=cooled_content(agent=action.agent, tool=action.tool, arguments=action.arguments),
        denied_at=now,
        cools_until=now + max(route.cool_off for route in approval.routes),
        counts_until=now + COUNTS_FOR,
    )


def in_force_until(denial: Denial) -> datetime | None:
    """Return until when the denial keeps anything from being asked, or None when nothing any more."""
    ends = [end for end in (denial.cools_until, denial.counts_until) if end is not None]
    return max(ends, default=None)


def when_again(denials: Iterable[Denial], *, content: bytes, rules: Sequence[str], now: datetime) -> Again:
    """Return when the same content, and when anything under `rules`, may be asked again; None means now.

    `denials` are those of one agent with one tool.
    """
    held = tuple(denials)
    cooling = [d.cools_until for d in held if d.content == content and d.cools_until is not None]
    stops = [end for rule in rules if (end := _stops_until(held, rule, now)) is not None]
    return Again(same_at=_latest(cooling, now), alike_at=_latest(stops, now))


def _stops_until(denials: Sequence[Denial], rule: str, now: datetime) -> datetime | None:
    """Return until when enough of `denials` count against `rule`, or None when they are too few."""
    ends = [d.counts_until for d in denials if rule in d.rules and d.counts_until is not None and d.counts_until > now]
    return sorted(ends)[-DENIALS_THAT_STOP] if len(ends) >= DENIALS_THAT_STOP else None


def _latest(moments: Iterable[datetime], now: datetime) -> datetime | None:
    return max((moment for moment in moments if moment > now), default=None)


def why_not_ask(denials: Iterable[Denial], *, content: bytes, rules: Sequence[str], now: datetime) -> Cooling | None:
    """Return why nobody is asked this now, or None when people may be."""
    held = tuple(denials)
    again = when_again(held, content=content, rules=rules, now=now)
    if again.same_at is not None:
        by = next(d for d in held if d.content == content and d.cools_until == again.same_at)
        return _cooling(by, f"denied as {by.code}, and the same is not asked before {_clock(again.same_at)}")
    if again.alike_at is not None:
        by = max((d for d in held if set(d.rules) & set(rules)), key=lambda denial: denial.denied_at)
        return _cooling(
            by, f"the like was denied twice, last as {by.code}, and is not asked before {_clock(again.alike_at)}"
        )
    return None


def _cooling(by: Denial, told: str) -> Cooling:
    return Cooling(Reason.of("cooling_off", told), by)


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def let_again(denials: Iterable[Denial], about: Denial) -> tuple[tuple[Denial, Denial], ...]:
    """Return each denial that changes, with its new value, so that what `about` denied may be asked again.

    The same content stops cooling off, and nothing counts any more against a rule that `about` was denied under.
    """
    lifted = ((denial, _lifted(denial, about)) for denial in denials)
    return tuple((old, new) for old, new in lifted if new is not old)


def _lifted(denial: Denial, about: Denial) -> Denial:
    cools = None if denial.content == about.content else denial.cools_until
    counts = None if set(denial.rules) & set(about.rules) or denial.id == about.id else denial.counts_until
    if (cools, counts) == (denial.cools_until, denial.counts_until):
        return denial
    return replace(denial, cools_until=cools, counts_until=counts, revision=denial.revision + 1)
