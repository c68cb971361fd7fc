"""The page of proofs: what was hit how often and what was seen, written from what runs counted.

Each proof has one section. A run writes the sections of the proofs that it ran in full and leaves the others as they
are, so that every section says when, where and with which seed it was written.
"""

import os
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Final

from tests.hammers.budget import Report
from tests.requirements import REQUIREMENTS

_HEAD: Final = """# Proofs

What `./run prove` found: each hammer at its full count, against a real serving broker over HTTP and on a real disk
wherever a process is what is promised. The same hammers run for seconds in `./run test`. This page is written by the
runs, and a section only when everything in it held; a promise that does not hold ends the run with what was seen.
`./run prove NAME` runs one. What the ids mean stands in [promises and threats](promises.md).

| proof | what holds | proves | newest run in full |
|---|---|---|---|
{rows}
"""
_SECTION: Final = """
## {promise}

`./run prove {name}` on {on}: {count}, seed {seed}, {seconds:.0f} s. {facts}. Proves {requirements}.

| counted | |
|---|---|
{rows}
"""
_NOT_YET: Final = "not run yet"
_WRITTEN: Final = re.compile(
    r"\n## (?P<promise>.+)\n\n`\./run prove (?P<name>\S+)` on (?P<on>\S+): (?P<count>[^\n]+?), seed \d+, "
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """One hammer's report, how often it hit, the seed that repeats it, and how long it took."""

    name: str
    report: Report
    count: str
    seed: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """A proof that the page must name, run or not: what holds, and what it proves."""

    promise: str
    requirements: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    """A section as it stands on the page."""

    promise: str
    on: str
    count: str
    text: str


def renewed(page: str, proven: Sequence[Proven], announced: Mapping[str, Announced], on: date) -> str:
    """Return `page` with the sections of `proven` written anew and those of the other announced proofs kept."""
    fresh = "".join(_section(one, announced[one.name], on) for one in proven)
    sections = _sections(page) | _sections(fresh)
    kept = {name: sections[name] for name in announced if name in sections}
    rows = "\n".join(_row(name, known, kept.get(name)) for name, known in announced.items())
    return _HEAD.format(rows=rows) + "".join(section.text for section in kept.values())


def _sections(page: str) -> dict[str, _Section]:
    found = list(_WRITTEN.finditer(page))
    starts = [*(match.start() for match in found), len(page)]
    return {
        match["name"]: _Section(promise=match["promise"], on=match["on"], count=match["count"], text=page[start:end])
        for match, (start, end) in zip(found, pairwise(starts), strict=True)
    }


def _row(name: str, known: Announced, written: _Section | None) -> str:
    links = _links(known.requirements)
    if written is None:
        return f"| `{name}` | {known.promise} | {links} | {_NOT_YET} |"
    anchor = re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", written.promise.lower()))
    return f"| `{name}` | [{known.promise}](#{anchor}) | {links} | {written.on}, {written.count} |"


def _facts() -> str:
    python = ".".join(map(str, sys.version_info[:3]))
    return f"Python {python}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def _links(requirements: Sequence[str]) -> str:
    return ", ".join(f"[{key}]({REQUIREMENTS[key].anchor.removeprefix('docs/')})" for key in requirements)


def _section(one: Proven, known: Announced, on: date) -> str:
    rows = "\n".join(f"| {name} | {_number(value)} |" for name, value in one.report.counts.items())
    text = _SECTION.format(
        promise=known.promise[0].upper() + known.promise[1:],
        name=one.name,
        on=on.isoformat(),
        count=one.count,
        seed=one.seed,
        seconds=one.seconds,
        facts=_facts(),
        requirements=_links(known.requirements),
        rows=rows,
    )
    if one.report.rows:
        text += "\n" + "".join(f"| {' | '.join(row)} |\n" for row in _table(one.report))
    if one.report.listed:
        text += f"\n{one.report.listed_as}\n\n" + "".join(f"- {line}\n" for line in one.report.listed)
    return text


def _table(report: Report) -> list[tuple[str, ...]]:
    return [report.head, ("---",) * len(report.head), *report.rows]


def _number(value: float | str) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
