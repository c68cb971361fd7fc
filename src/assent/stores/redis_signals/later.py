"""What need not be sent at once: collected for a moment, sent together, dropped where it becomes too much."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

_ASK_AGAIN_SECONDS: Final = 0.05


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait for its end; the client may swallow a cancellation, so it is asked again until it ends."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_ASK_AGAIN_SECONDS)
    await asyncio.sleep(0)  # a connection that was given up closes its socket with the next turn of the loop
    await asyncio.sleep(0)


class Later:
    """Calls `send` a moment after `soon`, one at a time; `send` says whether something is left."""

    def __init__(self, send: Callable[[], Awaitable[bool]], *, after_seconds: float) -> None:
        self._send = send
        self._after_seconds = after_seconds
        self._planned: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None

    def soon(self) -> None:
        """Have it sent soon, from the event loop's thread."""
        if self._planned is None and self._sending is None:
            loop = asyncio.get_running_loop()
            self._planned = loop.call_later(self._after_seconds, self._begin, loop)

    async def close(self) -> None:
        """Send no more."""
        if self._planned is not None:
            self._planned.cancel()
        if self._sending is not None:
            await ended(self._sending)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._planned = None
        self._sending = loop.create_task(self._run())

    async def _run(self) -> None:
        try:
            is_left = await self._send()
        finally:
            self._sending = None
        if is_left:
            self.soon()


def goes_on() -> bool:
    """Whether nobody has asked this task to end; the client may swallow a cancellation, and it counts all the same."""
    task = asyncio.current_task()
    return task is None or not task.cancelling()
