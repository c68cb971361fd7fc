"""What a story is played on: a scripted model's turns, tools that write down when they ran, and what was seen of it.

A stage is plain values and a folder, so that another process can go on with what one began.
"""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Protocol, Self

from assent import Assent, AsyncAssent, Limits

NAMES: Final = {
    "read": "files.read",
    "write": "files.write",
    "delete": "files.delete",
    "fail": "files.read",
    "die": "files.write",
}
SUB_AGENT: Final = "delegate"
DIED: Final = 9
DONE: Final = "done"
Turn = list[tuple[str, dict[str, Any], str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One story: `turns` are what the model calls, one list for each time that it is asked; then it says it is done.

    `inner` are the turns of a sub-agent that the tool `delegate` runs. `wait` is None where a call is held.
    """

    folder: Path
    url: str
    key: str
    turns: list[Turn]
    run_id: str = "story"
    inner: list[Turn] = field(default_factory=list)
    wait: float | None = 0
    answer_seconds: float = 20.0

    def playing(self, *turns: Turn, inner: list[Turn] | None = None) -> "Stage":
        return replace(self, turns=list(turns), inner=inner or [])

    @property
    def limits(self) -> Limits:
        return Limits(
            connect_seconds=2.0,
            answer_seconds=self.answer_seconds,
            exchange_seconds=self.answer_seconds,
            outage_seconds=30.0,
            poll_seconds=1,
            first_pause_seconds=0.01,
            longest_pause_seconds=0.05,
        )

    def client(self) -> Assent:
        return Assent(self.url, self.key, limits=self.limits, spool=self.folder / "spool.jsonl")

    def async_client(self) -> AsyncAssent:
        return AsyncAssent(self.url, self.key, limits=self.limits, spool=self.folder / "spool.jsonl")

    @property
    def ran(self) -> list[dict[str, Any]]:
        """What bodies wrote down, in order."""
        path = self.folder / "ran"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def dump(self) -> str:
        return json.dumps({**asdict(self), "folder": str(self.folder)})

    @classmethod
    def load(cls, text: str) -> Self:
        values = json.loads(text)
        return cls(**{**values, "folder": Path(values["folder"])})


def bodies(folder: Path) -> dict[str, Callable[..., str]]:
    """Return the bodies of the tools; each writes down that it ran before it does anything else."""

    def note(tool: str, **arguments: Any) -> None:
        with (folder / "ran").open("a") as ran:
            ran.write(json.dumps({"tool": tool, **arguments}) + "\n")

    def read(path: str) -> str:
        """Read a file."""
        note("read", path=path)
        return f"text of {path}"

    def write(path: str, content: str) -> str:
        """Write a file."""
        note("write", path=path, content=content)
        return f"written {path}"

    def delete(path: str) -> str:
        """Delete a file."""
        note("delete", path=path)
        return f"deleted {path}"

    def fail(path: str) -> str:
        """Fail."""
        note("fail", path=path)
        raise ValueError("the disk is full")

    def die(path: str, content: str) -> str:
        """End the process in the middle."""
        note("die", path=path, content=content)
        os._exit(DIED)

    return {"read": read, "write": write, "delete": delete, "fail": fail, "die": die}


@dataclass(slots=True, kw_only=True)
class Seen:
    """What came of playing: by the id of a call what the model read, what waits (`action_id`, `code`), how it ended."""

    heard: dict[str, str] = field(default_factory=dict)
    paused: list[dict[str, Any]] = field(default_factory=list)
    said: str | None = None
    error: str | None = None


class Driver(Protocol):
    """One framework, driven by a script. Everything that has to outlive a process it keeps in the stage's folder."""

    name: str
    package: str
    modes: tuple[str, ...]
    pauses: bool
    restart: str  # the act of a process that was started anew while a story waits

    def play(self, stage: Stage, mode: str) -> Seen:
        """Play the story from its beginning, until it ends or pauses."""

    def resume(self, stage: Stage, mode: str) -> Seen:
        """Go on with a story that paused, by the framework's own word that everything is approved."""

    def change(self, stage: Stage, call_id: str, arguments: dict[str, Any]) -> None:
        """Change the arguments of a call in what the framework keeps while it pauses."""

    def work(self, stage: Stage) -> Seen:
        """Hear what was decided, go on with the story where it is about it, once; as a worker does."""

    def hosted(self, stage: Stage, *, strict: bool) -> Any:
        """Put a tool that the provider runs behind the broker; return what became of it."""
