"""The Slack of the story: the stand-in beside the broker, on a thread of its own, with the people of the shop in it."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from assent.demo.setting import OWNER, SECOND
from assent.demo.workspace.people import Channel, Person
from assent.demo.workspace.server import StandIn, serving
from assent.demo.workspace.state import Delivered, Message, Workspace
from assent.demo.wrong import NotAsTold
from assent.slack import dialogs
from assent.slack.manifest import SCOPES
from assent.slack.view import Press

T = TypeVar("T")

ROOM: Final = Channel(id="C0SHOP", name="shop-approvals")
COMES_WITHIN_SECONDS: Final = 20.0
_LOOK_AGAIN_SECONDS: Final = 0.02


def account_of(person: str) -> str:
    """Return the user id of somebody of the story."""
    return f"U0{person.upper()}"


class SlackBeside:
    """A running stand-in; everything that is done with it is done on its own thread."""

    def __init__(self) -> None:
        people = [Person(id=account_of(name), name=name) for name in (OWNER, SECOND)]
        self._workspace = Workspace(people=people, channels=[ROOM], scopes=SCOPES)
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._ready = threading.Event()
        self._stand_in: StandIn | None = None
        self._thread = threading.Thread(target=self._live, name="slack-beside", daemon=True)
        self._thread.start()
        self._ready.wait(COMES_WITHIN_SECONDS)

    @property
    def page(self) -> str:
        """Where the cards can be seen and clicked, as the second person sees them."""
        return f"{self._there.url}/?as={account_of(SECOND)}"

    @property
    def settings(self) -> dict[str, str]:
        """What a broker is started with, to find this Slack."""
        return {
            "ASSENT_SLACK_BOT_TOKEN": self._workspace.bot_token,
            "ASSENT_SLACK_APP_TOKEN": self._workspace.app_token,
            "ASSENT_SLACK_API_URL": self._there.api,
        }

    def card_of(self, code: str) -> Message:
        """Return the card of an approval, once it is there. Raises NotAsTold when it does not come."""
        return self._until(lambda: self._card(code), f"the card of {code}")

    def says(self, code: str, words: str) -> None:
        """Wait until the card of an approval says so. Raises NotAsTold."""
        self._until(lambda: words in str(self.card_of(code).now["text"]), f"the card of {code} saying `{words}`")

    def press(self, person: str, code: str, press: Press) -> Delivered:
        """Press a button of a card as somebody, once the broker listens."""
        card = self.card_of(code)
        self._until(lambda: any(not s.connection.closed for s in self._there.delivery.sockets), "the broker's socket")
        return self._do(self._there.as_user(person).press(card, press))

    def approve(self, person: str, code: str) -> Delivered:
        """Press Approve."""
        return self.press(person, code, Press.APPROVE)

    def deny(self, person: str, code: str) -> Delivered:
        """Press Deny and fill in the dialog."""
        self.press(person, code, Press.DENY)
        entered = {dialogs.CATEGORY: "other", dialogs.REASON: "the reader of the demo said no"}
        return self._do(self._there.as_user(person).submit(**entered))

    def told(self, person: str) -> list[str]:
        """Wait until this person was told something, and return all that only they were told, the newest last."""
        return self._until(lambda: self._told(person), f"an answer to {person}")

    def _told(self, person: str) -> list[str]:
        mine = [m for m in self._workspace.messages if m.only_for == account_of(person)]
        return [str(message.now["text"]) for message in mine]

    def stop(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(COMES_WITHIN_SECONDS)

    @property
    def _there(self) -> StandIn:
        if self._stand_in is None:
            raise NotAsTold("the stand-in for Slack did not start")
        return self._stand_in

    def _live(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        async with serving(self._workspace) as self._stand_in:
            self._ready.set()
            await self._ended.wait()

    def _do(self, doing: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result(COMES_WITHIN_SECONDS)

    def _card(self, code: str) -> Message | None:
        cards = [m for m in self._workspace.messages if m.only_for is None and str(m.now["text"]).startswith(code)]
        return cards[-1] if cards else None

    def _until(self, found: Callable[[], T | None], what: str) -> T:
        end = time.monotonic() + COMES_WITHIN_SECONDS
        while not (value := found()):
            if time.monotonic() >= end:
                raise NotAsTold(f"{what} did not come within {COMES_WITHIN_SECONDS:.0f} s")
            time.sleep(_LOOK_AGAIN_SECONDS)
        return value
