"""Any list of tools, put behind the broker: plain functions here, a framework's own kinds by its adapter."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any, Final, cast

from assent.sdk.adapters.gate import Call, Gate, NotRun
from assent.sdk.binding import Binding, bind
from assent.sdk.client import Assent, AsyncAssent
from assent.sdk.errors import ConfigurationError
from assent.sdk.guard import hide_body

# Where a tool's class comes from tells which adapter knows it; nothing of a framework is loaded that is not there.
_ADAPTERS: Final = {"langchain_core.": "langchain", "agents.": "openai_agents"}


def wrap(
    broker: Assent | AsyncAssent,
    tools: Iterable[Any],
    *,
    names: Mapping[str, str] | None = None,
    wait: float | None = None,
    reason: str | None = None,
    unjudged: Sequence[str] = (),
) -> list[Any]:
    """Return the tools, each with a body that runs only with the broker's assent, for any framework that takes them.

    Functions, sync or async, come back as functions that return what the model is to read when the body did not run;
    tools of a framework that has an adapter come back as that framework's tools. `wait` is how long a call is held for
    a person: seconds, None until the approval ends. Parameters of functions in `unjudged` are passed on as they are.

    Raises:
        ConfigurationError: one of them is of no kind that can be put behind the broker.

    """
    gate = Gate(broker, names=names, wait=wait, reason=reason)
    return [_wrapped(gate, tool, unjudged) for tool in tools]


def _wrapped(gate: Gate, tool: Any, unjudged: Sequence[str]) -> Any:
    if inspect.isfunction(tool):
        return guard_function(gate, tool, unjudged)
    homes = [f"{kind.__module__}." for kind in type(tool).__mro__]
    for prefix, adapter in _ADAPTERS.items():
        if any(home.startswith(prefix) for home in homes):
            return import_module(f"assent.sdk.adapters.{adapter}").guard_tool(gate, tool)
    raise ConfigurationError(
        f"a `{type(tool).__name__}` cannot be put behind the broker",
        hint="give functions, or tools of a framework that has an adapter",
    )


def guard_function(gate: Gate, function: Callable[..., Any], unjudged: Sequence[str] = ()) -> Callable[..., Any]:
    """Return `function` with its body behind the broker; instead of raising a refusal it returns the model's text.

    Raises:
        ConfigurationError: it is a generator, or its parameters cannot be judged by name.

    """
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigurationError(
            f"`{function.__name__}`: a generator runs after its call returned", hint="return a list instead"
        )
    binding = bind(function, gate.name_of(function.__name__), unjudged)
    make = _async_function if inspect.iscoroutinefunction(function) else _function
    guarded = make(gate, function, binding)
    hide_body(guarded, function)
    return guarded


def _function(gate: Gate, function: Callable[..., Any], binding: Binding) -> Callable[..., Any]:
    @functools.wraps(function)
    def guarded(*args: object, **kwargs: object) -> object:
        call = binding.freeze(args, kwargs)

        def body(frozen: Mapping[str, Any]) -> object:
            positional, named = call.thaw(frozen)
            return cast("object", function(*positional, **named))

        return _said(gate.run(Call(tool=function.__name__, arguments=call.arguments), body))

    return guarded


def _async_function(gate: Gate, function: Callable[..., Any], binding: Binding) -> Callable[..., Any]:
    @functools.wraps(function)
    async def guarded(*args: object, **kwargs: object) -> object:
        call = binding.freeze(args, kwargs)

        async def body(frozen: Mapping[str, Any]) -> object:
            positional, named = call.thaw(frozen)
            return cast("object", await function(*positional, **named))

        return _said(await gate.run_async(Call(tool=function.__name__, arguments=call.arguments), body))

    return guarded


def _said(result: object) -> object:
    return result.message if isinstance(result, NotRun) else result
