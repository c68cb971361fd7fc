"""How people are asked: every question counts for whom it reached, every answer for who gave it."""

from datetime import timedelta

from assent.core.approvals import Approval, ApprovalState, Need, Route, Vote
from assent.core.asking import ENOUGH_TO_SAY, Question, Tally, count
from assent.core.operators import PERMISSION_SETS, Assurance, Operator, OperatorId
from tests.contracts.samples import T0, approval

ROUTE = Route(name="r", needs=(Need(count=1, of="sre"),), assurance=Assurance.TOKEN)
EVE, SAM, DANA, FAR = (
    Operator(id=OperatorId(name), groups=groups, permissions=PERMISSION_SETS["approver"])
    for name, groups in (("eve", ("sre",)), ("sam", ("sre",)), ("dana", ("sre",)), ("far", ("elsewhere",)))
)
PEOPLE = (EVE, SAM, DANA, FAR)


def asked(number: int, state: ApprovalState, *answers: tuple[str, float], rules: tuple[str, ...] = ()) -> Question:
    """Return a question of an agent of Dana's, answered by these people after so many seconds."""
    at = [T0 + timedelta(seconds=seconds) for _, seconds in answers]
    votes = tuple(
        Vote(operator=OperatorId(name), at=moment, assurance=Assurance.TOKEN, surface="api")
        for (name, _), moment in zip(answers, at, strict=True)
    )
    denied = state is ApprovalState.DENIED
    made: Approval = approval(
        f"apr_{number}",
        state=state,
        routes=(ROUTE,),
        asked_at=T0,
        votes=() if denied else votes,
        decided_by=OperatorId(answers[-1][0]) if answers else None,
        decided_at=at[-1] if at else None,
    )
    return Question(approval=made, rules=rules)


def test_a_question_counts_for_everybody_whom_it_reached_and_an_answer_for_who_gave_it() -> None:
    numbers = count(
        [
            asked(1, ApprovalState.APPROVED, ("eve", 2.0)),
            asked(2, ApprovalState.APPROVED, ("sam", 40.0)),
            asked(3, ApprovalState.DENIED, ("eve", 10.0)),
            asked(4, ApprovalState.EXPIRED),
            asked(5, ApprovalState.CANCELLED),
            asked(6, ApprovalState.PENDING),
        ],
        PEOPLE,
    )

    everybody = Tally(asked=6, approved=2, denied=1, expired=1, cancelled=1, seconds=[2.0, 40.0, 10.0])
    assert numbers.all == everybody
    assert numbers.agents == {"deployer": everybody}
    assert (everybody.answered, everybody.median_seconds, everybody.quick_share) == (3, 10.0, 1 / 3)
    assert {name: (one.asked, one.seconds) for name, one in numbers.people.items()} == {
        "eve": (6, [2.0, 10.0]),
        "sam": (6, [40.0]),
    }, "neither the owner nor who is in no group was asked"


def test_who_gave_an_answer_was_asked_even_if_the_policy_would_not_let_them_now() -> None:
    numbers = count([asked(1, ApprovalState.APPROVED, ("gone", 3.0))], PEOPLE)
    assert numbers.people["gone"].asked == 1
    assert numbers.people["gone"].quick_share == 0.0, "three seconds are not less than three"


def test_nobody_answered_nothing() -> None:
    numbers = count([], PEOPLE)
    assert (numbers.all.median_seconds, numbers.all.quick_share, numbers.people) == (None, None, {})


def test_a_rule_is_named_when_its_every_question_was_approved_and_there_were_enough() -> None:
    yes, no = ("eve", 9.0), ApprovalState.EXPIRED
    often = [asked(n, ApprovalState.APPROVED, yes, rules=("always", "mostly")) for n in range(ENOUGH_TO_SAY)]
    seldom = [asked(n, ApprovalState.APPROVED, yes, rules=("seldom",)) for n in range(ENOUGH_TO_SAY - 1)]
    more = [asked(90, no, rules=("mostly",)), asked(91, ApprovalState.PENDING, rules=("always",))]
    assert count([*often, *seldom, *more], PEOPLE).always_approved == {"always": ENOUGH_TO_SAY}
