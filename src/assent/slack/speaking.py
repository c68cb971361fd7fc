"""Answers that only the person sees who pressed something, sent to where Slack said they may be sent. Best effort.

The address comes from Slack, and is used only where Slack's own answers go: nothing that came in may make the broker
call somewhere else.
"""

from typing import Any, Final

import aiohttp

from assent.slack import blocks
from assent.slack.stopped import runbook_lines

ADDRESS: Final = "https://hooks.slack.com/"
TIMEOUT_SECONDS: Final = 5


class Speaker:
    """Says things to people; `addresses` is what every response address begins with."""

    def __init__(self, session: aiohttp.ClientSession, *, addresses: str = ADDRESS) -> None:
        self._session = session
        self._addresses = addresses

    async def say(self, address: str, text: str, *, runbook: str = "") -> bool:
        """Tell the person behind a response address; return whether Slack took it."""
        if not text or not address.startswith(self._addresses):
            return False
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        try:
            async with self._session.post(address, json=message(text, runbook), timeout=timeout) as answered:
                return answered.ok
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False


def message(text: str, runbook: str = "") -> dict[str, Any]:
    """Return a message for one person in which nothing is read as markup, with where the runbook is if there is one."""
    said = blocks.line(blocks.words(blocks.cut(text, blocks.MAX_INPUT_CHARACTERS)))
    shown = [blocks.rich("said", said, *runbook_lines(runbook))]
    return {"response_type": "ephemeral", "replace_original": False, "text": blocks.inert(text), "blocks": shown}
