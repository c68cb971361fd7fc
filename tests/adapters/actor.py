"""One act of a story in a process of its own: `python -m tests.adapters.actor DRIVER ACT MODE < stage`."""

import sys
from dataclasses import asdict
from importlib import import_module
from json import dumps

from tests.adapters.stage import Stage


def main(driver: str, act: str, mode: str) -> None:
    """Play one act, and print what was seen."""
    frame = import_module(f"tests.adapters.drivers.{driver}")
    stage = Stage.load(sys.stdin.read())
    seen = frame.work(stage) if act == "work" else getattr(frame, act)(stage, mode)
    print(dumps(asdict(seen)))


if __name__ == "__main__":
    main(*sys.argv[1:])
