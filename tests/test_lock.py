"""One set of versions: pyproject.toml, uv.lock and the requirement files of the pip path must agree.

The files are compared by what they say, so the test needs neither uv nor a network.
To bring them back in step: `uv lock`, then the two `uv export` lines in the heads of requirements/*.txt. The lists of
requirements/adapters are each made by the line in its own head: frameworks do not agree with the broker, nor with each
other.
"""

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)")
REQUIREMENT = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(\[(?P<extras>[^\]]*)\])?")
PUBLIC_HOSTS = {"pypi.org", "files.pythonhosted.org"}
EXTRAS = {"demo": ["demo"], "dev": ["test", "e2e", "bench", "docs", "lint"]}

Package = dict[str, Any]
LOCK = tomllib.loads((ROOT / "uv.lock").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PACKAGES: dict[str, Package] = {package["name"]: package for package in LOCK["package"]}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def wanted(package: Package, extras: Iterable[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Lists (name, extras) of what a locked package depends on, with the given extras."""
    optional = package.get("optional-dependencies", {})
    rows = [*package.get("dependencies", []), *(row for extra in extras for row in optional.get(extra, []))]
    return [(row["name"], tuple(row.get("extra", ()))) for row in rows]


def closure(extras: Iterable[str]) -> set[str]:
    seen: set[tuple[str, tuple[str, ...]]] = set()
    waiting = [("assent", tuple(extras))]
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting.extend(wanted(PACKAGES[node[0]], node[1]))
    return {name for name, _ in seen} - {"assent"}


def pins(path: Path) -> dict[str, str]:
    found = filter(None, map(PIN.match, path.read_text().splitlines()))
    return {normal(match["name"]): match["version"] for match in found}


def declared(lines: Iterable[str]) -> set[str]:
    return {normal(match["name"]) for match in map(REQUIREMENT.match, lines) if match}


def hashes_of(name: str) -> set[str]:
    files = [*PACKAGES[name].get("wheels", []), *filter(None, [PACKAGES[name].get("sdist")])]
    return {file["hash"] for file in files}


@pytest.mark.parametrize("environment", EXTRAS)
def test_the_requirement_files_pin_what_the_lock_holds(environment: str) -> None:
    expected = {name: PACKAGES[name]["version"] for name in closure(EXTRAS[environment])}
    assert pins(ROOT / "requirements" / f"{environment}.txt") == expected


@pytest.mark.parametrize("environment", EXTRAS)
def test_the_requirement_files_carry_the_hashes_of_the_lock(environment: str) -> None:
    text = (ROOT / "requirements" / f"{environment}.txt").read_text()
    expected = set().union(*(hashes_of(name) for name in closure(EXTRAS[environment])))
    assert set(re.findall(r"--hash=(\S+)", text)) == expected


def test_the_lock_knows_every_dependency_the_project_declares() -> None:
    locked = PACKAGES["assent"]["metadata"]["requires-dist"]
    extras = PROJECT["optional-dependencies"]
    mine = {(normal(name), extra) for extra in extras for name in declared(extras[extra])}
    base = {(name, None) for name in declared(PROJECT["dependencies"])}
    assert {(row["name"], extra_in(row.get("marker", ""))) for row in locked} == mine | base


def extra_in(marker: str) -> str | None:
    match = re.search(r"extra == '([^']+)'", marker)
    return match and match[1]


def test_the_lock_names_only_the_public_index() -> None:
    lists = [path for path in (ROOT / "requirements").rglob("*") if path.is_file()]
    text = (ROOT / "uv.lock").read_text() + "".join(path.read_text() for path in lists)
    assert set(re.findall(r"(?:https?|file)://([^/\"\s]*)", text)) <= PUBLIC_HOSTS


@pytest.mark.parametrize("asked", sorted((ROOT / "requirements" / "adapters").glob("*.in")), ids=lambda path: path.stem)
def test_the_list_of_an_adapter_pins_what_is_asked_for_with_hashes(asked: Path) -> None:
    lines = asked.read_text().splitlines()
    wanted_here = declared(line for line in lines if line and line[0] not in "#-")
    if asked.stem == "common":
        assert {"msgspec", "rfc8785"} <= wanted_here
        assert declared(PROJECT["dependencies"]) <= wanted_here
        return
    assert "-r common.in" in lines
    listed = asked.with_suffix(".txt")
    assert wanted_here | declared((asked.parent / "common.in").read_text().splitlines()[1:]) <= pins(listed).keys()
    assert listed.read_text().count("--hash=") >= len(pins(listed))
