"""LangChain and LangGraph: tools that run only with the broker's assent, in every agent, ToolNode and graph with them.

The tool itself asks, inside every middleware and retry. In a graph with a checkpointer a call that waits for a person
interrupts its thread; whatever the thread is resumed with, the broker is asked again.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import ToolMessage
from langchain_core.runnables.config import ensure_config
from langchain_core.tools import BaseTool, StructuredTool, Tool
from langchain_core.tools import tool as tool_of
from pydantic_core import to_jsonable_python

from assent.sdk.adapters.gate import Arguments, Call, Failed, Gate, NotRun, refuse_unguarded
from assent.sdk.adapters.resuming import Resume
from assent.sdk.client import Assent, AsyncAssent
from assent.sdk.decisions import Decision
from assent.sdk.errors import ConfigurationError

_GUARDED: Final = "assent:guarded"
_KEPT: Final = {"__pregel_scratchpad", "__pregel_checkpointer"}  # a step of a graph that can be interrupted and resumed


def guard(
    broker: Assent | AsyncAssent,
    tools: Iterable[Any],
    *,
    names: Mapping[str, str] | None = None,
    wait: float | None = 0,
    reason: str | None = None,
    strict: bool = True,
) -> list[Any]:
    """Return tools (and functions, as tools) that ask before they run, for any agent, ToolNode or graph.

    `names` maps their names to the catalogue's. `wait`: seconds that a call is held for a person before its thread is
    interrupted. A tool that the model's provider runs (a dict) is refused, or without `strict` passed on unbrokered.

    Raises:
        ConfigurationError: a tool cannot be put behind the broker.

    """
    gate = Gate(broker, names=names, wait=wait, reason=reason)
    return [_guarded(gate, tool, strict=strict) for tool in tools]


def _guarded(gate: Gate, tool: Any, *, strict: bool) -> Any:
    if isinstance(tool, Mapping):
        refuse_unguarded(f"the provider's tool `{tool.get('type')}`", "leave it out", strict=strict)
        return tool
    return guard_tool(gate, tool if isinstance(tool, BaseTool) else tool_of(tool))


def guard_tool(gate: Gate, tool: Any) -> Any:
    """Return a copy of `tool` that asks before it runs. Raises ConfigurationError when it has a way around."""
    kind = type(tool)
    for way in ("run", "arun", "invoke", "ainvoke"):
        if getattr(kind, way) not in [getattr(one, way) for one in (BaseTool, StructuredTool, Tool)]:
            raise ConfigurationError(f"`{tool.name}` is guarded already, or brings a `{way}` of its own")
    copy = tool.model_copy(update={"tags": [*(tool.tags or []), _GUARDED]})
    ways = {"run": _run(gate, kind), "arun": _arun(gate, kind), "__module__": kind.__module__}
    kinds: Any = type(kind)
    object.__setattr__(copy, "__class__", kinds(kind.__name__, (kind,), ways))
    return copy


def _run(gate: Gate, kind: Any) -> Any:
    def run(self: Any, tool_input: Any, *args: Any, **kwargs: Any) -> Any:
        call = _call(self, tool_input, kwargs)

        def body(frozen: Arguments) -> Any:
            return _succeeded(kind.run(self, _again(tool_input, frozen), *args, **kwargs))

        while _interrupted(call, result := gate.run(call, body)):
            pass
        return _told(self, result, kwargs)

    return run


def _arun(gate: Gate, kind: Any) -> Any:
    async def arun(self: Any, tool_input: Any, *args: Any, **kwargs: Any) -> Any:
        call = _call(self, tool_input, kwargs)

        async def body(frozen: Arguments) -> Any:
            return _succeeded(await kind.arun(self, _again(tool_input, frozen), *args, **kwargs))

        while _interrupted(call, result := await gate.run_async(call, body)):
            pass
        return _told(self, result, kwargs)

    return arun


def _call(tool: Any, tool_input: Any, kwargs: Mapping[str, Any]) -> Call:
    if isinstance(tool_input, str):
        arguments = {next(iter(tool.args), "input"): tool_input}
    else:
        # LangChain also takes names for its own that a model can write.
        own = {name: tool_input[name] for name in ("callbacks", "run_manager") if name in tool_input}
        arguments = tool._filter_injected_args(tool_input) | own  # noqa: SLF001  # the one place that knows them all
    settings = ensure_config(kwargs.get("config")).get("configurable", {})
    thread = settings.get("thread_id")
    kept = all(settings.get(name) for name in _KEPT)
    return Call(
        tool=tool.name,
        arguments=to_jsonable_python(arguments),
        run_id=None if thread is None else str(thread),
        id=kwargs.get("tool_call_id") if kept else None,
    )


def _again(tool_input: Any, frozen: Arguments) -> Any:
    return next(iter(frozen.values())) if isinstance(tool_input, str) else {**tool_input, **frozen}


def _interrupted(call: Call, result: Any) -> bool:
    """Interrupt the thread where it waits for a person; return whether to ask again, after it was resumed."""
    if not isinstance(result, NotRun) or result.pending is None or call.id is None:
        return False
    from langgraph.types import interrupt

    interrupt({"assent": result.notice})  # what comes back is no authority
    return True


def _succeeded(result: Any) -> Any:
    """Return what the tool gave. Raises where LangChain made a message of its exception: it has failed."""
    if isinstance(result, ToolMessage) and result.status == "error":
        raise Failed(result)
    return result


def _told(tool: Any, result: Any, kwargs: Mapping[str, Any]) -> Any:
    call_id = kwargs.get("tool_call_id")
    if not isinstance(result, NotRun):
        return result
    if call_id is None:
        return result.message
    return ToolMessage(result.message, tool_call_id=call_id, name=tool.name, status="error")


def resumer(graph: Any) -> Resume:
    """Return what goes on with the threads of `graph` in which something was decided, for `resume_decided`."""

    def resume(run_id: str, decided: Sequence[Decision]) -> None:
        from langgraph.types import Command

        thread = {"configurable": {"thread_id": run_id}}
        about = {decision.action_id for decision in decided}
        waiting = [one.id for one in graph.get_state(thread).interrupts if _action_of(one.value) in about]
        if waiting:
            graph.invoke(Command(resume=dict.fromkeys(waiting, "decided")), thread)

    return resume


def _action_of(value: Any) -> Any:
    notice = value.get("assent") if isinstance(value, dict) else None
    return notice.get("action_id") if isinstance(notice, dict) else None


class OnlyGuarded(BaseCallbackHandler):  # type: ignore[misc]  # LangChain is not there where types are checked
    """Refuses every tool that was not guarded, in sub-agents too: `agent.with_config(callbacks=[OnlyGuarded()])`."""

    raise_error = True
    run_inline = True

    def on_tool_start(self, serialized: Any, *_: Any, tags: Sequence[str] | None = None, **__: Any) -> None:
        if _GUARDED not in (tags or ()):
            name = (serialized or {}).get("name")
            raise ConfigurationError(f"`{name}` is not guarded, so it does not run", hint="give it to `guard`")
