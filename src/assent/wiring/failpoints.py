"""Failpoints: named places where a broker under test kills itself, so that every crash that matters can be tried.

`ASSENT_FAILPOINT=name` sends SIGKILL to the process the first time it passes the point, `name:3` the third time. The
code of the product has no hooks: the ledger, the application and the log's signature are wrapped, and only then.
"""

import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar, cast

from assent.core.errors import ConfigInvalid
from assent.core.records import Entry, RecordKind
from assent.ports import Gate, Ledger, Tx, View

T = TypeVar("T")

VARIABLE: Final = "ASSENT_FAILPOINT"
_ASK_PATHS: Final = "/v1/"


class Place(StrEnum):
    """On which side of what a point lies."""

    BEFORE_COMMIT = "before_commit"
    AFTER_COMMIT = "after_commit"
    BEFORE_ANSWER = "before_answer"
    AFTER_ANSWER = "after_answer"
    SIGNING = "signing"


@dataclass(frozen=True, slots=True)
class Point:
    """One failpoint: it is passed when a transaction that appends one of `kinds` (or of module `flow`) gets there.

    `quiet` counts those transactions of `flow` as well that append nothing.
    """

    place: Place
    kinds: frozenset[RecordKind] = frozenset()
    flow: str | None = None
    quiet: bool = False


_K = RecordKind
_VOTE: Final = frozenset({_K.APPROVAL_VOTED, _K.APPROVAL_MOVED})
POINTS: Final[dict[str, Point]] = {
    "before_commit": Point(Place.BEFORE_COMMIT, frozenset({_K.ACTION_DECIDED})),
    "after_commit": Point(Place.AFTER_COMMIT, frozenset({_K.ACTION_DECIDED})),
    "before_vote_commit": Point(Place.BEFORE_COMMIT, _VOTE),
    "after_vote_commit": Point(Place.AFTER_COMMIT, _VOTE),
    "before_redeem_commit": Point(Place.BEFORE_COMMIT, frozenset({_K.GRANT_REDEEMED})),
    "after_redeem_commit": Point(Place.AFTER_COMMIT, frozenset({_K.GRANT_REDEEMED})),
    "before_outcome_commit": Point(Place.BEFORE_COMMIT, frozenset({_K.ACTION_OUTCOME})),
    "after_outcome_commit": Point(Place.AFTER_COMMIT, frozenset({_K.ACTION_OUTCOME})),
    "before_trip_commit": Point(Place.BEFORE_COMMIT, frozenset({_K.BREAKER_TRIPPED})),
    "after_trip_commit": Point(Place.AFTER_COMMIT, frozenset({_K.BREAKER_TRIPPED})),
    "during_tick": Point(Place.BEFORE_COMMIT, flow="assent.flows.tick"),
    # Odd counts: before a card is handed to its channel. Even ones: it stands there, and the ledger does not know yet.
    "during_delivery": Point(Place.BEFORE_COMMIT, flow="assent.flows.deliver", quiet=True),
    "before_answer": Point(Place.BEFORE_ANSWER),
    "after_answer": Point(Place.AFTER_ANSWER),
    "during_integration": Point(Place.SIGNING),
}


class Failpoint:
    """The one point that this process dies at."""

    def __init__(self, point: Point, times: int) -> None:
        self._point = point
        self._left = times

    def ledger(self, ledger: Ledger) -> Ledger:
        """Return `ledger` with the point in it."""
        on_commit = self._point.place in {Place.BEFORE_COMMIT, Place.AFTER_COMMIT}
        return _DyingLedger(ledger, self) if on_commit else ledger

    def application(self, app: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        """Return the ASGI application with the point in it."""
        on_answer = self._point.place in {Place.BEFORE_ANSWER, Place.AFTER_ANSWER}
        return _DyingApplication(app, self) if on_answer else app

    def signature(self, sign: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
        """Return the log's signature with the point in it."""

        def dying(message: bytes) -> bytes:
            self.passed(Place.SIGNING)
            return sign(message)

        return dying if self._point.place is Place.SIGNING else sign

    def concerns(self, work: object, kinds: set[RecordKind]) -> bool:
        """Whether a transaction of `work` that appended `kinds` passes this point."""
        if self._point.flow is not None:
            is_theirs = getattr(work, "__module__", "") == self._point.flow
            return is_theirs and (self._point.quiet or bool(kinds))
        return not self._point.kinds.isdisjoint(kinds)

    def passed(self, place: Place) -> None:
        """Die here when this is the place and its count is over."""
        if place is not self._point.place:
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def failpoint() -> Failpoint | None:
    """Return the failpoint that the environment names, or None.

    Raises:
        ConfigInvalid: there is no point of that name.

    """
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    name, _, times = named.partition(":")
    if name not in POINTS or not (times or "1").isdecimal() or times == "0":
        raise ConfigInvalid(f"{VARIABLE} is `{named}`", hint=f"one of {', '.join(POINTS)}, or NAME:COUNT")
    return Failpoint(POINTS[name], int(times or "1"))


class _DyingLedger:
    """A ledger that dies around the commit of the transaction that was named."""

    def __init__(self, ledger: Ledger, point: Failpoint) -> None:
        self._ledger = ledger
        self._point = point

    async def transact(
        self,
        work: Callable[[Tx], Awaitable[T]],
        *,
        within_seconds: float = 2.0,
        gate: Gate = Gate.SHARED,
        urgent: bool = False,
    ) -> T:
        kinds: set[RecordKind] = set()

        async def watched(tx: Tx) -> T:
            kinds.clear()
            value = await work(cast("Tx", _WatchedTx(tx, kinds)))
            if self._point.concerns(work, kinds):
                self._point.passed(Place.BEFORE_COMMIT)
            return value

        value = await self._ledger.transact(watched, within_seconds=within_seconds, gate=gate, urgent=urgent)
        if self._point.concerns(work, kinds):
            self._point.passed(Place.AFTER_COMMIT)
        return value

    async def read(self, work: Callable[[View], Awaitable[T]], *, within_seconds: float = 2.0) -> T:
        return await self._ledger.read(work, within_seconds=within_seconds)

    def blind(self, purpose: str, value: bytes) -> bytes:
        return self._ledger.blind(purpose, value)


class _WatchedTx:
    """A transaction that notes which kinds of records it appended."""

    def __init__(self, tx: Tx, kinds: set[RecordKind]) -> None:
        self._tx = tx
        self._kinds = kinds

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # every other method of the transaction, as it is
        return getattr(self._tx, name)

    async def append(self, entry: Entry) -> Any:  # noqa: ANN401  # the transaction's own answer
        self._kinds.add(entry.kind)
        return await self._tx.append(entry)


class _DyingApplication:
    """An application that dies around the answer to a call that changes something."""

    def __init__(self, app: Callable[..., Awaitable[None]], point: Failpoint) -> None:
        self._app = app
        self._point = point

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401  # ASGI's own shapes
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith(_ASK_PATHS):
            await self._app(scope, receive, send)
            return

        async def dying(message: Any) -> None:  # noqa: ANN401  # same
            self._point.passed(Place.BEFORE_ANSWER)
            await send(message)

        await self._app(scope, receive, dying)
        self._point.passed(Place.AFTER_ANSWER)
