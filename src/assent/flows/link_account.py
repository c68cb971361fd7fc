"""Somebody links the Slack account that is declared for them: they ask for a code where they signed in, and type it.

The account is told by ids, the operator by operators.yaml; a code that is typed at any other account is refused, on
record, and spent. The ledger keeps a MAC of a code alone. A link counts while the same account is declared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from assent.core import account_links
from assent.core.account_links import AccountLink
from assent.core.approvals import is_fresh
from assent.core.errors import Forbidden, Forged, IllegalMove, NotFound
from assent.core.operators import Assurance, Operator, OperatorId, Permission
from assent.core.reasons import Reason
from assent.flows import link_entries
from assent.flows.active_policy import decide, refuse_behind
from assent.flows.authenticate import LinkedCaller, OperatorCaller, confirm_operator
from assent.flows.broker import Broker
from assent.ports import Tx, View

SURFACE: Final = account_links.CHANNEL
_PURPOSE: Final = "account link code"
_WRONG: Final = "this code is not yours, is over or was typed before: ask for another one in the console"
_NOT_YOURS: Final = "no operator of the policy is declared with this Slack account"


@dataclass(frozen=True, slots=True)
class CodeAsked:
    """A code, the only time that anybody sees it, until when it may be typed, and at which account."""

    code: str
    until: datetime
    account: str


async def ask_for_code(broker: Broker, caller: OperatorCaller) -> CodeAsked:
    """Return a fresh code for the caller, who is signed in; any earlier one of theirs opens nothing from now on.

    Raises:
        IllegalMove: no Slack account is declared for the caller, or the caller came from Slack itself.

    """
    account = account_links.declared(caller.operator)
    if account is None:
        raise IllegalMove(
            f"no Slack account is declared for `{caller.operator.id}`",
            hint="add `slack: {team: T…, user: U…}` to them in operators.yaml",
        )
    if caller.surface == SURFACE:
        raise IllegalMove("a code is not asked for where it is typed", hint="sign in at the console")
    voter = caller.voter()
    others = {one.id for one in broker.policy().operators()} - {caller.operator.id}
    code = broker.new_code()
    code_mac = _mac(broker, code)

    async def work(tx: Tx) -> datetime:
        await confirm_operator(tx, caller)
        if voter.token_issued_by in others and is_fresh(voter, tx.now):
            # Else whoever issued it would link an account in the place of its holder, and be two people.
            raise IllegalMove(
                f"`{voter.token_issued_by}` issued your token less than 24 hours ago",
                hint="sign in at the console with a link or by single sign-on, or wait",
            )
        old = await tx.get(AccountLink, caller.operator.id)
        await _put(tx, old, account_links.ask(old, caller.operator, account=account, code_mac=code_mac, now=tx.now))
        await tx.append(link_entries.asked(caller, account))
        return tx.now + account_links.CODE_LIVES

    return CodeAsked(code, await broker.ledger.transact(work), account)


async def type_code(broker: Broker, *, account: str, code: str, barred: Reason | None = None) -> Operator | Reason:
    """Return the operator whose account is linked from now on, or why it is not; either is on record.

    `barred` says why nothing counts that is typed at this account, whoever is declared with it.
    """
    policy, code_mac = broker.policy(), _mac(broker, code)
    mine = next((one for one in policy.operators() if account_links.declared(one) == account and not barred), None)

    async def work(tx: Tx) -> Operator | Reason:
        await refuse_behind(tx, policy)
        own = None if mine is None else await tx.get(AccountLink, mine.id)
        # (1) the code of this very operator, made for this very account, which is declared for them still
        if (
            mine is not None
            and own is not None
            and own.code_for == account
            and account_links.fits(own, code_mac, tx.now)
        ):
            await tx.replace(own, account_links.linked(own, now=tx.now))
            await tx.append(link_entries.linked(mine.id, account))
            return mine
        # (2) anybody else's code is worth nothing from now on: somebody has seen it who should not have
        whose = await _spend(tx, policy.operators(), code_mac)
        if whose is None and own is not None and account_links.awaits_code(own, tx.now):
            await tx.replace(own, account_links.mistyped(own))
        await tx.append(link_entries.refused(account, operator=None if mine is None else mine.id, whose=whose))
        return barred or Reason.of("not_eligible", _NOT_YOURS if mine is None else _WRONG)

    return await decide(broker, work)


async def _spend(tx: Tx, operators: Sequence[Operator], code_mac: bytes) -> OperatorId | None:
    for operator in operators:
        link = await tx.get(AccountLink, operator.id)
        if link is not None and account_links.fits(link, code_mac, tx.now):
            await tx.replace(link, account_links.spent(link))
            return operator.id
    return None


async def unlink(broker: Broker, caller: OperatorCaller, operator: str) -> AccountLink:
    """Return the row of somebody whose account is not linked any more: one's own, or as who manages operators.

    Raises:
        Forbidden: it is somebody else's, and the caller does not manage operators. NotFound: nothing is linked.

    """
    if operator != caller.operator.id and not caller.operator.may(Permission.OPERATORS_MANAGE):
        raise Forbidden("you do not hold `operators.manage`", hint="everybody may unlink their own account")

    async def work(tx: Tx) -> AccountLink:
        await confirm_operator(tx, caller)
        old = await tx.get(AccountLink, operator)
        if old is None or (old.account is None and old.code_until is None):
            raise NotFound(f"no account of `{operator}` is linked")
        ended = account_links.unlinked(old)
        await tx.replace(old, ended)
        await tx.append(link_entries.unlinked(caller, operator, old.account or old.code_for))
        return ended

    return await broker.ledger.transact(work)


async def caller_at(broker: Broker, operator: Operator, account: str) -> OperatorCaller:
    """Return an operator who acts from their declared account, as sure as the link makes it; a vote looks again."""
    if await is_linked(broker, operator):
        return LinkedCaller(operator=operator, surface=SURFACE, account=account)
    return OperatorCaller(operator=operator, surface=SURFACE, assurance=Assurance.SLACK, account=account)


async def is_linked(broker: Broker, operator: Operator) -> bool:
    """Whether the declared account of this operator is linked."""
    return await broker.ledger.read(lambda view: holds_now(view, operator))


async def holds_now(view: View, operator: Operator) -> bool:
    """Whether the declared account is linked in this very view; a row that nobody may believe links nothing."""
    try:
        return account_links.holds(await view.get(AccountLink, operator.id), operator)
    except Forged:
        return False


async def _put(tx: Tx, old: AccountLink | None, new: AccountLink) -> None:
    if old is None:
        await tx.add(new)
    else:
        await tx.replace(old, new)


def _mac(broker: Broker, code: str) -> bytes:
    return broker.ledger.blind(_PURPOSE, code.strip().upper().encode())
