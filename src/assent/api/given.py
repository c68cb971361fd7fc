"""What the API is given: the broker, its limits, the log to publish, and how to tell whether it can serve.

Every route works with one `Api`; nothing here is global.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from assent.api.tracing import Tracing
from assent.core.canonical import MAX_BODY_BYTES, Json
from assent.core.records import RecordId
from assent.core.tiles import Tile
from assent.flows.broker import Broker
from assent.metrics import Measured, Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """Limits, units in their names.

    Rates are per credential, or per peer address while the credential is one that this process has not seen.
    `tells_over` are the channels that are set up, by which people can be told that they are asked. `approvals_url` is
    where people open an approval; its id is appended. `runbook_url` is what a trip points to.
    `public_log` opens `/log` to everybody, `metrics_on_loopback` opens `/metrics` to whoever calls from this machine.
    `version` is what the OpenAPI document names.
    """

    max_body_bytes: int = MAX_BODY_BYTES
    requests_per_second: float = 2_000.0
    requests_burst: int = 4_000
    strangers_per_second: float = 200.0
    strangers_burst: int = 1_000
    max_waits: int = 20_000
    public_log: bool = False
    metrics_on_loopback: bool = False
    tells_over: frozenset[str] = frozenset()
    approvals_url: str | None = None
    runbook_url: str = "docs/runbook-breakers.md"
    version: str = "0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether the broker can decide: the ledger takes writes, a policy is loaded. `notes` hold no secrets.

    `signals` says where breakers count: `process`, `redis`, or `unreachable`, which denies what has to be counted.
    """

    ledger_writable: bool
    policy_loaded: bool
    notes: tuple[str, ...] = ()
    signals: str = "process"

    @property
    def ready(self) -> bool:
        """Whether both hold."""
        return self.ledger_writable and self.policy_loaded


class LogReader(Protocol):
    """The published side of the log: what anybody may verify it with."""

    def newest_checkpoint(self) -> bytes | None:
        """Return the newest signed note without waiting, or None before the first; it stands in agents' answers."""
        ...

    async def reach(self, size: int) -> None:
        """Take in what other brokers signed, unless the newest checkpoint covers `size` records already.

        Raises:
            LedgerUnavailable: it is behind, and the ledger cannot be asked.

        """
        ...

    async def tile(self, tile: Tile) -> bytes | None:
        """Return a tile or an entry bundle of exactly this width, or None when the log is not that far."""
        ...

    async def proof(self, record: RecordId) -> bytes | None:
        """Return the log proof of a record under the newest checkpoint, or None while it is not below one."""
        ...


class SlackInbox(Protocol):
    """Takes what claims to come from Slack over HTTP, and knows whether Slack is there at all."""

    @property
    def away(self) -> str | None:
        """That Slack is away, since when and why; None while it is not."""
        ...

    @property
    def notice(self) -> str | None:
        """What people who look elsewhere should know of that, None while there is nothing."""
        ...

    async def receive(
        self, body: bytes, *, timestamp: bytes | None, signature: bytes | None, media_type: bytes | None
    ) -> tuple[int, Mapping[str, Any]]:
        """Return status and JSON; 401 for whatever Slack did not sign, or was seen before."""
        ...


class Waits:
    """How many callers wait at the moment; a caller too many is answered at once instead of refused."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting = 0

    @property
    def full(self) -> bool:
        """Whether nobody more may wait."""
        return self._waiting >= self._limit

    def __enter__(self) -> None:
        self._waiting += 1

    def __exit__(self, *_: object) -> None:
        self._waiting -= 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """Everything that routes work with; `closing` ends long waits when the process shuts down.

    `waits` counts who waits, `tally` is counted up by the routes; `measure` finds out the rest for metrics. Without
    `tracing` nobody is told of spans.
    """

    broker: Broker
    readiness: Callable[[], Awaitable[Readiness]]
    log: LogReader
    key_set: Callable[[], Mapping[str, Json]]
    measure: Callable[[], Awaitable[Measured]]
    closing: asyncio.Event
    waits: Waits
    slack: SlackInbox | None = None
    tally: Tally = field(default_factory=Tally)
    tracing: Tracing | None = None
    settings: ApiSettings = field(default_factory=ApiSettings)
