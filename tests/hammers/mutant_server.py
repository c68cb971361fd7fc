"""Tries mutants of one package, each in a fork of a process that has everything loaded but the package itself.

    python -m tests.hammers.mutant_server        with a plan as JSON on its input

First all tests run once on the untouched code, noting which of them reach which line and how long each takes. Then
every mutant meets the tests that reach its line, quickest first, until one fails. What no test reaches survives at
once. Prints a line of JSON for the untouched run and one for each mutant.
"""

import importlib.abc
import importlib.util
import itertools
import json
import os
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final

import coverage
import hypothesis
import pytest

from tests.hammers.code_mutants import Mutant, mutants

# Nothing is rewritten or remembered: all but the package is loaded once, and a failed assertion need not explain.
OPTIONS: Final = ("-q", "-x", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov")
TIMES_AS_LONG: Final = 10.0
ON_IMPORT: Final = 3.0
PASSED: Final = 0
FAILED: Final = 1
NO_TESTS: Final = 5
PROFILE: Final = "mutants"


class Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads one module from code that was changed, and leaves all others to whoever finds them."""

    def __init__(self, module: str, code: CodeType, path: Path) -> None:
        self._module = module
        self._code = code
        self._path = path

    def find_spec(self, fullname: str, path: object, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != self._module:
            return None
        return importlib.util.spec_from_file_location(fullname, self._path, loader=self)

    def exec_module(self, module: ModuleType) -> None:
        exec(self._code, module.__dict__)  # noqa: S102  # our own code, changed by ourselves


class Reached:
    """Notes for each test which lines of the package it reaches, and how long it takes."""

    def __init__(self, measured: coverage.Coverage) -> None:
        self._measured = measured
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self._measured.switch_context(item.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        if report.failed:
            self.failed.append(report.nodeid)


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the untouched run found: tests by (file, line), and seconds by test."""

    tests_of: dict[tuple[str, int], set[str]]
    seconds: dict[str, float]

    def tests_for(self, file: str, line: int) -> list[str]:
        """Return the tests that reach a line, quickest first.

        What runs on import is data, which is read without running a line of the module: nobody knows who looks at it.
        So the module's own tests are taken, those in `test_MODULE.py`, and of all others as many as take some seconds.
        """
        found = self.tests_of.get((file, line), set())
        if "" not in found:
            return self._quickest_first(found)
        own = {test for test in self.seconds if f"/test_{file}::" in test}
        others = self._quickest_first(set(self.seconds) - own)
        until = list(itertools.accumulate(self.seconds[test] for test in others))
        return self._quickest_first(own) + [one for one, spent in zip(others, until, strict=True) if spent < ON_IMPORT]

    def _quickest_first(self, tests: Iterable[str]) -> list[str]:
        return sorted(tests, key=lambda test: (self.seconds.get(test, 0.0), test))


def in_fork(job: Callable[[], int]) -> int:
    """Run `job` in a fork and return its process id; what it prints goes nowhere."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setpgid(0, 0)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        code = job()
    finally:
        os._exit(code)


def baseline(plan: dict[str, Any], file: Path) -> int:
    """Run all tests on the untouched code and write what they reach to `file`; return pytest's exit code."""
    measured = coverage.Coverage(data_file=None, source_pkgs=[plan["package"]], config_file=False)
    noted = Reached(measured)
    measured.start()
    code = int(pytest.main([*OPTIONS, *plan["tests"]], plugins=[noted]))
    measured.stop()
    data = measured.get_data()
    reached = {
        name: {str(line): tests for line, tests in data.contexts_by_lineno(name).items()}
        for name in data.measured_files()
    }
    file.write_text(json.dumps({"reached": reached, "seconds": noted.seconds, "failed": noted.failed}))
    return code


def untouched(plan: dict[str, Any]) -> Baseline:
    """Return what the tests reach on the untouched code; they must pass."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "reached.json"
        _, status = os.waitpid(in_fork(lambda: baseline(plan, file)), 0)
        found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"failed": ["everything"]}
    if os.waitstatus_to_exitcode(status) != PASSED or found["failed"]:
        sys.exit(f"the untouched code does not pass its tests: {found['failed'][:5]}")
    tests_of: dict[tuple[str, int], set[str]] = defaultdict(set)
    for name, lines in found["reached"].items():
        for line, tests in lines.items():
            tests_of[Path(name).name, int(line)].update(tests)
    return Baseline(tests_of, found["seconds"])


def tried(module: str, path: Path, mutant: Mutant, tests: Sequence[str]) -> Callable[[], int]:
    """Return the job of one fork: the tests on the changed code."""

    def job() -> int:
        code = compile(mutant.tree(), str(path), "exec")
        sys.meta_path.insert(0, Changed(module, code, path))
        return int(pytest.main([*OPTIONS, *tests]))

    return job


class Pool:
    """So many forks at once, each with a time to live; what became of a fork is told as it ends."""

    def __init__(self, size: int, told: Callable[[dict[str, Any]], None]) -> None:
        self._size = size
        self._told = told
        self._running: dict[int, tuple[float, dict[str, Any]]] = {}

    def run(self, job: Callable[[], int], seconds: float, about: dict[str, Any]) -> None:
        """Start a fork as soon as there is a place for it."""
        while len(self._running) >= self._size:
            self._wait()
        self._running[in_fork(job)] = (time.monotonic() + seconds, about)

    def finish(self) -> None:
        """Wait for all forks."""
        while self._running:
            self._wait()

    def _wait(self) -> None:
        for pid, (deadline, about) in list(self._running.items()):
            late = time.monotonic() > deadline
            if late:
                os.killpg(pid, signal.SIGKILL)
            ended, status = os.waitpid(pid, 0 if late else os.WNOHANG)
            if ended:
                del self._running[pid]
                self._told({**about, "fate": "out of time" if late else _fate(os.waitstatus_to_exitcode(status))})
                return
        time.sleep(0.005)


def _fate(code: int) -> str:
    """Return what an exit code of pytest says of a mutant; not to load may also be the machine's trouble."""
    if code in {PASSED, NO_TESTS}:
        return "survived"
    return "killed" if code == FAILED else "did not load"


def run(plan: dict[str, Any], told: Callable[[dict[str, Any]], None]) -> None:
    """Try every mutant of the plan's modules, or as many as there is time for."""
    known = untouched(plan)
    told({"tests": len(known.seconds), "seconds": round(sum(known.seconds.values()), 1)})
    pool = Pool(plan["processes"], told)
    ends = time.monotonic() + plan["limit_seconds"]
    for file in plan["modules"]:
        path = Path(file)
        module = f"{plan['package']}.{path.stem}"
        only = set(plan["within"])
        every = [one for one in mutants(path.read_text()) if not only or one.within in only]
        for mutant in every[plan["first"] :: plan["each"]]:
            if time.monotonic() > ends:
                break
            about = {"file": path.name, "line": mutant.line, "within": mutant.within, "change": mutant.change}
            tests = known.tests_for(path.name, mutant.line)
            if not tests:
                told({**about, "fate": "reached by no test"})
                continue
            limit = plan["least_seconds"] + TIMES_AS_LONG * sum(known.seconds[test] for test in tests)
            pool.run(tried(module, path, mutant, tests), limit, about)
    pool.finish()
    untouched(plan)  # what was told counts only if it was not the machine that failed


def main() -> None:
    """Do what the plan says."""
    # The same examples each time, and none remembered from a mutant for the next.
    hypothesis.settings.register_profile(PROFILE, derandomize=True, database=None, deadline=None)
    hypothesis.settings.load_profile(PROFILE)
    run(json.load(sys.stdin), lambda line: print(json.dumps(line), flush=True))


if __name__ == "__main__":
    main()
