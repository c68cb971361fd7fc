"""Long waits: they end when there is something to say, when the caller has gone, and when the process shuts down."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from starlette.types import Receive

from assent.api.given import Api
from assent.wire.shapes import MAX_WAIT_SECONDS

T = TypeVar("T")

Look = Callable[[float], Awaitable[T]]
"""Takes how many seconds it may wait, returns what it saw."""


async def look_for(receive: Receive, api: Api, look: Look[T], *, wait_seconds: float) -> T:
    """Return what `look` sees within `wait_seconds`, at most 55; or what it sees now, once waiting has no point."""
    if wait_seconds <= 0 or api.waits.full or api.closing.is_set():
        return await look(0.0)
    with api.waits:
        seen = await _first(receive, api, look, min(wait_seconds, MAX_WAIT_SECONDS))
    return await look(0.0) if seen is None else seen.result()


async def _first(receive: Receive, api: Api, look: Look[T], wait_seconds: float) -> "asyncio.Future[T] | None":
    """Return the wait when it came to its end, or None when the caller or the process left first."""
    looking = asyncio.ensure_future(look(wait_seconds))
    interruptions = [asyncio.ensure_future(_gone(receive)), asyncio.ensure_future(api.closing.wait())]
    try:
        await asyncio.wait([looking, *interruptions], return_when=asyncio.FIRST_COMPLETED)
        return looking if looking.done() else None
    finally:
        # Whatever ended the wait, nothing goes on behind it; a look that is done ignores being cancelled.
        for task in (looking, *interruptions):
            task.cancel()
        await asyncio.gather(looking, *interruptions, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    """Return when the caller has hung up. Source: ASGI, `http.disconnect`."""
    while (await receive())["type"] != "http.disconnect":
        pass
