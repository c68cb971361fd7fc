"""The interpreter and the packages, as the installed version of Assent asks for them."""

import platform
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from typing import Final

from assent.cli.checks.findings import Finding, State

LEAST_PYTHON: Final = (3, 11)
EXTRAS: Final = frozenset({"verify", "cli", "server"})
_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?(?P<bounds>[^;]*)(?:;(?P<marker>.*))?")
_BOUND = re.compile(r"(>=|<)\s*([0-9][0-9.]*)")
_EXTRA = re.compile(r"extra == ['\"]([^'\"]+)['\"]")


def python() -> Iterator[Finding]:
    """Look at the interpreter."""
    found = f"{platform.python_implementation()} {platform.python_version()}, assent {version('assent')}"
    if sys.version_info < LEAST_PYTHON:
        yield Finding("python", State.WRONG, f"{found}: too old", "install Python 3.11 or newer")
        return
    yield Finding("python", State.OK, found)


def packages() -> Iterator[Finding]:
    """Look at every package that a broker needs, and that exactly one of them calls itself casbin."""
    wrong = [said for line in requires("assent") or () if (said := _why_not(line))]
    providers = set(packages_distributions().get("casbin", ()))
    if providers != {"pycasbin"}:
        wrong.append(f"`casbin` comes from {', '.join(sorted(providers)) or 'nowhere'}, it must be pycasbin alone")
    if wrong:
        yield Finding("packages", State.WRONG, "; ".join(wrong), "pip install --force-reinstall 'assent[server]'")
        return
    yield Finding("packages", State.OK, "all that a broker needs, each in a version that it works with")


def _why_not(line: str) -> str:
    """Return what is wrong with one requirement of a broker, or nothing."""
    found = _REQUIREMENT.match(line)
    if found is None or not _is_needed(found["marker"] or ""):
        return ""
    name = found["name"]
    try:
        installed = version(name)
    except PackageNotFoundError:
        return f"{name} is not installed"
    fits = all(_holds(installed, relation, bound) for relation, bound in _BOUND.findall(found["bounds"]))
    return "" if fits else f"{name} is {installed}, and must be {found['bounds'].strip()}"


def _is_needed(marker: str) -> bool:
    extra = _EXTRA.search(marker)
    # A requirement of some platforms only (a faster parser) is no requirement.
    only_somewhere = "platform" in marker
    return not only_somewhere and (extra is None or extra[1] in EXTRAS)


def _holds(installed: str, relation: str, bound: str) -> bool:
    have, want = _numbers(installed), _numbers(bound)
    return have >= want if relation == ">=" else have < want


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text.partition("+")[0])[:4])
