"""The operational log: events with ids, payload removed wherever it stands, failures told by their place."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from assent import logs

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Return what reads the lines that were written since the log was set up."""
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    stream = io.StringIO()
    logs.set_up(stream, as_json=True)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    structlog.reset_defaults()
    root.handlers[:] = before[0]
    root.setLevel(before[1])


def test_an_event_has_its_name_level_time_and_ids(lines: Lines) -> None:
    structlog.get_logger("assent.x").info("grant_redeemed", grant="grt_1", action="act_1")
    (line,) = lines()
    assert {key: line[key] for key in ("event", "level", "grant", "action")} == {
        "event": "grant_redeemed",
        "level": "info",
        "grant": "grt_1",
        "action": "act_1",
    }
    assert line["time"].endswith("Z")


@pytest.mark.requirement("P9")
@pytest.mark.parametrize("word", sorted(logs.PAYLOAD_WORDS))
def test_what_names_a_payload_is_removed_at_every_depth(lines: Lines, word: str) -> None:
    facts: dict[str, Any] = {word: "canary", f"the_{word}": "canary", "inner": {"list": [{word.upper(): "canary"}]}}
    structlog.get_logger().info("happened", **facts)
    assert "canary" not in json.dumps(lines())


@pytest.mark.requirement("P9")
@pytest.mark.parametrize("kind", ["asn", "ass", "aso"])
def test_a_credential_is_cut_out_of_any_text(lines: Lines, kind: str) -> None:
    structlog.get_logger().info("happened", said=f"refused Bearer {kind}_01ABC_s3cret-_x for you")
    assert lines()[0]["said"] == "refused Bearer [cut] for you"


def test_what_cannot_be_seen_is_written_so_that_it_can(lines: Lines) -> None:
    structlog.get_logger().info("happened", agent="a\u202eb\n{}")
    assert lines()[0]["agent"] == r"a\u{202e}b\u{a}{}"


@pytest.mark.requirement("P9")
def test_a_failure_is_told_by_kind_and_place_and_not_by_its_words(lines: Lines) -> None:
    try:
        raise ValueError("the canary sang")
    except ValueError:
        structlog.get_logger().exception("failed")
    (line,) = lines()
    assert line["fault"] == "ValueError"
    assert line["at"][-1].startswith(__file__)
    assert "canary" not in json.dumps(line)


def test_what_a_library_says_comes_into_the_same_log(lines: Lines) -> None:
    try:
        raise OSError("the canary sang")
    except OSError:
        logging.getLogger("uvicorn.error").exception("it broke")
    logging.getLogger("asyncio").warning("slow")
    first, second = lines()
    assert (first["event"], first["about"], first["said"], first["fault"]) == (
        "library_said",
        "uvicorn.error",
        "it broke",
        "OSError",
    )
    assert (second["level"], second["said"]) == ("warning", "slow")
    assert "canary" not in json.dumps(first)


def test_events_below_the_level_are_not_written() -> None:
    stream = io.StringIO()
    logs.set_up(stream, as_json=True, least=logging.WARNING)
    structlog.get_logger().info("small")
    structlog.get_logger().warning("large")
    structlog.reset_defaults()
    logging.getLogger().handlers.clear()
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["large"]


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=9))
def test_whatever_is_logged_becomes_one_line_of_json(value: Any) -> None:
    event = logs.drop_payloads(None, "info", {"event": "x", "value": value})
    assert "\n" not in json.dumps(event)
