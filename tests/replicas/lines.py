"""The lines between brokers and what they need, in a process of their own, and the hand that cuts them."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
END_SECONDS: Final = 10.0


class Lines:
    """Lines that stand; `ports` says where each listens. A target is a port of this machine or the path of a socket."""

    def __init__(self, targets: Mapping[str, Sequence[int | str]]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.replicas.relay"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            cwd=ROOT,
        )
        self._one_at_a_time = threading.Lock()
        self.ports: dict[str, int] = self._say({name: list(some) for name, some in targets.items()})

    def _say(self, what: dict[str, Any]) -> dict[str, Any]:
        said, heard = self._process.stdin, self._process.stdout
        assert said is not None
        assert heard is not None
        with self._one_at_a_time:
            said.write(json.dumps(what) + "\n")
            said.flush()
            answer: dict[str, Any] = json.loads(heard.readline())
        return answer

    def set(self, line: str, mode: str, *, target: int | None = None, seconds: float = 0.0) -> None:
        """Let a line, or its way to one target, `pass`, be `late` by so much each way, `cut`, or a `hole`."""
        self._say({"line": line, "do": mode, "target": target, "seconds": seconds})

    def drop(self, line: str, *, target: int | None = None) -> None:
        """Break every connection once; new ones hold."""
        self._say({"line": line, "do": "drop", "target": target})

    def ready(self, line: str) -> list[bool]:
        """Return which targets of a load balancer take work, as it found last."""
        found: list[bool] = self._say({"line": line, "do": "look"})["ready"]
        return found

    def open(self, line: str) -> int:
        """Return how many connections stand."""
        found: int = self._say({"line": line, "do": "look"})["open"] // 2
        return found

    @contextmanager
    def broken(self, line: str, mode: str, *, target: int | None = None, seconds: float = 0.0) -> Iterator[None]:
        """Let a line be so until the block ends."""
        self.set(line, mode, target=target, seconds=seconds)
        try:
            yield
        finally:
            self.set(line, "pass", target=target)

    def close(self) -> None:
        """Take all lines down."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
