"""The agent's client, sync and async: thin faces over the one protocol in `calls`.

Every method either returns what the broker said or raises; nothing that the broker did not allow to this very attempt
ever runs a body.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

from assent.core.canonical import BadJson, Jsonable, canonical
from assent.core.credentials import Kind
from assent.sdk import calls
from assent.sdk.action import Action, AsyncAction, Plan
from assent.sdk.decisions import Decided, Decision, ToolNotice
from assent.sdk.endpoint import DEFAULT_LIMITS, Limits, endpoint
from assent.sdk.errors import ConfigurationError
from assent.sdk.guard import guard
from assent.sdk.messages import Ask
from assent.sdk.runs import Run, current_run, enter_run
from assent.sdk.sockets import SocketDriver
from assent.sdk.spool import Spool, spool_path
from assent.sdk.state import ClientState, new_secret
from assent.sdk.steps import Answer, Step, drive, drive_async

if TYPE_CHECKING:
    import ssl

    from assent.sdk.streams import StreamDriver

P = ParamSpec("P")
R = TypeVar("R")


class _Client:
    """What both faces share: the state, both drivers, runs and the decorator."""

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        unsafe_plain_http: str | None = None,
        limits: Limits = DEFAULT_LIMITS,
        tls: "ssl.SSLContext | None" = None,
        spool: Path | None = None,
    ) -> None:
        where = endpoint(url, key, kind=Kind.AGENT, unsafe_plain_http=unsafe_plain_http)
        self._tls = tls
        self._state = ClientState(endpoint=where, limits=limits, spool=Spool(spool or spool_path(where.name)))
        self._sockets = SocketDriver(where, limits, tls)
        self._streams: StreamDriver | None = None

    @property
    def state(self) -> ClientState:
        """What this client knows; for the SDK's own parts."""
        return self._state

    @property
    def latest_checkpoint(self) -> str | None:
        """The newest signed log head that the broker showed; keep it elsewhere, and no rewriting goes unseen."""
        newest = self._state.checkpoints.newest
        return newest.note if newest else None

    def run(
        self, run_id: str, *, on_behalf_of: Sequence[str] = (), model: tuple[str, str] | None = None
    ) -> AbstractContextManager[Run]:
        """Make every ask inside belong to one run, so that a restart with the same `run_id` finds its actions again."""
        return enter_run(run_id, on_behalf_of, model)

    def guard(
        self, tool: str, *, wait: float | None = None, unjudged: Sequence[str] = (), reason: str | None = None
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Decorate a function, sync or async, that is `tool`: its body gets the frozen arguments or does not run.

        `wait`: seconds to wait for a human, None until the approval ends, 0 not at all. Parameters in `unjudged` are
        passed on as they are and the broker never sees them.

        Raises:
            ConfigurationError: at decoration, or before the first ask, when a parameter is neither an argument of the
                tool nor unjudged.

        """
        return guard(self, tool, wait=wait, unjudged=unjudged, reason=reason)

    def perform(self, step: Step) -> Answer:
        """Do one step of a call by blocking; for the SDK's own parts."""
        return self._sockets.perform(step)

    async def perform_async(self, step: Step) -> Answer:
        """Do one step of a call on the event loop; for the SDK's own parts."""
        if self._streams is None:
            from assent.sdk.streams import StreamDriver

            self._streams = StreamDriver(self._state.endpoint, self._state.limits, self._tls)
        return await self._streams.perform(step)

    def plan_sync(self, tool: str, arguments: bytes, *, reason: str | None, wait: float | None) -> Action:
        """Return the sync action of canonical `arguments`; for the SDK's own parts."""
        return Action(self._state, Plan(ask=_ask(tool, arguments, reason=reason), wait=wait), self.perform)

    def plan_async(self, tool: str, arguments: bytes, *, reason: str | None, wait: float | None) -> AsyncAction:
        """Return the async action of canonical `arguments`; for the SDK's own parts."""
        return AsyncAction(self._state, Plan(ask=_ask(tool, arguments, reason=reason), wait=wait), self.perform_async)

    def close(self) -> None:
        """Close idle connections; the client can be used again."""
        self._sockets.close()

    async def aclose(self) -> None:
        """Close idle connections, those of the running event loop too; the client can be used again."""
        self.close()
        if self._streams is not None:
            await self._streams.aclose()


class Assent(_Client):
    """A client that blocks. Thread-safe; a forked child may go on using it."""

    def request(
        self,
        tool: str,
        arguments: Mapping[str, Jsonable],
        *,
        reason: str | None = None,
        run_id: str | None = None,
        call_id: str | None = None,
        wait: float | None = 0,
        on_behalf_of: Sequence[str] | None = None,
        model: tuple[str, str] | None = None,
    ) -> Decision:
        """Ask whether `tool` may run with `arguments` and return the decision, "no" included; nothing is run.

        `wait`: seconds to wait for a human, None until the approval ends. Go on with `resume(decision)`.

        Raises:
            BrokerUnavailable: nobody could say. ActionDenied: this agent may not even ask.

        """
        asked = _ask(
            tool,
            _frozen(tool, arguments),
            reason=reason,
            run_id=run_id,
            call_id=call_id,
            on_behalf_of=on_behalf_of,
            model=model,
        )
        return drive(calls.request(self._state, asked, wait=wait), self.perform)

    def action(
        self,
        tool: str,
        arguments: Mapping[str, Jsonable],
        *,
        reason: str | None = None,
        wait: float | None = None,
        run_id: str | None = None,
        call_id: str | None = None,
        on_behalf_of: Sequence[str] | None = None,
        model: tuple[str, str] | None = None,
    ) -> Action:
        """Return the action for `with`: the body runs once, with `action.arguments`, or an exception says why not.

        Raises (on entering):
            ActionDenied, ApprovalPending, ApprovalTimeout, AlreadyExecuted, BrokerUnavailable: nothing ran.

        """
        asked = _ask(
            tool,
            _frozen(tool, arguments),
            reason=reason,
            run_id=run_id,
            call_id=call_id,
            on_behalf_of=on_behalf_of,
            model=model,
        )
        return Action(self._state, Plan(ask=asked, wait=wait), self.perform)

    def resume(self, decision: Decision, *, wait: float | None = 0) -> Action:
        """Return the action of a decision made before (by `request`, `wait` or `decided`) for `with`."""
        return Action(self._state, Plan(decision=decision, wait=wait), self.perform)

    def wait(self, action_id: str, *, timeout: float | None = None) -> Decision:
        """Return the decision on an action after waiting up to `timeout` seconds for a human; maybe still pending."""
        return drive(calls.look(self._state, action_id, wait=timeout), self.perform)

    def cancel(self, action_id: str, reason: str | None = None) -> None:
        """Withdraw an action that has not run. Raises ActionDenied when it is too late."""
        drive(calls.cancel(self._state, action_id, reason), self.perform)

    def decided(self, *, since: str | None = None, wait_seconds: int = 0) -> Decided:
        """Return what was decided after the cursor `since`, waiting up to `wait_seconds` for something."""
        return drive(calls.decided(self._state, since=since, wait_seconds=wait_seconds), self.perform)

    def tools(self) -> tuple[ToolNotice, ...]:
        """Return the tools that this agent may use."""
        return drive(calls.tools(self._state), self.perform)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncAssent(_Client):
    """A client that never blocks the event loop. One client may serve several loops, one after the other or at once."""

    async def request(
        self,
        tool: str,
        arguments: Mapping[str, Jsonable],
        *,
        reason: str | None = None,
        run_id: str | None = None,
        call_id: str | None = None,
        wait: float | None = 0,
        on_behalf_of: Sequence[str] | None = None,
        model: tuple[str, str] | None = None,
    ) -> Decision:
        """Ask whether `tool` may run with `arguments` and return the decision; see `Assent.request`."""
        asked = _ask(
            tool,
            _frozen(tool, arguments),
            reason=reason,
            run_id=run_id,
            call_id=call_id,
            on_behalf_of=on_behalf_of,
            model=model,
        )
        return await drive_async(calls.request(self._state, asked, wait=wait), self.perform_async)

    def action(
        self,
        tool: str,
        arguments: Mapping[str, Jsonable],
        *,
        reason: str | None = None,
        wait: float | None = None,
        run_id: str | None = None,
        call_id: str | None = None,
        on_behalf_of: Sequence[str] | None = None,
        model: tuple[str, str] | None = None,
    ) -> AsyncAction:
        """Return the action for `async with`; see `Assent.action`."""
        asked = _ask(
            tool,
            _frozen(tool, arguments),
            reason=reason,
            run_id=run_id,
            call_id=call_id,
            on_behalf_of=on_behalf_of,
            model=model,
        )
        return AsyncAction(self._state, Plan(ask=asked, wait=wait), self.perform_async)

    def resume(self, decision: Decision, *, wait: float | None = 0) -> AsyncAction:
        """Return the action of a decision made before for `async with`; see `Assent.resume`."""
        return AsyncAction(self._state, Plan(decision=decision, wait=wait), self.perform_async)

    async def wait(self, action_id: str, *, timeout: float | None = None) -> Decision:
        """Return the decision on an action after waiting up to `timeout` seconds for a human; maybe still pending."""
        return await drive_async(calls.look(self._state, action_id, wait=timeout), self.perform_async)

    async def cancel(self, action_id: str, reason: str | None = None) -> None:
        """Withdraw an action that has not run. Raises ActionDenied when it is too late."""
        await drive_async(calls.cancel(self._state, action_id, reason), self.perform_async)

    async def decided(self, *, since: str | None = None, wait_seconds: int = 0) -> Decided:
        """Return what was decided after the cursor `since`, waiting up to `wait_seconds` for something."""
        return await drive_async(calls.decided(self._state, since=since, wait_seconds=wait_seconds), self.perform_async)

    async def tools(self) -> tuple[ToolNotice, ...]:
        """Return the tools that this agent may use."""
        return await drive_async(calls.tools(self._state), self.perform_async)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def _ask(
    tool: str,
    arguments: bytes,
    *,
    reason: str | None = None,
    run_id: str | None = None,
    call_id: str | None = None,
    on_behalf_of: Sequence[str] | None = None,
    model: tuple[str, str] | None = None,
) -> Ask:
    """Return the ask, completed by the run that this context is in."""
    run = current_run()
    return Ask(
        tool=tool,
        arguments=arguments,
        idempotency_key=new_secret(),
        reason=reason,
        run_id=run_id if run_id is not None else run.run_id,
        call_id=call_id,
        on_behalf_of=tuple(run.on_behalf_of if on_behalf_of is None else on_behalf_of),
        model=run.model if model is None else model,
    )


def _frozen(tool: str, arguments: Mapping[str, Jsonable]) -> bytes:
    try:
        return canonical(dict(arguments))
    except (BadJson, TypeError, ValueError) as fault:
        raise ConfigurationError(f"`{tool}`: the arguments cannot be judged: {fault}", hint="pass plain JSON") from None
