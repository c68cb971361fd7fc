"""The decorator: a function whose body runs only with the broker's assent, and with the arguments it assented to.

Decorating needs no network: what the signature alone tells is refused there; whether the tool has these arguments is
checked as soon as the client knows its tools, at the latest before the first ask.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

from assent.sdk import calls, given
from assent.sdk.binding import Binding, bind, refuse_unknown_parameters
from assent.sdk.errors import ConfigurationError
from assent.sdk.link import Link, Terms, plan_of
from assent.sdk.state import ClientState
from assent.sdk.steps import Steps, drive, drive_async

if TYPE_CHECKING:
    from assent.sdk.stopping import OnStop

P = ParamSpec("P")
R = TypeVar("R")


def guard(
    link: Link,
    tool: str,
    *,
    wait: float | None,
    unjudged: Sequence[str],
    reason: str | None,
    on_stop: "OnStop | None" = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return the decorator for functions that are `tool`."""
    given.name("tool", tool)
    given.seconds("wait", wait)
    given.text_or_none("reason", reason)
    terms = Terms(wait=wait, reason=reason, on_stop=on_stop)

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if not inspect.isfunction(function):
            raise ConfigurationError(f"`{tool}`: only a plain function can be guarded", hint="decorate `def` directly")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise ConfigurationError(
                f"`{tool}`: a generator runs after its call returned, when nobody holds the action",
                hint="return a list, or use `with broker.action(...)` around the loop",
            )
        schema = _Schema(link.state, bind(function, tool, unjudged))
        if inspect.iscoroutinefunction(function):
            return cast("Callable[P, R]", _guard_async(link, function, schema, terms))
        return _guard_sync(link, function, schema, terms)

    return decorate


class _Schema:
    """Checks once that the tool has the function's parameters as arguments."""

    def __init__(self, state: ClientState, binding: Binding) -> None:
        self.binding = binding
        self._state = state
        self._fits = False
        if state.tools is not None:
            self._compare()

    def check(self) -> Steps[None]:
        """Compare with the tools that the broker lists, asking for them when need be."""
        if self._fits:
            return
        if self._state.tools is None:
            yield from calls.tools(self._state)
        self._compare()

    def _compare(self) -> None:
        notice = self._state.tool(self.binding.tool)
        # A tool that is not listed is asked for all the same: refusing it is the broker's word, with its reasons.
        if notice is not None and notice.arguments is not None:
            refuse_unknown_parameters(self.binding, notice.arguments)
            self._fits = True


def _guard_sync(link: Link, function: Callable[P, R], schema: _Schema, terms: Terms) -> Callable[P, R]:
    body: Callable[..., R] = function

    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        call = schema.binding.freeze(args, kwargs)
        drive(schema.check(), link.perform)
        with link.action(plan_of(schema.binding.tool, call.arguments, terms)) as action:
            refuse_token(action.token, schema.binding.tool)
            frozen_args, frozen_kwargs = call.thaw(action.arguments)
            return complete(body(*frozen_args, **frozen_kwargs), schema.binding.tool)

    hide_body(guarded, function)
    return guarded


def _guard_async(
    link: Link, function: Callable[P, Awaitable[R]], schema: _Schema, terms: Terms
) -> Callable[P, Awaitable[R]]:
    body: Callable[..., Awaitable[R]] = function

    @functools.wraps(function)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        call = schema.binding.freeze(args, kwargs)
        await drive_async(schema.check(), link.perform_async)
        async with link.async_action(plan_of(schema.binding.tool, call.arguments, terms)) as action:
            refuse_token(action.token, schema.binding.tool)
            frozen_args, frozen_kwargs = call.thaw(action.arguments)
            return complete(await body(*frozen_args, **frozen_kwargs), schema.binding.tool)

    hide_body(guarded, function)
    return guarded


def hide_body(guarded: Callable[..., object], function: Callable[..., object]) -> None:
    """Keep what tells about `function`, and drop what leads to it: a call of that would ask nobody."""
    guarded.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]  # PEP 362 allows it on any callable
    del guarded.__wrapped__  # type: ignore[attr-defined]  # set by `functools.wraps`


def refuse_token(token: str | None, tool: str) -> None:
    """Refuse a body whose grant is for the tool's own service. Raises ConfigurationError."""
    if token is not None:
        raise ConfigurationError(
            f"`{tool}` is redeemed by its own service, so its body cannot run here",
            hint="use `with broker.action(...)` and send `action.token` to the service",
        )


def complete(result: R, tool: str) -> R:
    """Return `result` unless it is work that has yet to be done: that would run after the outcome was reported."""
    if inspect.iscoroutine(result):
        result.close()
    if inspect.isawaitable(result) or inspect.isgenerator(result) or inspect.isasyncgen(result):
        raise ConfigurationError(f"`{tool}`: the function returned work that has yet to run", hint="guard that instead")
    return result
