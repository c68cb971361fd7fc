"""What one client knows, shared by its sync and async side: endpoint, limits, spool, asks in flight, the log head."""

import inspect
import secrets
import warnings
from dataclasses import dataclass, field
from typing import Final

from assent.sdk.checkpoints import CheckpointMemory
from assent.sdk.decisions import ToolNotice
from assent.sdk.endpoint import Endpoint, Limits
from assent.sdk.errors import RunIdMissing
from assent.sdk.in_flight import InFlight
from assent.sdk.spool import Spool

_OURS: Final = "assent.sdk."
_RANDOM_BYTES: Final = 32  # 256 bits; the contract asks for 128 at least


@dataclass(slots=True, kw_only=True)
class ClientState:
    """One client's memory; mutable, and every part that threads share keeps its own lock."""

    endpoint: Endpoint
    limits: Limits
    spool: Spool
    in_flight: InFlight = field(default_factory=InFlight)
    checkpoints: CheckpointMemory = field(default_factory=CheckpointMemory)
    tools: tuple[ToolNotice, ...] | None = None
    warned_without_run: bool = False

    def tool(self, name: str) -> ToolNotice | None:
        """Return what is known about the tool `name`."""
        return next((notice for notice in self.tools or () if notice.name == name), None)

    def warn_without_run(self) -> None:
        """Say once that asks outside a run are not found again."""
        if self.warned_without_run:
            return
        self.warned_without_run = True
        warnings.warn(
            "an ask without a run_id is not found again after a restart; use `with broker.run(...)`",
            RunIdMissing,
            stacklevel=_to_the_caller(),
        )


def _to_the_caller() -> int:
    """Return the `stacklevel` at which the line stands that called the SDK, seen from whoever warns."""
    # Whoever warns is level 1. Modules of the SDK are passed over, also where one coroutine waits for another.
    frame, level = inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__", "").startswith(_OURS):
        frame, level = frame.f_back, level + 1
    return level


def new_secret() -> str:
    """Return fresh random characters for an attempt or an idempotency key; made in memory, never kept."""
    return secrets.token_urlsafe(_RANDOM_BYTES)
