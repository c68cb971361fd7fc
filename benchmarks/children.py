"""Measurements that run in a process of their own and print one JSON object."""

import json
import subprocess
import sys
from typing import Any, Final

LIMIT_SECONDS: Final = 300.0


class ChildFailed(Exception):
    """A measurement ended with an error; the message is its last line."""


def measured(module: str, *arguments: object) -> dict[str, Any]:
    """Return what `python -m MODULE ARGUMENTS` printed.

    Raises:
        ChildFailed: it ended with an error, a wrong answer for example.

    """
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        capture_output=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").splitlines()
        raise ChildFailed(f"{module}: {lines[-1] if lines else done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
