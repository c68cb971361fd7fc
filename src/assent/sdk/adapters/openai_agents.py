"""OpenAI Agents: an agent, and whoever it hands over to, whose tools run only with the broker's assent.

A call that waits for a person becomes an interruption of the run. Approving it in the run's state only lets the tool
ask again. The run is that of `broker.run(...)`, entered around `Runner.run`.
"""

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from agents import Agent, FunctionTool, Handoff
from agents.tool import maybe_invoke_function_tool_failure_error_function

from assent.core.canonical import BadJson, parse
from assent.sdk.adapters.gate import Arguments, Call, Gate, NotRun, refuse_unguarded, was_decided
from assent.sdk.client import Assent, AsyncAssent
from assent.sdk.decisions import Decision
from assent.sdk.errors import ConfigurationError

_GUARDED: Final = "_assent_guarded"
_MAX_BYTES: Final = 1_048_576
_MAX_DEPTH: Final = 64


def guard(
    broker: Assent | AsyncAssent,
    agent: Any,
    *,
    names: Mapping[str, str] | None = None,
    wait: float | None = 0,
    reason: str | None = None,
    strict: bool = True,
) -> Any:
    """Return a copy of `agent` whose tools ask before they run, and so for every agent that it hands over to.

    `names` maps the tools' names to the catalogue's. `wait`: seconds that a call is held for a person before the run is
    interrupted. What runs elsewhere (hosted tools, MCP servers, shells, prompts kept by the provider) is refused, or
    without `strict` left in unbrokered.

    Raises:
        ConfigurationError: something in it cannot be put behind the broker.

    """
    return _agent(Gate(broker, names=names, wait=wait, reason=reason), agent, {}, strict=strict)


def _agent(gate: Gate, agent: Any, done: dict[int, Any], *, strict: bool) -> Any:
    if id(agent) in done:
        return done[id(agent)]
    if type(agent) is not Agent:
        refuse_unguarded(f"a `{type(agent).__name__}`", "give an `Agent`", strict=strict)
    if agent.mcp_servers:
        refuse_unguarded(f"the MCP servers of `{agent.name}`", "give their tools as functions", strict=strict)
    if agent.prompt is not None:
        refuse_unguarded(f"the prompt that the provider keeps for `{agent.name}`", "write instructions", strict=strict)
    guarded = done[id(agent)] = agent.clone()
    guarded.tools = [_tool(gate, tool, strict=strict) for tool in agent.tools]
    guarded.handoffs = [_handoff(gate, one, done, strict=strict) for one in agent.handoffs]
    setattr(guarded, _GUARDED, True)
    return guarded


def _handoff(gate: Gate, handoff: Any, done: dict[int, Any], *, strict: bool) -> Any:
    if not isinstance(handoff, Handoff):
        return _agent(gate, handoff, done, strict=strict)
    hand_over, guarded = handoff.on_invoke_handoff, copy.copy(handoff)

    async def on_invoke_handoff(*args: Any) -> Any:
        return _agent(gate, await hand_over(*args), done, strict=strict)

    guarded.on_invoke_handoff = on_invoke_handoff
    return guarded


def _tool(gate: Gate, tool: Any, *, strict: bool) -> Any:
    inner = getattr(tool, "_agent_instance", None)
    if inner is not None and getattr(inner, _GUARDED, False):
        return tool  # what this agent calls asks by itself
    if inner is not None or not isinstance(tool, FunctionTool):
        how = "guard the agent before its `as_tool`" if inner is not None else "leave it out, or write a function tool"
        refuse_unguarded(f"the tool `{tool.name}`", how, strict=strict)
        return tool
    return guard_tool(gate, tool)


def guard_tool(gate: Gate, tool: Any) -> Any:
    """Return a copy of a function tool that asks before it runs. Raises ConfigurationError when it does so already."""
    if getattr(tool, _GUARDED, False):
        raise ConfigurationError(f"`{tool.name}` is guarded already", hint="guard it once")
    # This one raises what its body raises, so that it counts as failed; `tool` knows what the model is to read of it.
    raising = copy.copy(tool)
    vars(raising).update(_failure_error_function=None, _use_default_failure_error_function=False)

    async def needs_approval(context: Any, arguments: Mapping[str, Any], call_id: str) -> bool:
        own = tool.needs_approval
        waits = await gate.waits(Call(tool=tool.name, arguments=arguments, id=call_id))
        return bool(waits or (await own(context, arguments, call_id) if callable(own) else own))

    async def on_invoke_tool(context: Any, arguments: str) -> Any:
        async def body(frozen: Arguments) -> Any:
            return await raising.on_invoke_tool(context, json.dumps(frozen))

        try:
            called = Call(tool=tool.name, arguments=_parsed(arguments), id=context.tool_call_id)
            result = await gate.run_async(called, body)
        except Exception as error:
            told = await maybe_invoke_function_tool_failure_error_function(
                function_tool=tool, context=context, error=error
            )
            if told is None:
                raise
            return told
        return result.message if isinstance(result, NotRun) else result

    guarded = copy.copy(tool)
    guarded.needs_approval, guarded.on_invoke_tool = needs_approval, on_invoke_tool
    setattr(guarded, _GUARDED, True)
    return guarded


def _parsed(arguments: str) -> Any:
    try:
        return parse((arguments or "{}").encode(), max_bytes=_MAX_BYTES, max_depth=_MAX_DEPTH)
    except BadJson as fault:
        raise ValueError(f"the arguments cannot be read: {fault.message}") from None


def approve_decided(state: Any, decided: Sequence[Decision]) -> bool:
    """Let interruptions of a run's state go on about which something was decided, be it a no; the tools ask again.

    Returns whether there is any.
    """
    ids = [decision.call_id for decision in decided]
    about = [item for item in state.get_interruptions() if was_decided(item.call_id, ids)]
    for item in about:
        state.approve(item)
    return bool(about)
