"""Runs a program that is killed at a step of its changes to a folder, see `dying`."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
WAIT_SECONDS = 60


def was_killed(folder: Path, step: int, module: str, *arguments: object, search: Path | None = None) -> bool:
    """Run a module that dies at that step; return whether there was such a step. `search` is where it may lie."""
    command = [sys.executable, "-m", "tests.stores.dying", str(folder), str(step), module, *map(str, arguments)]
    path = os.pathsep.join(filter(None, (str(search or ""), os.environ.get("PYTHONPATH", ""))))
    ended = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        check=False,
        timeout=WAIT_SECONDS,
    )
    if ended.returncode > 0:
        raise AssertionError(ended.stderr.decode())
    return ended.returncode < 0
