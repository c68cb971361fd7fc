"""An agent of OpenAI Agents whose paused runs lie in a file, driven by a script."""

import asyncio
import functools
import json
from collections.abc import AsyncIterator
from typing import Any, Final

from agents import Agent, Model, ModelResponse, RunConfig, Runner, RunState, Usage, WebSearchTool, function_tool
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

from assent.sdk.adapters import resume_decided
from assent.sdk.adapters.openai_agents import approve_decided, guard
from tests.adapters.stage import DONE, NAMES, SUB_AGENT, Seen, Stage, Turn, bodies

name: Final = "openai_agents"
package: Final = "agents"
modes: Final = ("sync", "async", "stream")
restart: Final = "play"
pauses: Final = True
QUIET: Final = RunConfig(tracing_disabled=True)


class Scripted(Model):
    """Says the next turn of the script: as many turns are over as calls were answered in this run."""

    def __init__(self, turns: list[Turn]) -> None:
        self.turns = turns

    async def get_response(self, system_instructions: Any, input: Any, *_: Any, **__: Any) -> ModelResponse:  # noqa: A002  # the framework's name
        return ModelResponse(output=self._next(input), usage=Usage(), response_id=None)

    async def stream_response(self, system_instructions: Any, input: Any, *_: Any, **__: Any) -> AsyncIterator[Any]:  # noqa: A002  # same
        response = Response(
            id="r", created_at=0, model="m", object="response", output=self._next(input),
            parallel_tool_calls=True, tool_choice="auto", tools=[],
        )  # fmt: skip
        yield ResponseCompletedEvent(response=response, sequence_number=0, type="response.completed")

    def _next(self, told: Any) -> list[Any]:
        items = told if isinstance(told, list) else []
        answered = {item["call_id"] for item in items if item.get("type") == "function_call_output"}
        turn = next((turn for turn in self.turns if not {call_id for _, _, call_id in turn} <= answered), None)
        if turn is None:
            said = ResponseOutputText(text=DONE, annotations=[], type="output_text")
            return [ResponseOutputMessage(id="m", content=[said], role="assistant", status="completed", type="message")]
        return [
            ResponseFunctionToolCall(arguments=json.dumps(arguments), call_id=call_id, name=tool, type="function_call")
            for tool, arguments, call_id in turn
        ]


def _agent(stage: Stage, broker: Any, *, native: bool) -> Any:
    made = [function_tool(_native(body) if native else body) for body in bodies(stage.folder).values()]
    inner = guard(broker, Agent("inner", tools=list(made), model=Scripted(stage.inner)), names=NAMES, wait=stage.wait)
    ask = inner.as_tool(SUB_AGENT, "let another agent do it", run_config=QUIET)
    outer = Agent("outer", tools=[*made, ask], model=Scripted(stage.turns))
    return guard(broker, outer, names=NAMES, wait=stage.wait)


def _native(body: Any) -> Any:
    @functools.wraps(body)
    async def tool(*args: Any, **kwargs: Any) -> Any:
        return body(*args, **kwargs)

    return tool


async def _go(stage: Stage, mode: str, agent: Any, given: Any) -> Seen:
    if mode == "stream":
        result: Any = Runner.run_streamed(agent, given, run_config=QUIET)
        async for _ in result.stream_events():
            pass
    else:
        result = await Runner.run(agent, given, run_config=QUIET)
    state = result.to_state()
    (stage.folder / "state").write_text(state.to_string())
    return _seen(result)


def _seen(result: Any) -> Seen:
    heard = {
        item.raw_item["call_id"]: str(item.output) for item in result.new_items if item.type == "tool_call_output_item"
    }
    paused = [{"call_id": item.call_id} for item in result.interruptions]
    return Seen(heard=heard, paused=paused, said=None if paused else result.final_output)


def _played(stage: Stage, mode: str, what: Any) -> Seen:
    async def played() -> Seen:
        async with stage.async_client() as broker:
            with broker.run(stage.run_id):
                agent = _agent(stage, broker, native=mode == "async")
                try:
                    return await _go(stage, mode, agent, await what(agent))
                except Exception as fault:  # noqa: BLE001  # how a run ends is what is looked at
                    return Seen(error=repr(fault))

    return asyncio.run(played())


def play(stage: Stage, mode: str) -> Seen:
    async def beginning(_: Any) -> Any:
        return "go"

    return _played(stage, mode, beginning)


async def _state(stage: Stage, agent: Any) -> Any:
    return await RunState.from_string(agent, (stage.folder / "state").read_text())


def resume(stage: Stage, mode: str) -> Seen:
    """Go on from the last state that was kept, with every interruption approved by nobody; without one, begin again."""

    async def approved(agent: Any) -> Any:
        if not (stage.folder / "state").exists():
            return "go"
        state = await _state(stage, agent)
        for item in state.get_interruptions():
            state.approve(item)
        return state

    return _played(stage, mode, approved)


def change(stage: Stage, call_id: str, arguments: dict[str, Any]) -> None:
    path = stage.folder / "state"
    kept = json.loads(path.read_text())
    _change(kept, call_id, json.dumps(arguments))
    path.write_text(json.dumps(kept))


def _change(value: Any, call_id: str, arguments: str) -> None:
    if isinstance(value, dict):
        if value.get("call_id") == call_id and "arguments" in value:
            value["arguments"] = arguments
        value = list(value.values())
    for one in value if isinstance(value, list) else []:
        _change(one, call_id, arguments)


def work(stage: Stage) -> Seen:
    told: list[Seen] = []

    def go_on(run_id: str, decided: Any) -> None:
        if run_id != stage.run_id:
            return

        async def approved(agent: Any) -> Any:
            state = await _state(stage, agent)
            approve_decided(state, decided)
            return state

        told.append(_played(stage, "sync", approved))

    with stage.client() as broker:
        resume_decided(broker, go_on, wait_seconds=10)
    return told[-1]


def hosted(stage: Stage, *, strict: bool) -> Any:
    return guard(stage.client(), Agent("searcher", tools=[WebSearchTool()]), strict=strict)
