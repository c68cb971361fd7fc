"""The agent's client, sync and async: thin faces over the one protocol in `calls`.

Every method either returns what the broker said or raises; nothing that the broker did not allow to this very attempt
ever runs a body.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

from assent.core.canonical import Jsonable
from assent.core.credentials import Kind
from assent.sdk import calls, given
from assent.sdk.action import Action, AsyncAction, Plan
from assent.sdk.asking import ask_of, frozen
from assent.sdk.decisions import Decided, Decision, ToolNotice
from assent.sdk.endpoint import DEFAULT_LIMITS, Limits, endpoint
from assent.sdk.errors import ConfigurationError
from assent.sdk.guard import guard
from assent.sdk.link import Link
from assent.sdk.runs import Run, enter_run
from assent.sdk.steps import drive, drive_async

if TYPE_CHECKING:
    import ssl

    from assent.sdk.stopping import OnStop

P = ParamSpec("P")
R = TypeVar("R")


class _Client:
    """What both faces share: the way to the broker, runs and the decorator."""

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
        given.kind_or_none("limits", limits, Limits)
        given.kind_or_none("spool", spool, Path)
        where = endpoint(url, key, kind=Kind.AGENT, unsafe_plain_http=unsafe_plain_http)
        self._link = Link(where, limits, tls, spool)

    @property
    def latest_checkpoint(self) -> str | None:
        """The newest signed log head that the broker showed; keep it elsewhere, and no rewriting goes unseen."""
        newest = self._link.state.checkpoints.newest
        return newest.note if newest else None

    def run(
        self, run_id: str, *, on_behalf_of: Sequence[str] = (), model: tuple[str, str] | None = None
    ) -> AbstractContextManager[Run]:
        """Make every ask inside belong to one run, so that a restart with the same `run_id` finds its actions again.

        Raises:
            ConfigurationError: a name is empty, or no text.

        """
        run = Run(
            run_id=given.name("run_id", run_id),
            on_behalf_of=given.names("on_behalf_of", on_behalf_of),
            model=given.model("model", model),
        )
        return enter_run(run)

    def guard(
        self,
        tool: str,
        *,
        wait: float | None = None,
        unjudged: Sequence[str] = (),
        reason: str | None = None,
        on_stop: "OnStop | None" = None,
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Decorate a function, sync or async, that is `tool`: its body gets the frozen arguments or does not run.

        `wait`: seconds to wait for a human, None until the approval ends, 0 not at all. Parameters in `unjudged` are
        passed on as they are and the broker never sees them. `on_stop` is called with the BreakerOpen when a breaker
        opens while the body runs: whatever ends the work is for it to do.

        Raises:
            ConfigurationError: at decoration, or before the first ask, when a parameter is neither an argument of the
                tool nor unjudged.

        """
        return guard(self._link, tool, wait=wait, unjudged=unjudged, reason=reason, on_stop=on_stop)

    def close(self) -> None:
        """Close idle connections; the client can be used again."""
        self._link.close()

    async def aclose(self) -> None:
        """Close idle connections, those of the running event loop too; the client can be used again."""
        await self._link.aclose()


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
            BrokerUnavailable: nobody could say.
            ConfigurationError: the key is not taken, or the call cannot be read.

        """
        asked = ask_of(
            tool,
            frozen(tool, arguments),
            reason=reason,
            run_id=run_id,
            call_id=call_id,
            on_behalf_of=on_behalf_of,
            model=model,
        )
        return drive(calls.request(self._link.state, asked, wait=given.seconds("wait", wait)), self._link.perform)

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
        on_stop: "OnStop | None" = None,
    ) -> Action:
        """Return the action for `with`: the body runs once, with `action.arguments`, or an exception says why not.

        `on_stop` is called, in a thread of its own, when a breaker opens over the action while its body runs.

        Raises (on entering):
            ActionDenied, ApprovalPending, ApprovalTimeout, AlreadyExecuted, BrokerUnavailable: nothing ran.

        """
        asked = ask_of(
            tool,
            frozen(tool, arguments),
            reason=reason,
            run_id=run_id,
            call_id=call_id,
            on_behalf_of=on_behalf_of,
            model=model,
        )
        return self._link.action(Plan(ask=asked, wait=wait, on_stop=on_stop))

    def resume(self, decision: Decision, *, wait: float | None = 0, on_stop: "OnStop | None" = None) -> Action:
        """Return the action of a decision made before (by `request`, `wait` or `decided`) for `with`."""
        return self._link.action(Plan(decision=_decision(decision), wait=wait, on_stop=on_stop))

    def wait(self, action_id: str, *, timeout: float | None = None) -> Decision:
        """Return the decision on an action after waiting up to `timeout` seconds for a human; maybe still pending."""
        steps = calls.look(self._link.state, given.name("action_id", action_id), wait=given.seconds("timeout", timeout))
        return drive(steps, self._link.perform)

    def cancel(self, action_id: str, reason: str | None = None) -> None:
        """Withdraw an action that has not run. Raises ActionDenied when it is too late."""
        steps = calls.cancel(self._link.state, given.name("action_id", action_id), given.text_or_none("reason", reason))
        drive(steps, self._link.perform)

    def decided(self, *, since: str | None = None, wait_seconds: int = 0) -> Decided:
        """Return what was decided after the cursor `since`, waiting up to `wait_seconds` for something."""
        since, wait_seconds = given.name_or_none("since", since), given.whole_seconds("wait_seconds", wait_seconds)
        return drive(calls.decided(self._link.state, since=since, wait_seconds=wait_seconds), self._link.perform)

    def tools(self) -> tuple[ToolNotice, ...]:
        """Return the tools that this agent may use."""
        return drive(calls.tools(self._link.state), self._link.perform)

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
        asked = ask_of(
            tool,
            frozen(tool, arguments),
            reason=reason,
            run_id=run_id,
            call_id=call_id,
            on_behalf_of=on_behalf_of,
            model=model,
        )
        steps = calls.request(self._link.state, asked, wait=given.seconds("wait", wait))
        return await drive_async(steps, self._link.perform_async)

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
        on_stop: "OnStop | None" = None,
    ) -> AsyncAction:
        """Return the action for `async with`; see `Assent.action`. `on_stop` is called on the event loop."""
        asked = ask_of(
            tool,
            frozen(tool, arguments),
            reason=reason,
            run_id=run_id,
            call_id=call_id,
            on_behalf_of=on_behalf_of,
            model=model,
        )
        return self._link.async_action(Plan(ask=asked, wait=wait, on_stop=on_stop))

    def resume(self, decision: Decision, *, wait: float | None = 0, on_stop: "OnStop | None" = None) -> AsyncAction:
        """Return the action of a decision made before for `async with`; see `Assent.resume`."""
        return self._link.async_action(Plan(decision=_decision(decision), wait=wait, on_stop=on_stop))

    async def wait(self, action_id: str, *, timeout: float | None = None) -> Decision:
        """Return the decision on an action after waiting up to `timeout` seconds for a human; maybe still pending."""
        steps = calls.look(self._link.state, given.name("action_id", action_id), wait=given.seconds("timeout", timeout))
        return await drive_async(steps, self._link.perform_async)

    async def cancel(self, action_id: str, reason: str | None = None) -> None:
        """Withdraw an action that has not run. Raises ActionDenied when it is too late."""
        steps = calls.cancel(self._link.state, given.name("action_id", action_id), given.text_or_none("reason", reason))
        await drive_async(steps, self._link.perform_async)

    async def decided(self, *, since: str | None = None, wait_seconds: int = 0) -> Decided:
        """Return what was decided after the cursor `since`, waiting up to `wait_seconds` for something."""
        since, wait_seconds = given.name_or_none("since", since), given.whole_seconds("wait_seconds", wait_seconds)
        steps = calls.decided(self._link.state, since=since, wait_seconds=wait_seconds)
        return await drive_async(steps, self._link.perform_async)

    async def tools(self) -> tuple[ToolNotice, ...]:
        """Return the tools that this agent may use."""
        return await drive_async(calls.tools(self._link.state), self._link.perform_async)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def link_of(client: Assent | AsyncAssent) -> Link:
    """Return what stands behind a client, which has both faces: for the SDK's own adapters."""
    return client._link  # noqa: SLF001  # whoever uses a client does not see it


def _decision(decision: Decision) -> Decision:
    if not isinstance(decision, Decision):
        raise ConfigurationError("what is resumed is no decision", hint="give what `request`, `wait` or `decided` told")
    return decision
