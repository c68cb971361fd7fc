"""What a watch makes of two looks at the open approvals, and how it draws them: pure functions over answers."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from assent.cli import margin
from assent.cli.watching import OTHER_LINES, block, changes, cut


def waiting(name: str, **changes: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    usual = {
        "id": f"apr_{name}",
        "code": f"AAA-{name}",
        "state": "pending",
        "revision": 1,
        "asked_at": now.isoformat(),
        "expires_at": (now + timedelta(minutes=5, seconds=30)).isoformat(),
        "agent": "bot",
        "tool": "files.write",
        "environment": "production",
        "resource": "prod/a",
        "needs": [{"count": 1, "of": "oncall", "assurance": "token"}],
        "who": ["eve", "sam"],
        "votes": [],
        "action_state": "pending",
    }
    return usual | changes


def told(known: list[dict[str, Any]], now: list[dict[str, Any]], **ended: Any) -> list[tuple[str, str]]:
    before, after = ({approval["id"]: approval for approval in approvals} for approvals in (known, now))
    found = changes(before, after, lambda key: {**before[key], **ended})
    return [(change.what, change.approval["code"]) for change in found]


def test_what_is_new_voted_on_and_over_is_told_once() -> None:
    a, b, c = waiting("a"), waiting("b"), waiting("c")
    assert told([a, b], [a, b]) == []
    assert told([a], [a, b, c]) == [("asked", "AAA-b"), ("asked", "AAA-c")]
    assert told([a, b], [{**a, "revision": 2, "state": "partial"}, b]) == [("voted", "AAA-a")]
    assert told([a, b], [b], state="expired") == [("expired", "AAA-a")]
    assert told([a], [], state="partial") == [("not_mine", "AAA-a")], "it is open, and not the watcher's any more"


def test_the_block_says_who_and_how_long_and_what_it_leaves_out() -> None:
    lines = block([waiting(str(n)) for n in range(5)], 3)
    assert [line.split()[0] for line in lines] == ["code", "AAA-0", "AAA-1", "AAA-2", "and", "5"]
    assert ("5 min left" in lines[1], "1 of oncall (token or better)" in lines[1], "eve, sam" in lines[1]) == (
        True,
    ) * 3
    assert block([], 3) == ["nothing waits (Ctrl-C ends this)"]
    assert len(block([waiting(str(n)) for n in range(50)], 24 - OTHER_LINES)) < 24


@pytest.mark.requirement("T3")
@pytest.mark.parametrize("text", ["x" * 300, "字" * 300, "e\u0301" * 300, "\u202e" * 50, "🧙‍♀️" * 50, " " * 300])
def test_no_line_is_wider_than_any_terminal_may_make_it(text: str) -> None:
    for line in block([waiting("a", resource=text, agent=text)], 3):
        for room in (20, 79, 200):
            assert margin.cells(cut(line, room)) <= room
    assert cut("short", 5) == "short"
    assert cut("longer", 5) == "lon…"
