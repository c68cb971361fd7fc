"""Whether the broker can decide now: the ledger takes writes, its disk has room, the active policy is loaded."""

import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from assent.api import Readiness
from assent.core.errors import AssentError
from assent.flows.active_policy import active_policy
from assent.flows.broker import Broker
from assent.flows.read_policy import why_behind
from assent.ports import Tx

if TYPE_CHECKING:
    from assent.stores.redis_signals import RedisSignals

LOOK_AGAIN_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 1.0
LEAST_FREE_BYTES: Final = 8 * 1024 * 1024


class ReadinessProbe:
    """Looks at most once a second, however many ask; a ledger that is no file has a disk of its own elsewhere."""

    def __init__(self, broker: Broker, ledger_file: Path | None, redis: "RedisSignals | None" = None) -> None:
        self._broker = broker
        self._redis = redis
        self._directory = None if ledger_file is None else ledger_file.parent
        self._lock = asyncio.Lock()
        self._found: Readiness | None = None
        self._found_at = 0.0

    async def look(self) -> Readiness:
        """Return what was found within the last second."""
        async with self._lock:
            if self._found is None or time.monotonic() - self._found_at > LOOK_AGAIN_SECONDS:
                self._found, self._found_at = await self._look(), time.monotonic()
            return self._found

    async def _look(self) -> Readiness:
        wrong, behind = await self._no_transaction()
        notes = tuple(note for note in (wrong, self._no_room()) if note)
        # A policy that cannot be loaded stops the start, and later the one before goes on serving. There always is one;
        # where the ledger calls another one active, nothing but reads is decided by it.
        signals, away = self._signals()
        return Readiness(
            ledger_writable=not notes,
            policy_loaded=behind is None,
            notes=(*notes, *([] if behind is None else [behind]), *away),
            signals=signals,
        )

    def _signals(self) -> tuple[str, tuple[str, ...]]:
        """Return where breakers count, and why they cannot; the ledger decides all the same, so that is not unready."""
        if self._redis is None:
            return "process", ()
        why = self._redis.link.why
        if why is None:
            return "redis", ()
        return "unreachable", (f"Redis: {why}; changes in production that a rule counts are denied",)

    async def _no_transaction(self) -> tuple[str, str | None]:
        """Return why the ledger takes no transaction, or nothing, and why the policy loaded here is not the active one.

        One that writes nothing needs writer, lock and file all the same.
        """

        async def work(tx: Tx) -> str | None:
            return why_behind(self._broker, await active_policy(tx))

        try:
            return "", await self._broker.ledger.transact(work, within_seconds=ANSWER_SECONDS)
        except AssentError as fault:
            return fault.message, None

    def _no_room(self) -> str:
        if self._directory is None:
            return ""
        try:
            disk = os.statvfs(self._directory)
        except OSError as fault:
            return f"the ledger's directory cannot be looked at: {fault.strerror}"
        free = disk.f_bavail * disk.f_frsize
        return f"only {free} bytes are free where the ledger lies" if free < LEAST_FREE_BYTES else ""
