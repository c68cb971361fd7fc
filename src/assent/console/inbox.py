"""The inbox: what waits for me, what waits at all, what was decided; newest first, a page at a time."""

from datetime import datetime
from typing import Final

from starlette.responses import Response

from assent.console.pages import span
from assent.console.visits import Visit, page
from assent.core.approvals import OPEN, ApprovalId, ApprovalState
from assent.core.errors import NotFound
from assent.flows.resolve_approval import Listed, Seen, find_approval, list_approvals, list_mine

ON_A_PAGE: Final = 50
_OPEN: Final = tuple(sorted(OPEN))
_DECIDED: Final = tuple(sorted(set(ApprovalState) - OPEN))
TABS: Final = {"mine": "For me", "open": "All that wait", "decided": "Decided"}


async def show_inbox(visit: Visit) -> Response:
    """Show one of the lists, or the question with the code that was looked for."""
    if (code := visit.query("code")) is not None:
        found = await find_approval(visit.broker, visit.caller, code.strip().upper())
        if not found.items:
            raise NotFound(f"no approval has the code `{code}`", hint="a code has the form `K7Q-4MX`")
        return visit.go(f"/approvals/{found.items[0].approval.id}")
    tab = visit.query("show") or "mine"
    if tab not in TABS:
        raise NotFound("there is no such list")
    listed = await _listed(visit, tab)
    cards = [_card(visit, seen, listed.now, is_decided=tab == "decided") for seen in listed.items]
    return visit.page("inbox.html", tab=tab, tabs=TABS, listed=listed, cards=cards, now=listed.now)


def _card(visit: Visit, seen: Seen, now: datetime, *, is_decided: bool) -> str:
    approval, why = seen.approval, seen.why_not_me
    facts = {
        "is_decided": is_decided,
        "left": "" if is_decided else span((approval.expires_at - now).total_seconds()),
        "why_not": why.message if why is not None and why.code != "not_shown" else "",
    }
    key = approval.id, approval.revision, *facts.values()
    return visit.console.pages.part("card.html", key, approval=approval, **facts)


async def _listed(visit: Visit, tab: str) -> Listed:
    before = visit.query("before")
    look, states = (list_mine, _OPEN) if tab == "mine" else (list_approvals, _DECIDED if tab == "decided" else _OPEN)
    rest = None if before is None else ApprovalId(before)
    return await look(visit.broker, visit.caller, states, limit=ON_A_PAGE, before=rest)


routes: Final = (page("/", show_inbox),)
