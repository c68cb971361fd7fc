"""What loading and checking very many rules takes, in a process of its own: seconds, processor seconds, memory.

`python -m benchmarks.loading load|check SIZE SHAPE WHEN` prints what it measured as JSON. With `WHEN` = `conditions`
every rule has a condition on the path as well, and every predicate that a text can meet is among them.
"""

import json
import re
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks import policy_files
from benchmarks.checks import WrongAnswer
from benchmarks.pinned import SERVER_CORE, pin
from benchmarks.questions import Shape, world

NOW: Final = datetime(2026, 3, 1, tzinfo=UTC)
PLAIN, CONDITIONS = "plain", "conditions"
_WHENS: Final = (
    "{{path: {{prefix: {start}/}}}}",
    "{{path: {{under: {start}}}}}",
    "{{path: {{length: {{max: {number}}}}}}}",
    '{{path: {{matches: "[a-z]+/.*/v{small}"}}}}',
    "{{path: {{in: [{start}/a, {start}/b]}}}}",
    "{{path: {{not_in: [{start}/a, {start}/b]}}}}",
    "{{path: [{{equals: {start}/a}}, {{domain: d{small}.example}}, {{present: true}}]}}",
)
_RESOURCES: Final = re.compile(r'resources: \["(?P<start>[^"]+)/\*\*"\]')


def _write(directory: Path, size: int, shape: Shape, when: str) -> None:
    policy_files.write(world(size, shape), directory)
    if when == CONDITIONS:
        for file in (directory / "roles").iterdir():
            file.write_text("".join(_conditioned(file.read_text().splitlines(keepends=True))))


def _conditioned(lines: list[str]) -> list[str]:
    return [_RESOURCES.sub(partial(_with_condition, number), line) for number, line in enumerate(lines)]


def _with_condition(number: int, found: re.Match[str]) -> str:
    when = _WHENS[number % len(_WHENS)].format(start=found["start"], number=number + 100, small=number % 50)
    return f"{found[0]}, when: {when}"


def measure(what: str, size: int, shape: Shape, when: str) -> dict[str, Any]:
    """Return what loading or checking `size` rules takes.

    Raises:
        WrongAnswer: not every rule was read.

    """
    from assent.policy import load
    from assent.policy.checking import check

    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "policies"
        _write(directory, size, shape, when)
        before, began, used = _memory_mb(), time.perf_counter(), time.process_time()
        policy = load(directory, lambda: NOW) if what == "load" else check(directory, NOW).policy
        seconds, cpu = time.perf_counter() - began, time.process_time() - used
    if policy is None or len(policy.declared.rules) != size:
        raise WrongAnswer(f"{size} rules were written, others were read")
    return {"what": what, "rules": size, "shape": shape.value, "when": when} | {
        "seconds": seconds,
        "cpu_seconds": cpu,
        "memory_mb": _memory_mb() - before,
    }


def _memory_mb() -> float:
    pages = Path("/proc/self/statm")
    if pages.exists():
        return int(pages.read_text().split()[1]) * resource.getpagesize() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    """Measure what the command line names and print it."""
    what, size, shape, when = sys.argv[1:5]
    pin(SERVER_CORE)
    print(json.dumps(measure(what, int(size), Shape(shape), when)))


if __name__ == "__main__":
    main()
