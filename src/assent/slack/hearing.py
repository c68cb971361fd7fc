"""One interaction from the wire to its answer, whichever way it came: read, heeded, and its person told."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from assent.logs import EventLog
from assent.slack import heard
from assent.slack.callbacks import Callbacks
from assent.slack.heard import Heard, Pressed, Typed, Unreadable
from assent.slack.speaking import Speaker
from assent.slack.view import Heeded

log = EventLog("assent.slack")

INTERACTION: Final = "interactive"
COMMAND: Final = "slash_commands"
EVENT: Final = "events_api"


class Hearing:
    """What both ways in share. What a person is told goes its own way: a slow answer holds up no acknowledgement."""

    def __init__(self, callbacks: Callbacks, speaker: Speaker) -> None:
        self._callbacks = callbacks
        self._speaker = speaker
        self._saying: set[asyncio.Task[bool]] = set()

    async def hear(self, kind: str, payload: Mapping[str, Any]) -> Heeded:
        """Return what became of a payload of `kind`; what is not ours is taken and does nothing. Never raises."""
        try:
            found = _read(kind, payload)
        except Unreadable as fault:
            log.warning("slack_unreadable", kind=kind, said=fault.message)
            return Heeded()
        if found is None:
            return Heeded()
        heeded = await self._callbacks.hear(found)
        if isinstance(found, Pressed | Typed) and heeded.said:
            self._say(found.response_url, heeded)
        return heeded

    def _say(self, address: str, heeded: Heeded) -> None:
        saying = asyncio.create_task(self._speaker.say(address, heeded.said, runbook=heeded.runbook))
        self._saying.add(saying)
        saying.add_done_callback(self._saying.discard)

    async def settle(self) -> None:
        """Wait until everybody was told what they are told; each takes a few seconds at most."""
        await asyncio.gather(*self._saying, return_exceptions=True)


def _read(kind: str, payload: Mapping[str, Any]) -> Heard | None:
    if kind == INTERACTION:
        return heard.interaction(payload)
    if kind == COMMAND:
        return heard.command(payload)
    return heard.event(payload) if kind == EVENT else None
