"""A question is read at the console: its last line was on the screen, or its sensitive values are asked for.

Both are recorded before anything follows from them: a value leaves, or a yes is taken.
"""

from dataclasses import replace
from datetime import datetime

from assent.core import approvals
from assent.core.actions import Action
from assent.core.approvals import MIN_DIGEST_PREFIX, Approval
from assent.core.errors import Forbidden
from assent.core.operators import Assurance, Operator, Permission
from assent.core.reasons import Reason
from assent.core.records import Entry
from assent.flows import entries
from assent.flows.authenticate import SessionCaller, confirm_operator, require
from assent.flows.broker import Broker
from assent.flows.resolve_approval import Seen, action_of, find, show_approval
from assent.flows.seen_whole import is_revealed, is_shown, why_not_displayable
from assent.ports import Tx


def sees_values(operator: Operator) -> bool:
    """Whether `operator` is shown values at all: who decides, and who may read payloads."""
    return any(map(operator.may, (Permission.APPROVALS_DECIDE, Permission.AUDIT_PAYLOADS)))


async def note_shown(
    broker: Broker, caller: SessionCaller, key: str, *, digest_prefix: str, with_values: bool
) -> Reason | None:
    """Record that the last line was on the caller's screen; return why that leads to no yes, or None.

    `with_values` says whether that page showed the sensitive values too.

    Raises:
        Forbidden: the caller may not read approvals, or is shown no values.
        NotFound: no such approval.

    """
    _require_sight(caller)

    async def work(tx: Tx) -> Reason | None:
        await confirm_operator(tx, caller)
        approval = await find(tx, key)
        action = await action_of(tx, approval)
        if (closed := approvals.why_closed(approval, tx.now)) is not None:
            return closed
        if len(digest_prefix) < MIN_DIGEST_PREFIX or not approval.digest.startswith(digest_prefix):
            return Reason.of("digest_changed")
        lacking = await why_not_displayable(tx, action, caller)
        if lacking is None and action.to_be_revealed and not with_values:
            lacking = Reason.of("not_shown", "this page was loaded before the values were revealed")
        if not await is_shown(tx, action, caller):
            await tx.append(_on_screen(action, approval, caller, approvable=lacking is None))
        return lacking

    return await broker.ledger.transact(work)


def _on_screen(action: Action, approval: Approval, caller: SessionCaller, *, approvable: bool) -> Entry:
    return entries.approval_on_screen(
        action, approval, operator=caller.operator.id, session=caller.session.id, approvable=approvable
    )


async def reveal_values(broker: Broker, caller: SessionCaller, key: str, *, reason: str) -> Reason | None:
    """Record that the caller is shown the sensitive values in this session; return why they are not, or None.

    Whoever could say yes may ask for them, and whoever may read payloads. From the commit on `is_revealed` holds.

    Raises:
        Forbidden: the caller may not read approvals, or is shown no values.
        NotFound: no such approval.

    """
    _require_sight(caller)

    async def work(tx: Tx) -> Reason | None:
        await confirm_operator(tx, caller)
        approval = await find(tx, key)
        action = await action_of(tx, approval)
        if not caller.operator.may(Permission.AUDIT_PAYLOADS):
            lacking = approvals.why_closed(approval, tx.now) or _why_not_for_eyes(approval, caller, tx.now)
            if lacking is not None:
                return lacking
        if action.to_be_revealed and not await is_revealed(tx, action, caller):
            named = {"operator": caller.operator.id, "session": caller.session.id}
            await tx.append(entries.values_revealed(action, approval, **named, reason=reason))
        return None

    return await broker.ledger.transact(work)


def _why_not_for_eyes(approval: Approval, caller: SessionCaller, now: datetime) -> Reason | None:
    # What a passkey would add is asked of the yes: whoever signed in surely may read before.
    is_sure = caller.assurance >= Assurance.CONSOLE
    voter = replace(caller.voter(), assurance=Assurance.STEP_UP) if is_sure else caller.voter()
    return approvals.why_not_vote(approval, voter, now)


async def show_with_values(broker: Broker, caller: SessionCaller, key: str) -> tuple[Seen, bool]:
    """Return one approval as the caller sees it, and whether its sensitive values were revealed in this session.

    Raises:
        NotFound: no such approval.
        Forbidden: the caller may not read approvals.

    """
    seen = await show_approval(broker, caller, key)
    if not seen.action.to_be_revealed or not sees_values(caller.operator):
        return seen, False
    return seen, await broker.ledger.read(lambda view: is_revealed(view, seen.action, caller))


def _require_sight(caller: SessionCaller) -> None:
    require(caller, Permission.APPROVALS_READ)
    if not sees_values(caller.operator):
        raise Forbidden("you are shown no values here", hint="who decides about approvals is")
