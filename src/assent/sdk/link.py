"""What stands behind a client's public face: what it knows, and who does the steps of a call, blocking or not."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from assent.sdk import given
from assent.sdk.action import Action, AsyncAction, Plan
from assent.sdk.asking import ask_of
from assent.sdk.endpoint import Endpoint, Limits
from assent.sdk.sockets import SocketDriver
from assent.sdk.spool import Spool, spool_path
from assent.sdk.state import ClientState
from assent.sdk.steps import Answer, Step

if TYPE_CHECKING:
    import ssl

    from assent.sdk.stopping import OnStop
    from assent.sdk.streams import StreamDriver


class Link:
    """One client's way to its broker, shared by its sync and its async side."""

    def __init__(self, where: Endpoint, limits: Limits, tls: "ssl.SSLContext | None", spool: Path | None) -> None:
        self._tls = tls
        self.state = ClientState(endpoint=where, limits=limits, spool=Spool(spool or spool_path(where.name)))
        self._sockets = SocketDriver(where, limits, tls)
        self._streams: StreamDriver | None = None

    def perform(self, step: Step) -> Answer:
        """Do one step of a call by blocking."""
        return self._sockets.perform(step)

    async def perform_async(self, step: Step) -> Answer:
        """Do one step of a call on the event loop."""
        if self._streams is None:
            from assent.sdk.streams import StreamDriver

            self._streams = StreamDriver(self.state.endpoint, self.state.limits, self._tls)
        return await self._streams.perform(step)

    def action(self, plan: Plan) -> Action:
        """Return the sync action of `plan`."""
        given.seconds("wait", plan.wait)
        return Action(self.state, plan, self.perform)

    def async_action(self, plan: Plan) -> AsyncAction:
        """Return the async action of `plan`."""
        given.seconds("wait", plan.wait)
        return AsyncAction(self.state, plan, self.perform_async)

    def close(self) -> None:
        """Close idle connections."""
        self._sockets.close()

    async def aclose(self) -> None:
        """Close idle connections, those of the running event loop too."""
        self.close()
        if self._streams is not None:
            await self._streams.aclose()


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a guarded function asks: how long it waits for a human, why it asks, and whom a stop is told."""

    wait: float | None
    reason: str | None
    on_stop: "OnStop | None"


def plan_of(tool: str, arguments: bytes, terms: Terms) -> Plan:
    """Return the plan to ask for canonical `arguments` in the run that this context is in."""
    return Plan(ask=ask_of(tool, arguments, reason=terms.reason), wait=terms.wait, on_stop=terms.on_stop)
