"""Somebody looks at how people are asked: how often, how fast they answer, and which rules nobody ever says no to."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from assent.core.actions import Action
from assent.core.approvals import Approval, ApprovalState
from assent.core.asking import Numbers, Question, count
from assent.core.errors import Forged
from assent.core.operators import Permission
from assent.flows.authenticate import OperatorCaller, confirm_operator, require
from assent.flows.broker import Broker
from assent.ports import View

MOST_COUNTED = 5_000
PAGE = 200
_EVERY = tuple(sorted(ApprovalState))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Numbers since a moment; `is_whole` says that nothing had to be left out because there was too much."""

    since: datetime
    numbers: Numbers
    is_whole: bool


async def count_asks(broker: Broker, caller: OperatorCaller, span: timedelta) -> Asked:
    """Return the numbers of what was asked within `span`, the newest 5,000 questions at most.

    Raises:
        Forbidden: the caller may not read approvals.

    """
    require(caller, Permission.APPROVALS_READ)

    async def work(view: View) -> Asked:
        await confirm_operator(view, caller)
        return await _counted(broker, view, span)

    return await broker.ledger.read(work)


async def count_lately(broker: Broker, span: timedelta) -> Numbers:
    """Return the numbers without names to a scraper: nobody asks on their own behalf."""

    async def work(view: View) -> Numbers:
        return (await _counted(broker, view, span)).numbers

    return await broker.ledger.read(work)


async def _asked_since(view: View, since: datetime) -> list[Approval]:
    found: list[Approval] = []
    while len(found) < MOST_COUNTED:
        page = await view.approvals(_EVERY, limit=PAGE, before=found[-1].id if found else None)
        late = [one for one in page if one.asked_at >= since]
        found += late
        if len(late) < PAGE:
            break
    return found[:MOST_COUNTED]


async def _counted(broker: Broker, view: View, span: timedelta) -> Asked:
    since = view.now - span
    found = await _asked_since(view, since)
    questions = []
    for approval in found:
        try:
            action = await view.get(Action, approval.action)
        except Forged:
            action = None  # which rules asked, nobody can say
        questions.append(Question(approval=approval, rules=() if action is None else action.rules))
    numbers = count(questions, broker.policy().operators())
    return Asked(since=since, numbers=numbers, is_whole=len(found) < MOST_COUNTED)
