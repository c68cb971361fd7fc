"""An agent of LangChain with a checkpointer in a file, driven by a script."""

import asyncio
import functools
import sqlite3
from typing import Any, Final

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import StructuredTool
from langchain_core.tools import tool as tool_of
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.types import Command

from assent.sdk.adapters import resume_decided
from assent.sdk.adapters.langchain import OnlyGuarded, guard, resumer
from tests.adapters.stage import DONE, NAMES, SUB_AGENT, Seen, Stage, Turn, bodies

name: Final = "langchain"
package: Final = "langchain"
modes: Final = ("sync", "async", "stream")
restart: Final = "resume"
pauses: Final = True


class Scripted(BaseChatModel):
    """Says the next turn of the script: as many turns are over as it has spoken in this thread."""

    turns: list[Any]

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **_: Any) -> Any:
        return self

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any) -> ChatResult:
        spoken = sum(isinstance(message, AIMessage) for message in messages)
        turn: Turn = self.turns[spoken] if spoken < len(self.turns) else []
        calls = [{"name": tool, "args": arguments, "id": call_id} for tool, arguments, call_id in turn]
        said = AIMessage("" if calls else DONE, tool_calls=calls)
        return ChatResult(generations=[ChatGeneration(message=said)])


def _agent(stage: Stage, broker: Any, saver: Any, *, native: bool) -> Any:
    made = [_async_tool(body) for body in bodies(stage.folder).values()] if native else bodies(stage.folder).values()
    tools = guard(broker, made, names=NAMES, wait=stage.wait)
    inner = create_agent(Scripted(turns=stage.inner), tools)

    def delegate(input: str) -> str:  # noqa: A002  # what agents as tools take
        """Let another agent do it."""
        return str(inner.invoke({"messages": [("user", "go")]})["messages"][-2].content)

    async def delegate_async(input: str) -> str:  # noqa: A002  # same
        return str((await inner.ainvoke({"messages": [("user", "go")]}))["messages"][-2].content)

    agents = StructuredTool.from_function(delegate, delegate_async, SUB_AGENT)
    return create_agent(Scripted(turns=stage.turns), [*tools, agents], checkpointer=saver)


def _async_tool(body: Any) -> Any:
    @functools.wraps(body)
    async def tool(*args: Any, **kwargs: Any) -> Any:
        return body(*args, **kwargs)

    return tool_of(tool)


def _go(stage: Stage, mode: str, given: Any) -> Seen:
    if mode == "async":
        return asyncio.run(_go_async(stage, given))
    with sqlite3.connect(stage.folder / "threads.db", check_same_thread=False) as connection, stage.client() as broker:
        agent = _agent(stage, broker, SqliteSaver(connection), native=False)
        try:
            if mode == "stream":
                list(agent.stream(given, _thread(stage), stream_mode=["updates", "messages"]))
            else:
                agent.invoke(given, _thread(stage))
        except Exception as fault:  # noqa: BLE001  # how a run ends is what is looked at
            return _seen(agent.get_state(_thread(stage)), fault)
        return _seen(agent.get_state(_thread(stage)))


async def _go_async(stage: Stage, given: Any) -> Seen:
    async with AsyncSqliteSaver.from_conn_string(str(stage.folder / "threads.db")) as saver, stage.async_client() as to:
        agent = _agent(stage, to, saver, native=True)
        try:
            await agent.ainvoke(given, _thread(stage))
        except Exception as fault:  # noqa: BLE001  # as above
            return _seen(await agent.aget_state(_thread(stage)), fault)
        return _seen(await agent.aget_state(_thread(stage)))


def _thread(stage: Stage) -> dict[str, Any]:
    return {"configurable": {"thread_id": stage.run_id}}


def _seen(state: Any, fault: Exception | None = None) -> Seen:
    messages = state.values.get("messages", [])
    return Seen(
        heard={one.tool_call_id: str(one.content) for one in messages if one.type == "tool"},
        paused=[one.value["assent"] for one in state.interrupts],
        said=messages[-1].content if messages and messages[-1].type == "ai" and not state.next else None,
        error=None if fault is None else repr(fault),
    )


def play(stage: Stage, mode: str) -> Seen:
    return _go(stage, mode, {"messages": [("user", "go")]})


def resume(stage: Stage, mode: str) -> Seen:
    """Resume every interrupt with a yes that nobody gave."""
    with sqlite3.connect(stage.folder / "threads.db", check_same_thread=False) as connection, stage.client() as broker:
        state = _agent(stage, broker, SqliteSaver(connection), native=False).get_state(_thread(stage))
    yes = {one.id: {"type": "accept", "approved": True} for one in state.interrupts}
    return _go(stage, mode, Command(resume=yes) if yes else None)


def change(stage: Stage, call_id: str, arguments: dict[str, Any]) -> None:
    with sqlite3.connect(stage.folder / "threads.db", check_same_thread=False) as connection, stage.client() as broker:
        agent = _agent(stage, broker, SqliteSaver(connection), native=False)
        state = agent.get_state(_thread(stage))
        said = next(one for one in state.values["messages"] if one.type == "ai")
        calls = [{**one, "args": arguments} if one["id"] == call_id else one for one in said.tool_calls]
        agent.update_state(_thread(stage), {"messages": [AIMessage("", id=said.id, tool_calls=calls)]}, as_node="model")


def work(stage: Stage) -> Seen:
    with sqlite3.connect(stage.folder / "threads.db", check_same_thread=False) as connection, stage.client() as broker:
        agent = _agent(stage, broker, SqliteSaver(connection), native=False)
        resume_decided(broker, resumer(agent), wait_seconds=10)
        return _seen(agent.get_state(_thread(stage)))


def hosted(stage: Stage, *, strict: bool) -> Any:
    return guard(stage.client(), [{"type": "web_search_20250305", "name": "web_search"}], strict=strict)


def unguarded_inside(stage: Stage) -> Seen:
    """Let a sub-agent hold a tool that nobody guarded, where only guarded ones may run."""
    ran = bodies(stage.folder)["read"]
    inner = create_agent(Scripted(turns=stage.inner), [tool_of(ran)])

    @tool_of
    def read(path: str) -> str:
        """Ask another agent."""
        return str(inner.invoke({"messages": [("user", path)]})["messages"][-1].content)

    with stage.client() as broker:
        tools = guard(broker, [read], names=NAMES)
        agent = create_agent(Scripted(turns=stage.turns), tools).with_config(callbacks=[OnlyGuarded()])
        try:
            agent.invoke({"messages": [("user", "go")]}, _thread(stage))
        except Exception as fault:  # noqa: BLE001  # as above
            return Seen(error=repr(fault))
        return Seen(said=DONE)
