"""`assent approvals watch`: what waits for a human, as it changes: one line for each change, and below what is open.

At a terminal the open ones are drawn anew each second with the time that is left. Every line is cut before the width
of the terminal, by the most cells that any terminal may give to it, so that no text of an agent moves what stands here.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from assent.cli import margin, output
from assent.cli.client import Client, Refused, Unreachable
from assent.cli.exits import Exit, exit_of
from assent.core.approvals import OPEN
from assent.core.characters import visible
from assent.core.errors import AssentError

POLL_SECONDS: Final = 1.0
PAGE_APPROVALS: Final = 200
MAX_OUTAGE_SECONDS: Final = 600.0
# Lines of the terminal that stay free of the open ones: the heading, what is left out, and where the cursor stands.
OTHER_LINES: Final = 4
DEFAULT_LINES: Final = 24
MAX_CELLS: Final = 40
# What may be cut off at a narrow terminal stands last.
_HEADINGS: Final = ("code", "state", "time", "can decide", "agent", "tool", "environment", "resource", "needs")

Approval: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to one approval: `open` when the watch began, `asked`, `voted`, its last state, or `not_mine`."""

    what: str
    approval: Approval


def watch(client: Client, *, mine: bool, as_json: bool) -> None:
    """Print each change until Ctrl-C.

    Raises:
        Unreachable: nobody answered at first, or for ten minutes.
        Refused: the caller may not read approvals.

    """
    shown = _Json() if as_json else _Block() if _can_redraw() else _Lines()
    known, notice = _open(client, mine=mine)
    if notice:
        shown.warn(notice)
    shown.show([Change("open", approval) for approval in _oldest_first(known)], known)
    silent_since: float | None = None
    while True:
        time.sleep(POLL_SECONDS)
        try:
            now, told = _open(client, mine=mine)
            found = list(changes(known, now, lambda key: client.get("v1", "approvals", key).body))
        except (Refused, Unreachable) as fault:
            silent_since = _bear(fault, silent_since, shown)
            continue
        if told and not notice:
            shown.warn(told)
        silent_since, known, notice = None, now, told
        shown.show(found, known)


def _bear(fault: AssentError, silent_since: float | None, shown: "_Lines") -> float:
    """Return since when the broker has said nothing; raise what is no outage, or one that lasts too long."""
    if exit_of(fault.code) is not Exit.UNREACHABLE:
        raise fault
    if silent_since is None:
        shown.warn(f"{fault.message}; trying again")
        return time.monotonic()
    if time.monotonic() - silent_since > MAX_OUTAGE_SECONDS:
        raise fault
    return silent_since


def _open(client: Client, *, mine: bool) -> tuple[dict[str, Approval], str]:
    """Return what is open, by id, and what the broker wants everybody to know."""
    found: dict[str, Approval] = {}
    cursor: str | None = None
    while True:
        whose = "true" if mine else None
        page = client.get("v1", "approvals", mine=whose, limit=PAGE_APPROVALS, cursor=cursor).body
        found |= {approval["id"]: approval for approval in page["items"]}
        cursor = page.get("next_cursor")
        if not cursor:
            return found, page.get("notice") or ""


def changes(known: dict[str, Approval], now: dict[str, Approval], look: Callable[[str], Approval]) -> Iterator[Change]:
    """Yield what changed from `known` to `now`, oldest question first; `look` shows one that is not open any more."""
    for approval in _oldest_first(known):
        if approval["id"] not in now:
            ended = look(approval["id"])
            yield Change("not_mine" if ended["state"] in OPEN else ended["state"], ended)
    for approval in _oldest_first(now):
        before = known.get(approval["id"])
        if before is None:
            yield Change("asked", approval)
        elif before["revision"] != approval["revision"]:
            yield Change("voted", approval)


def _oldest_first(approvals: dict[str, Approval]) -> list[Approval]:
    return sorted(approvals.values(), key=lambda approval: (approval["asked_at"], approval["id"]))


class _Lines:
    """One line for each change: into a pipe, or at a terminal that cannot draw anew."""

    def show(self, found: list[Change], known: dict[str, Approval]) -> None:
        """Print what changed; `known` is what is open now."""
        del known
        for change in found:
            print(_line(change))
        sys.stdout.flush()

    def warn(self, message: str) -> None:
        """Say what is wrong beside the approvals: the broker does not answer, or Slack is away."""
        print(f"assent: {visible(message)}", file=sys.stderr)


class _Json(_Lines):
    """One JSON object for each change."""

    def show(self, found: list[Change], known: dict[str, Approval]) -> None:
        """Print what changed."""
        del known
        for change in found:
            print(json.dumps({"change": change.what, "seen_at": _now(), "approval": change.approval}))
        sys.stdout.flush()


@dataclass(slots=True)
class _Block(_Lines):
    """Changes as lines that stay, and below them a block of what is open, which is drawn anew."""

    drawn: list[str] = field(default_factory=list)

    def show(self, found: list[Change], known: dict[str, Approval]) -> None:
        """Print what changed above the block, and draw that."""
        room = margin.terminal_columns() - 1
        lines = [cut(_line(change), room) for change in found if change.what != "open"]
        self._draw(lines, [cut(line, room) for line in block(_oldest_first(known), terminal_lines() - OTHER_LINES)])

    def warn(self, message: str) -> None:
        """Say above the block what is wrong."""
        self._draw([cut(visible(message), margin.terminal_columns() - 1)], self.drawn)

    def _draw(self, lines: list[str], below: list[str]) -> None:
        back = f"\x1b[{len(self.drawn)}A\x1b[J" if self.drawn else ""
        sys.stdout.write(back + "".join(f"{line}\n" for line in (*lines, *below)))
        sys.stdout.flush()
        self.drawn = below


def block(approvals: list[Approval], room: int) -> list[str]:
    """Return the lines that say what is open, at most `room` approvals."""
    if not approvals:
        return ["nothing waits (Ctrl-C ends this)"]
    rows = [[cut(margin.shown(cell), MAX_CELLS) for cell in _row(approval)] for approval in approvals[: max(1, room)]]
    left_out = len(approvals) - len(rows)
    more = [f"and {left_out} more: assent approvals list"] if left_out else []
    return [*output.in_columns([list(_HEADINGS), *rows]), *more, f"{len(approvals)} waiting (Ctrl-C ends this)"]


def _row(approval: Approval) -> tuple[str, ...]:
    what = (approval[name] for name in ("agent", "tool", "environment", "resource"))
    left = output.time_left(approval["expires_at"])
    return (approval["code"], approval["state"], left, output.words(approval["who"]), *what, output.needs(approval))


def _line(change: Change) -> str:
    approval = change.approval
    by = approval.get("decided_by") or (approval["votes"][-1]["operator"] if change.what == "voted" else "")
    left = output.time_left(approval["expires_at"]) if approval["state"] in OPEN else ""
    parts = [
        _now()[:19],
        approval["code"],
        change.what.replace("_", " ") + (f" by {by}" if by else ""),
        left,
        *(approval[name] for name in ("agent", "tool", "environment", "resource")),
        f"needs {output.needs(approval)}" if approval["state"] in OPEN else f"action {approval['action_state']}",
    ]
    return "  ".join(margin.shown(str(part)) for part in parts if part)


def cut(line: str, room: int) -> str:
    """Return `line`, or as much of it as surely fits into `room` cells, with a sign that there is more."""
    if margin.cells(line) <= room:
        return line
    used, end = 0, 0
    while end < len(line) and (used := used + margin.cells(line[end])) <= room - margin.WIDE:
        end += 1
    return line[:end] + "…"


def terminal_lines() -> int:
    """Return how many lines the reader's terminal has."""
    try:
        return os.get_terminal_size(1).lines or DEFAULT_LINES
    except OSError:
        return DEFAULT_LINES


def _can_redraw() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
