"""Pages stay current: each open page has a stream of events that say that something moved, and then looks anew."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from starlette.responses import PlainTextResponse, Response, StreamingResponse

from assent.console.visits import Console, Visit, page
from assent.console.watcher import Moved
from assent.core.errors import LedgerUnavailable, Unauthenticated
from assent.flows import authenticate

# A session that was ended elsewhere is shown nothing for longer; also keeps proxies from closing a quiet stream.
CHECK_EACH_SECONDS: Final = 15.0


async def stream(visit: Visit) -> Response:
    """Send an event whenever something moved, until the page closes, the session ends or the broker does."""
    live = visit.console.live
    if not live.has_room:
        return PlainTextResponse("too many pages are open at once; this one does not keep itself current", 503)
    cookie = visit.request.cookies.get(visit.console.cookie)
    return StreamingResponse(_events(visit.console, cookie), media_type="text/event-stream")


async def _events(console: Console, cookie: str | None) -> AsyncIterator[bytes]:
    async with console.live.listener():
        heard = console.live.moved
        yield b"retry: 2000\n\n"
        while not console.closing.is_set():
            moved = await _after(console, heard)
            try:
                await authenticate.session(console.broker, cookie)
            except (Unauthenticated, LedgerUnavailable):
                return
            yield _told(heard, moved)
            heard = moved


async def _after(console: Console, heard: Moved) -> Moved:
    moved = asyncio.create_task(console.live.after(heard, CHECK_EACH_SECONDS))
    closing = asyncio.create_task(console.closing.wait())
    try:
        await asyncio.wait({moved, closing}, return_when=asyncio.FIRST_COMPLETED)
        return moved.result() if moved.done() else heard
    finally:
        moved.cancel()
        closing.cancel()


def _told(heard: Moved, moved: Moved) -> bytes:
    if moved == heard:
        return b": still here\n\n"
    return b"data: waits\n\n" if moved.waits != heard.waits else b"data: log\n\n"


routes: Final = (page("/live", stream),)
