"""Numbers about how people answered: who is asked too often, who says yes without reading. Pure."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from assent.core.approvals import Approval, ApprovalState

# Nobody reads what will run in less.
TOO_FAST_SECONDS: Final = 3.0
MAX_ROWS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """How one person answered: how often, how fast at the median, and how many in under three seconds."""

    person: str
    yes: int
    no: int
    median_seconds: float
    too_fast: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """What became of `asked` questions; `always_yes` are tools that were asked for five times or more, never denied."""

    asked: int
    by_state: tuple[tuple[str, int], ...]
    by_category: tuple[tuple[str, int], ...]
    people: tuple[Answers, ...]
    always_yes: tuple[tuple[str, int], ...]


OFTEN: Final = 5


def count(approvals: Sequence[Approval]) -> Numbers:
    """Return the numbers of these approvals."""
    states = Counter(approval.state.value for approval in approvals)
    categories = Counter(approval.category.value for approval in approvals if approval.category is not None)
    tools = defaultdict[str, Counter[ApprovalState]](Counter)
    for approval in approvals:
        tools[approval.tool][approval.state] += 1
    always = {
        tool: seen[ApprovalState.APPROVED]
        for tool, seen in tools.items()
        if seen[ApprovalState.APPROVED] >= OFTEN and seen[ApprovalState.APPROVED] == seen.total()
    }
    return Numbers(
        asked=len(approvals),
        by_state=tuple(states.most_common()),
        by_category=tuple(categories.most_common()),
        people=_people(approvals),
        always_yes=tuple(Counter(always).most_common(MAX_ROWS)),
    )


def _people(approvals: Sequence[Approval]) -> tuple[Answers, ...]:
    yes, no = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    for approval in approvals:
        for vote in approval.votes:
            yes[vote.operator].append((vote.at - approval.asked_at).total_seconds())
        if approval.state is ApprovalState.DENIED and approval.decided_by and approval.decided_at:
            no[approval.decided_by].append((approval.decided_at - approval.asked_at).total_seconds())
    found = [
        Answers(
            person=person,
            yes=len(yes[person]),
            no=len(no[person]),
            median_seconds=median(yes[person] + no[person]),
            too_fast=sum(seconds < TOO_FAST_SECONDS for seconds in yes[person] + no[person]),
        )
        for person in {*yes, *no}
    ]
    return tuple(sorted(found, key=lambda one: (-one.yes - one.no, one.person))[:MAX_ROWS])
