"""Plain functions in the hands of a loop that knows nothing of us, and shows the model what they return."""

import asyncio
import functools
from typing import Any, Final

from assent.sdk.adapters import wrap
from tests.adapters.stage import DONE, NAMES, SUB_AGENT, Seen, Stage, Turn, bodies

name: Final = "functions"
package: Final = "assent"
modes: Final = ("sync", "async")
restart: Final = "play"
pauses: Final = False


def play(stage: Stage, mode: str) -> Seen:
    if mode == "async":
        return asyncio.run(_play_async(stage))
    seen = Seen(said=DONE)
    with stage.client() as broker, broker.run(stage.run_id):
        tools = {tool.__name__: tool for tool in wrap(broker, bodies(stage.folder).values(), names=NAMES)}
        for turn in stage.turns:
            _turn(seen, tools, stage, turn)
    return seen


def _turn(seen: Seen, tools: dict[str, Any], stage: Stage, turn: Turn) -> None:
    for tool, arguments, call_id in turn:
        if tool == SUB_AGENT:
            for inner in stage.inner:
                _turn(seen, tools, stage, inner)
            continue
        try:
            seen.heard[call_id] = tools[tool](**arguments)
        except Exception as fault:  # noqa: BLE001  # a loop that goes on whatever a tool raises
            seen.heard[call_id] = repr(fault)


async def _play_async(stage: Stage) -> Seen:
    seen = Seen(said=DONE)
    async with stage.async_client() as broker:
        with broker.run(stage.run_id):
            tools = {tool.__name__: tool for tool in wrap(broker, _async_bodies(stage), names=NAMES)}

            async def one(tool: str, arguments: dict[str, Any], call_id: str) -> None:
                try:
                    seen.heard[call_id] = await tools[tool](**arguments)
                except Exception as fault:  # noqa: BLE001  # as above
                    seen.heard[call_id] = repr(fault)

            for turn in stage.turns:
                calls = [call for call in turn if call[0] != SUB_AGENT] or [call for one in stage.inner for call in one]
                await asyncio.gather(*[one(*call) for call in calls])
    return seen


def _async_bodies(stage: Stage) -> list[Any]:
    def made(body: Any) -> Any:
        @functools.wraps(body)
        async def tool(*args: Any, **kwargs: Any) -> Any:
            return body(*args, **kwargs)

        return tool

    return [made(body) for body in bodies(stage.folder).values()]


def resume(stage: Stage, mode: str) -> Seen:
    """A restarted process plays from the beginning: nothing is kept."""
    return play(stage, mode)


def change(stage: Stage, call_id: str, arguments: dict[str, Any]) -> None:
    raise AssertionError("nothing is kept")


def work(stage: Stage) -> Seen:
    return play(stage, "sync")


def hosted(stage: Stage, *, strict: bool) -> Any:
    return wrap(stage.client(), [{"type": "web_search"}])
