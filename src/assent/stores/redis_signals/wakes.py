"""Wake-ups between brokers: some topics per message, heard by everybody who listens; one that is lost delays.

Whatever else is published there is passed over. The worst that somebody can do is wake people for nothing.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any, Final

from assent.stores.redis_signals.clients import Connect, Listening
from assent.stores.redis_signals.later import Later, ended, goes_on
from assent.stores.redis_signals.link import Away, Link

TELL_AFTER_SECONDS: Final = 0.001
MAX_TOPICS: Final = 10_000
TOPICS_PER_MESSAGE: Final = 500
MAX_MESSAGE_BYTES: Final = 256 * 1024
LISTEN_AGAIN_SECONDS: Final = 0.5
QUIET_SECONDS: Final = 1.0
QUIET_AT_MOST: Final = 3


class Wakes:
    """Publishes what is woken here, and hears what is woken elsewhere; `sender` is a name of this process alone."""

    def __init__(self, link: Link, connect: Connect, *, channel: str, sender: str, hear: Callable[[str], None]) -> None:
        self._link = link
        self._connect = connect
        self._channel = channel
        self._sender = sender
        self._hear = hear
        self._topics: dict[str, None] = {}
        self._later = Later(self._tell, after_seconds=TELL_AFTER_SECONDS)
        self._listening: asyncio.Task[None] | None = None
        self.is_listening = asyncio.Event()
        self._is_settled = asyncio.Event()

    def wake(self, topic: str) -> None:
        """Have `topic` woken elsewhere."""
        if len(self._topics) < MAX_TOPICS:
            self._topics[topic] = None
            self._later.soon()

    def listen(self) -> None:
        """Begin to listen, unless somebody does."""
        if self._listening is None:
            self._listening = asyncio.get_running_loop().create_task(self._listen_for_ever())

    async def close(self) -> None:
        """Neither tell nor listen any more."""
        await self._later.close()
        if self._listening is not None:
            # A connection that is cut off while it is made leaves its socket behind, so that is waited for.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2 * QUIET_SECONDS):
                    await self._is_settled.wait()
            await ended(self._listening)

    async def _tell(self) -> bool:
        told = list(self._topics)[:TOPICS_PER_MESSAGE]
        for topic in told:
            del self._topics[topic]
        message = json.dumps([self._sender, *told])
        try:
            await self._link.call(lambda client: client.publish(self._channel, message))
        except Away:
            self._topics.clear()  # whoever waits looks at the ledger before this would reach them
        return bool(self._topics)

    async def _listen_for_ever(self) -> None:
        while goes_on():
            self._is_settled.clear()
            client = self._connect()
            ear = client.pubsub(ignore_subscribe_messages=True)
            try:
                async with asyncio.timeout(QUIET_SECONDS):
                    await client.initialize()  # who hears a cluster knows its nodes first
                    await ear.subscribe(self._channel)
                self.is_listening.set()
                self._is_settled.set()
                await self._hear_all(ear)
            except Exception:  # noqa: BLE001, S110  # the line says that Redis is away; who listens tries again
                pass
            finally:
                self.is_listening.clear()
                await _closed(ear.aclose)
                await _closed(client.aclose)
                self._is_settled.set()
            await asyncio.sleep(LISTEN_AGAIN_SECONDS)

    async def _hear_all(self, ear: Listening) -> None:
        """Hear until nothing is heard any more, not even the answer to a ping."""
        quiet = 0
        while quiet < QUIET_AT_MOST:
            message = await ear.get_message(timeout=QUIET_SECONDS)
            if message is None:
                quiet += 1
                async with asyncio.timeout(QUIET_SECONDS):
                    await ear.ping()
                continue
            quiet = 0
            if message.get("type") == "message":
                for topic in self._topics_in(message.get("data")):
                    self._hear(topic)

    def _topics_in(self, said: object) -> list[str]:
        if not isinstance(said, bytes) or len(said) > MAX_MESSAGE_BYTES:
            return []
        try:
            found = json.loads(said)
        except (ValueError, RecursionError):
            return []
        if not isinstance(found, list) or not found or found[0] == self._sender:
            return []
        return [topic for topic in found[1 : TOPICS_PER_MESSAGE + 1] if isinstance(topic, str)]


async def _closed(close: Callable[[], Any]) -> None:
    try:
        async with asyncio.timeout(QUIET_SECONDS):
            await close()
    except Exception:  # noqa: BLE001, S110  # what cannot be closed is dropped
        pass
