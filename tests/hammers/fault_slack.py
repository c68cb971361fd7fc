"""The Slack of the fault matrix: the stand-in on a thread of its own, with one room where everybody is asked."""

import asyncio
import threading
from collections import Counter
from typing import Final

from assent.demo.workspace.people import Channel, Person
from assent.demo.workspace.server import StandIn, serving
from assent.demo.workspace.state import Workspace
from assent.slack.manifest import SCOPES
from tests.hammers import policy
from tests.hammers.broker import Installation
from tests.hammers.budget import expect

ROOM: Final = Channel(id="C0ASKS", name="asks")
COMES_WITHIN_SECONDS: Final = 20.0


class SlackThere:
    """A running stand-in; cards are posted there, and people answer elsewhere."""

    def __init__(self) -> None:
        people = [Person(id=f"U{name.upper()}", name=name) for name in (policy.EVE, policy.OMAR)]
        # Slack changes fifty messages a minute, and this is about one that is slow.
        self._workspace = Workspace(people=people, channels=[ROOM], scopes=SCOPES, counts_calls=False)
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._ready = threading.Event()
        self._stand_in: StandIn | None = None
        self._thread = threading.Thread(target=self._live, name="slack-there", daemon=True)
        self._thread.start()
        expect(self._ready.wait(COMES_WITHIN_SECONDS), "the stand-in for Slack did not start")

    @property
    def port(self) -> int:
        """Where it listens."""
        if self._stand_in is None:
            raise AssertionError("it does not run")
        return int(self._stand_in.url.rpartition(":")[2])

    def prepare(self, at: Installation) -> None:
        """Have people asked in its room."""
        routes = at.folder / "policies" / "routes.yaml"
        routes.write_text(routes.read_text().replace("webhook:nobody", f"slack:{ROOM.id}"))

    def settings(self, port: int) -> dict[str, str]:
        """Return what a broker is started with, to find it at a port."""
        return {
            "ASSENT_SLACK_BOT_TOKEN": self._workspace.bot_token,
            "ASSENT_SLACK_SIGNING_SECRET": self._workspace.signing_secret,
            "ASSENT_SLACK_API_URL": f"http://127.0.0.1:{port}/api/",
        }

    def count(self) -> dict[str, int]:
        """Return how many cards stand there. Raises Disproved when one stands there twice."""
        told = [message.now for message in self._workspace.messages if message.only_for is None]
        cards = Counter(str(now["metadata"]["event_payload"]["approval"]) for now in told if "metadata" in now)
        twice = [approval for approval, times in cards.items() if times > 1]
        expect(not twice, f"cards that stand in Slack more than once: {twice[:3]} of {len(cards)}")
        return {"cards in Slack": len(cards)}

    def stop(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(COMES_WITHIN_SECONDS)

    def _live(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        async with serving(self._workspace) as self._stand_in:
            self._ready.set()
            await self._ended.wait()
