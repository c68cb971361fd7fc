"""Pages stay current: each open page has a stream of events, and each event holds its live parts anew.

What an event holds was made by the page's own handler, for somebody who is signed in and sees as much as the reader.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final

from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Match, Route

from assent.console import activity, agents, approval, breakers, inbox
from assent.console.given import PREFIX
from assent.console.visits import Console, Handler, Visit, page
from assent.console.watcher import Target
from assent.core.errors import AssentError, LedgerUnavailable, NotFound, Unauthenticated
from assent.flows import authenticate
from assent.flows.authenticate import SessionCaller

# A session that was ended elsewhere is shown nothing for longer; also keeps proxies from closing a quiet stream.
CHECK_EACH_SECONDS: Final = 15.0
MAX_ADDRESS: Final = 1_000
AGAIN_SECONDS: Final = 30
_OK: Final = 200
_GET: Final = {"type": "http", "method": "GET", "headers": (), "root_path": ""}


class _Page(Route):
    """A page with live parts; `hears_log` where it shows records."""

    def __init__(self, path: str, handler: Handler, *, hears_log: bool) -> None:
        super().__init__(f"{PREFIX}{path}", _not_served, methods=["GET"])
        self.handler = handler
        self.hears_log = hears_log


async def _not_served(_request: Request) -> Response:
    raise NotFound("there is no such page")


_PAGES: Final = (
    _Page("/", inbox.show_inbox, hears_log=False),
    _Page("/approvals/{approval}", approval.show_approval, hears_log=False),
    _Page("/breakers", breakers.show_breakers, hears_log=False),
    _Page("/activity", activity.show_activity, hears_log=True),
    _Page("/activity/{action}", activity.show_story, hears_log=True),
    _Page("/agents", agents.show_agents, hears_log=True),
    _Page("/agents/{agent}", agents.show_one_agent, hears_log=True),
)


def _found(path: str) -> tuple[_Page, dict[str, str]] | None:
    for one in _PAGES:
        match, scope = one.matches({**_GET, "path": path})
        if match is Match.FULL:
            return one, scope["path_params"]
    return None


async def stream(visit: Visit) -> Response:
    """Send the live parts of a page whenever something moved, until it closes, the session ends or the broker does."""
    said = visit.query("of") or ""
    url = URL(said[:MAX_ADDRESS])
    found = _found(url.path)
    if found is None or said != f"{url.path}{'?' if url.query else ''}{url.query}":
        raise NotFound("there is no such page that keeps itself current")
    if not visit.console.live.has_room(visit.caller.operator.id):
        answer = PlainTextResponse("too many pages are open at once; this one does not keep itself current", 503)
        answer.headers["retry-after"] = str(AGAIN_SECONDS)
        return answer
    target = Target(url.path, url.query, found[0].hears_log)
    return StreamingResponse(_events(visit, target), media_type="text/event-stream")


async def _events(visit: Visit, target: Target) -> AsyncIterator[bytes]:
    cookie = visit.request.cookies[visit.console.cookie]
    async with visit.console.live.tab(target, visit.caller, cookie) as tab:
        yield b"retry: 2000\n\n"
        while not tab.is_over:
            frame = await tab.next(CHECK_EACH_SECONDS)
            if frame is not None:
                yield frame
            elif not tab.is_over:
                try:
                    await authenticate.session(visit.broker, cookie)
                except (Unauthenticated, LedgerUnavailable):
                    return
                yield b": still here\n\n"


async def made(console: Console, target: Target, caller: SessionCaller) -> str | None:
    """Return the live parts of a page for `caller`, or None where it is no page for them any more.

    Raises:
        LedgerUnavailable: nobody knows how it looks now.

    """
    found = _found(target.path)
    if found is None:
        return None
    one, parts = found
    scope = {**_GET, "path": target.path, "query_string": target.query.encode(), "path_params": parts}
    shared = replace(console, broker=replace(console.broker, ledger=console.look))
    try:
        answer = await one.handler(
            Visit(console=shared, request=Request(scope), caller=caller, csrf="", form={}, only_live=True)
        )
    except LedgerUnavailable:
        raise
    except AssentError:
        return None
    return bytes(answer.body).decode() if answer.status_code == _OK else None


routes: Final = (page("/live", stream),)
