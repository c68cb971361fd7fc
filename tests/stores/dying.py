"""A process that kills itself at the Nth change of a folder: `python -m tests.stores.dying FOLDER N MODULE ARGUMENT…`.

Each time before a file below the folder is made, opened to be written, named, removed or linked counts once, and so
does each statement of SQLite that changes something.
"""

import os
import re
import runpy
import signal
import sqlite3
import sys
from typing import Any

_CHANGES = re.compile(r"BEGIN I|CREATE|ALTER|INSERT|UPDATE|DELETE|COMMIT|PRAGMA (user_version|journal_mode) =")
_NAMES = frozenset({"os.rename", "os.remove", "os.mkdir", "os.link", "os.rmdir"})
_WRITES = os.O_CREAT | os.O_WRONLY | os.O_RDWR | os.O_TRUNC


_connect = sqlite3.connect


class Dying:
    """Counts down, and kills."""

    def __init__(self, folder: str, left: int) -> None:
        self._folder = os.path.realpath(folder)
        self._left = left

    def watch(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _NAMES or (event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES):
            self._count(arguments[0])

    def connected(self, *arguments: Any, **named: Any) -> sqlite3.Connection:
        """Return a connection whose statements count."""
        database: sqlite3.Connection = _connect(*arguments, **named)
        database.set_trace_callback(self._statement)
        return database

    def _statement(self, statement: str) -> None:
        if _CHANGES.match(statement):
            self._down()

    def _count(self, path: object) -> None:
        if isinstance(path, str | os.PathLike) and os.path.realpath(path).startswith(self._folder):
            self._down()

    def _down(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    folder, left, module, *arguments = sys.argv[1:]
    dying = Dying(folder, int(left))
    sqlite3.connect = dying.connected  # type: ignore[assignment]  # every connection of this process, before it makes any
    sys.addaudithook(dying.watch)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
