"""Account links: somebody who is signed in and somebody at a Slack account showed that they are the same person.

The account is always the one that operators.yaml declares for the operator: a link makes surer who clicks, it never
says whose account it is. A code is typed once, within ten minutes, at that account; a few wrong ones end it. Where
another account is declared, the link is worth nothing.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Final

from assent.core.operators import Operator, OperatorId

CODE_LIVES: Final = timedelta(minutes=10)
MOST_TRIES: Final = 5
CHANNEL: Final = "slack"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLink:
    """What one operator linked, a row of the ledger; `id` is the operator.

    `account` is the linked one as operators.yaml spells it, None while there is none. `code_mac` stands for the code
    that is to be typed at `code_for` before `code_until`, after at most `tries_left` wrong ones.
    """

    id: OperatorId
    account: str | None = None
    linked_at: datetime | None = None
    code_mac: bytes = b""
    code_for: str = ""
    code_until: datetime | None = None
    tries_left: int = 0
    revision: int = 1


def declared(operator: Operator) -> str | None:
    """Return the account that operators.yaml declares for this operator, or None."""
    return operator.identities.get(CHANNEL)


def holds(link: AccountLink | None, operator: Operator) -> bool:
    """Whether the declared account of this operator is linked now."""
    return link is not None and link.account is not None and link.account == declared(operator)


def ask(old: AccountLink | None, operator: Operator, *, account: str, code_mac: bytes, now: datetime) -> AccountLink:
    """Return the row with a fresh code for `account` in place of any earlier one; a link that is there stays."""
    row = replace(old, revision=old.revision + 1) if old is not None else AccountLink(id=operator.id)
    return replace(row, code_mac=code_mac, code_for=account, code_until=now + CODE_LIVES, tries_left=MOST_TRIES)


def awaits_code(link: AccountLink, now: datetime) -> bool:
    """Whether a code of this operator may still be typed."""
    return link.code_until is not None and now < link.code_until and link.tries_left > 0


def fits(link: AccountLink, code_mac: bytes, now: datetime) -> bool:
    """Whether this is the code that may still be typed, wherever it was."""
    return awaits_code(link, now) and compare_digest(link.code_mac, code_mac)


def linked(link: AccountLink, *, now: datetime) -> AccountLink:
    """Return the row with the account linked for which the code was made; the code is spent."""
    return replace(spent(link), account=link.code_for, linked_at=now)


def spent(link: AccountLink) -> AccountLink:
    """Return the row whose code opens nothing any more."""
    return replace(link, code_mac=b"", code_for="", code_until=None, tries_left=0, revision=link.revision + 1)


def mistyped(link: AccountLink) -> AccountLink:
    """Return the row after a wrong code at the right account."""
    return replace(link, tries_left=link.tries_left - 1, revision=link.revision + 1)


def unlinked(link: AccountLink) -> AccountLink:
    """Return the row without link and without code."""
    return replace(spent(link), account=None, linked_at=None)
