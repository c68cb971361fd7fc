"""What is recorded of links between operators and their Slack accounts; never a code."""

from assent.core.canonical import Json
from assent.core.operators import OperatorId
from assent.core.records import Entry, RecordKind
from assent.flows.authenticate import OperatorCaller, SessionCaller, TokenCaller


def asked(caller: OperatorCaller, account: str) -> Entry:
    """Return the record of a code that somebody asked for, and what they showed for it."""
    shown: dict[str, Json] = {}
    if isinstance(caller, SessionCaller):
        shown = {"using": caller.session.id}
    elif isinstance(caller, TokenCaller):
        shown = {"using": caller.token.id}
    detail: dict[str, Json] = {"account": account, "surface": caller.surface, **shown}
    return Entry(kind=RecordKind.ACCOUNT_LINK_ASKED, operator=caller.operator.id, detail=detail)


def linked(operator: OperatorId, account: str) -> Entry:
    """Return the record of an account that is linked from now on."""
    return Entry(kind=RecordKind.ACCOUNT_LINKED, operator=operator, detail={"account": account, "surface": "slack"})


def refused(account: str, *, operator: OperatorId | None, whose: OperatorId | None) -> Entry:
    """Return the record of a code that did not count: who typed it, and whose it was where it was anybody's."""
    detail: dict[str, Json] = {"account": account, "surface": "slack"}
    return Entry(
        kind=RecordKind.ACCOUNT_LINK_REFUSED,
        operator=operator,
        reasons=("not_eligible",),
        detail=detail | ({} if whose is None else {"for": whose}),
    )


def unlinked(caller: OperatorCaller, operator: str, account: str) -> Entry:
    """Return the record of a link that ended, by whom and where."""
    detail: dict[str, Json] = {"for": operator, "account": account, "surface": caller.surface}
    return Entry(kind=RecordKind.ACCOUNT_UNLINKED, operator=caller.operator.id, detail=detail)
