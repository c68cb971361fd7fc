"""Numbers about being asked: whether people are asked so often, or so needlessly, that they no longer read.

Pure counting over approvals that are over or open; nothing is decided from it.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from statistics import median

from assent.core.approvals import Approval, ApprovalState, who_can_vote
from assent.core.operators import Operator

QUICK = timedelta(seconds=3)
"""Nobody reads a card within that."""
ENOUGH_TO_SAY = 5
"""A rule whose questions were answered so often, always with a yes, may be one that should not ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One approval and the rules that asked it."""

    approval: Approval
    rules: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Tally:
    """Questions that reached one person, came from one agent, or all of them; times in seconds.

    `seconds` are those from the question to each answer that somebody gave; `answered` is how many there were.
    """

    asked: int = 0
    approved: int = 0
    denied: int = 0
    expired: int = 0
    cancelled: int = 0
    seconds: list[float] = field(default_factory=list)

    @property
    def answered(self) -> int:
        """How many answers people gave."""
        return len(self.seconds)

    @property
    def median_seconds(self) -> float | None:
        """The time that half of the answers took at most, None where nobody answered."""
        return median(self.seconds) if self.seconds else None

    @property
    def quick_share(self) -> float | None:
        """Which share of the answers came within three seconds, None where nobody answered."""
        quick = sum(one < QUICK.total_seconds() for one in self.seconds)
        return quick / len(self.seconds) if self.seconds else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Numbers for humans: all together, by person, by agent, and the rules whose every question was approved."""

    all: Tally
    people: dict[str, Tally]
    agents: dict[str, Tally]
    always_approved: dict[str, int]


def count(questions: Iterable[Question], operators: Sequence[Operator]) -> Numbers:
    """Return the numbers of these questions; a person was asked when the loaded policy would let them answer."""
    everything, people, agents = Tally(), defaultdict[str, Tally](Tally), defaultdict[str, Tally](Tally)
    rules: dict[str, list[bool]] = defaultdict(list)
    for question in questions:
        approval = question.approval
        answers = _answers(approval)
        reached = {*who_can_vote(replace(approval, votes=()), operators, approval.asked_at), *dict(answers)}
        for tally in (everything, agents[approval.agent], *(people[one] for one in sorted(reached))):
            _add(tally, approval.state)
        for tally in (everything, agents[approval.agent]):
            tally.seconds += [_seconds(approval, at) for _, at in answers]
        for operator, at in answers:
            people[operator].seconds.append(_seconds(approval, at))
        if approval.state in {ApprovalState.APPROVED, ApprovalState.DENIED, ApprovalState.EXPIRED}:
            for rule in question.rules:
                rules[rule].append(approval.state is ApprovalState.APPROVED)
    always = {rule: len(found) for rule, found in sorted(rules.items()) if all(found) and len(found) >= ENOUGH_TO_SAY}
    return Numbers(all=everything, people=dict(people), agents=dict(agents), always_approved=always)


def _answers(approval: Approval) -> list[tuple[str, datetime]]:
    found = [(str(vote.operator), vote.at) for vote in approval.votes]
    if approval.state is ApprovalState.DENIED and approval.decided_by and approval.decided_at:
        found.append((approval.decided_by, approval.decided_at))
    return found


def _seconds(approval: Approval, at: datetime) -> float:
    return max(0.0, (at - approval.asked_at).total_seconds())


def _add(tally: Tally, state: ApprovalState) -> None:
    tally.asked += 1
    tally.approved += state is ApprovalState.APPROVED
    tally.denied += state is ApprovalState.DENIED
    tally.expired += state is ApprovalState.EXPIRED
    tally.cancelled += state is ApprovalState.CANCELLED
