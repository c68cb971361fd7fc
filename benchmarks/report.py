"""What a run found: rows of ours beside the floor or the peer, as a table for people and JSON for machines."""

import json
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Final

_HEADINGS: Final = ("goal", "what", "ours", "beside it", "ratio", "aim")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One finding. `met` is None where there is no aim; `ratio` is what the aim is about when there is one."""

    what: str
    ours: str
    beside: str = ""
    ratio: float | None = None
    aim: str = ""
    met: bool | None = None
    goal: str = ""


@dataclass(slots=True)
class Findings:
    """Everything that a run found; `raw` holds every single measurement behind the rows."""

    rows: list[Row] = field(default_factory=list)
    raw: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """Keep a row and print it at once: a long run shows how far it is."""
        self.rows.append(row)
        print(_line(_cells(row)), flush=True)

    def keep(self, name: str, measured: Iterable[dict[str, Any]]) -> None:
        """Keep single measurements."""
        self.raw.setdefault(name, []).extend(measured)

    def write(self, file: Path, plan: dict[str, Any]) -> None:
        """Write everything as JSON."""
        file.parent.mkdir(parents=True, exist_ok=True)
        content = {"machine": machine(), "plan": plan, "rows": [asdict(row) for row in self.rows], "raw": self.raw}
        file.write_text(json.dumps(content, indent=1, default=str) + "\n")


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    names = ("pycasbin", "cedarpy", "fastapi", "uvicorn", "uvloop", "httptools", "pydantic", "cryptography")
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": sys.version,
        "versions": {name: version(name) for name in names},
        "load_before": os.getloadavg()[0],
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def heading() -> str:
    """Return the table's first two lines."""
    return _line(_HEADINGS) + "\n" + "|" + "|".join("-" * (width + 2) for width in _WIDTHS) + "|"


_WIDTHS: Final = (4, 58, 26, 34, 7, 16)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)) + " |"


def _cells(row: Row) -> tuple[str, ...]:
    ratio = "" if row.ratio is None else f"{row.ratio:.3g}"
    aim = row.aim if row.met is None else f"{row.aim} {'met' if row.met else 'MISSED'}"
    return row.goal, row.what, row.ours, row.beside, ratio, aim


def middle(values: Iterable[float]) -> float:
    """Return the median: rounds are interleaved, so a disturbed one does not count."""
    return median(list(values))


def micro(value: float) -> str:
    """Return microseconds for people."""
    return f"{value:,.0f} µs" if value >= 10 else f"{value:.2f} µs"


def rate(value: float) -> str:
    """Return a rate for people."""
    return f"{value:,.0f}/s"
