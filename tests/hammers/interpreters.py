"""Finds the Pythons of this machine that the product is for, and an environment of this checkout for each.

Looked for: the one that runs, names on PATH, and what pyenv keeps. Only packages are downloaded, by `./run setup`.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
SUPPORTED: Final = ("3.11", "3.12", "3.13")
PROBE_SECONDS: Final = 20.0
SET_UP_SECONDS: Final = 900.0
_PROBE: Final = "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A version of Python: the executable of an environment with our packages, or why there is none."""

    version: str
    executable: Path | None
    missing: str = ""


def running() -> Interpreter:
    """Return the Python of this process."""
    return Interpreter(".".join(map(str, sys.version_info[:2])), Path(sys.executable))


def all_supported() -> list[Interpreter]:
    """Return every version that the product is for; setting up a first environment takes a minute or two."""
    here = running()
    return [here if version == here.version else _ready(version) for version in SUPPORTED]


def _ready(version: str) -> Interpreter:
    found = next((path for path in _candidates(version) if _is(path, version)), None)
    if found is None:
        return Interpreter(version, None, "not found on PATH or in pyenv, so not tried")
    done = subprocess.run(
        [str(ROOT / "run"), "setup", "dev"],
        env={**os.environ, "PYTHON": str(found)},
        capture_output=True,
        text=True,
        timeout=SET_UP_SECONDS,
        check=False,
    )
    executable = ROOT / ".venv" / f"dev-{version}" / "bin" / "python"
    if done.returncode != 0 or not _is(executable, version):
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return Interpreter(version, None, f"found, but its packages could not be installed: {last}")
    return Interpreter(version, executable)


def _candidates(version: str) -> Iterator[Path]:
    if (on_path := shutil.which(f"python{version}")) is not None:
        yield Path(on_path)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted((pyenv / "versions").glob(f"{version}.*/bin/python{version}"), reverse=True)


def _is(path: Path, version: str) -> bool:
    """Whether `path` runs and is that version: a name on PATH may be a shim that fails."""
    try:
        done = subprocess.run(
            [str(path), "-c", _PROBE], capture_output=True, text=True, timeout=PROBE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.startswith(f"{version} ")
