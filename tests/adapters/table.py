"""The table of what held, in docs/adapters/index.md: `python -m tests.adapters.table FOLDER` after all were run."""

import json
import re
import sys
from pathlib import Path
from typing import Final

from tests.adapters.promises import DRIVERS, NOT_ASKED, PROMISES

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "adapters" / "index.md"
PLACE: Final = re.compile(r"(?<=<!-- promises -->\n).*(?=<!-- end -->)", re.DOTALL)
Told = dict[str, dict[str, bool]]


def rendered(told: Told) -> str:
    """Return the table of which promise held for which driver, and with which versions."""
    reasons = sorted(set(NOT_ASKED.values()))
    lines = [f"| promise | {' | '.join(DRIVERS)} |", f"|---|{'---|' * len(DRIVERS)}"]
    for promise, text in PROMISES.items():
        cells = [_cell(told.get(driver, {}), driver, promise, reasons) for driver in DRIVERS]
        lines.append(f"| {text} | {' | '.join(cells)} |")
    lines.append(f"| tried with | {' | '.join(versions(driver) for driver in DRIVERS)} |")
    notes = [f"{number}. {reason}" for number, reason in enumerate(reasons, start=1)]
    return "\n".join(["", *lines, "", *notes, "", ""])


def _cell(held: dict[str, bool], driver: str, promise: str, reasons: list[str]) -> str:
    if (driver, promise) in NOT_ASKED:
        return f"({reasons.index(NOT_ASKED[driver, promise]) + 1})"
    return "holds" if held.get(promise) else "**fails**"


def versions(driver: str) -> str:
    """Return the pinned releases of what a driver's list asks for."""
    asked = ROOT / "requirements" / "adapters" / f"{driver}.in"
    if not asked.exists():
        return "Python"
    names = [found[0] for line in asked.read_text().splitlines() if (found := re.match(r"^[a-z][\w-]*", line))]
    pins = dict(re.findall(r"^([\w-]+)==([^\s;]+)", asked.with_suffix(".txt").read_text(), re.MULTILINE))
    return ", ".join(f"{name} {pins[name]}" for name in names)


def main(folder: Path) -> None:
    """Write the table of what was told in `folder`."""
    told: Told = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
    PAGE.write_text(PLACE.sub(lambda _: rendered(told), PAGE.read_text()))
    print(f"written to {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
