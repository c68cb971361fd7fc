"""How the story speaks and listens: width, colour, a card that hides nothing, keys, and the patience that ends."""

import io
import os
import pty
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.core.characters import hidden_characters, visible
from assent.demo.answers import Reader, Story
from assent.demo.narrator import Narrator, narrator_for
from assent.demo.town import build
from assent.demo.wrong import NotAsTold, must
from tests.demo.stage import Keyboard

COLUMNS = 100


def nobody() -> bool | None:
    """Nobody has answered on the card."""
    return None


def narrator(out: io.StringIO | None = None) -> Narrator:
    return Narrator(out or io.StringIO(), colour=False)


@given(st.text())
def test_a_card_shows_every_value_whole_and_nothing_that_cannot_be_seen(value: str) -> None:
    out = io.StringIO()
    Narrator(out, colour=False).card([("value", value)])
    lines = out.getvalue().removesuffix("\n").split("\n")
    assert all(len(line) <= COLUMNS for line in lines)
    assert "".join(line[len("      | ") + 14 :] for line in lines) == visible(value)
    assert not any(hidden_characters(line) for line in lines)


def test_a_long_line_is_wrapped_and_a_message_of_several_lines_keeps_them() -> None:
    out = io.StringIO()
    narrator(out).kept("P1", "word " * 60)
    narrator(out).wrong("first\nsecond")
    assert all(len(line) <= COLUMNS for line in out.getvalue().splitlines())
    assert out.getvalue().endswith("    first\n    second\n")


def test_what_is_no_terminal_gets_no_colour() -> None:
    assert not narrator_for(io.StringIO()).colour


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Yields the reader's end and the program's end of a terminal."""
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize(("keys", "answer"), [(["a"], True), (["A"], True), (["d"], False), (["x", "D"], False)])
def test_a_key_answers_in_either_case_and_any_other_key_does_not(
    terminal: tuple[int, int], keys: list[str], answer: bool
) -> None:
    ours, theirs = terminal
    out = Keyboard(keys=keys, writer=ours)
    assert Reader(theirs).decide(narrator(out), "noor", nobody) is answer
    assert out.keys == []
    assert f"you, as noor: {'approve' if answer else 'deny'}" in out.getvalue()


@pytest.mark.parametrize("clicked", [True, False])
def test_a_click_on_the_card_answers_too(terminal: tuple[int, int], *, clicked: bool) -> None:
    out = io.StringIO()
    assert Reader(terminal[1]).decide(narrator(out), "noor", lambda: clicked) is clicked
    assert f"you, as noor, on the card: {'approve' if clicked else 'deny'}" in out.getvalue()


def test_keys_that_were_pressed_before_the_question_answer_nothing(terminal: tuple[int, int]) -> None:
    ours, theirs = terminal
    os.write(ours, b"d\n")
    out = Keyboard(keys=["a"], writer=ours)
    assert Reader(theirs).decide(narrator(out), "noor", nobody) is True
    assert out.pressed == ["a"]


def test_when_the_reader_s_time_is_over_the_story_answers_and_says_so(terminal: tuple[int, int]) -> None:
    out = io.StringIO()
    assert Reader(terminal[1], patience_seconds=0).decide(narrator(out), "noor", nobody) is True
    assert "nobody answered: the story answers as noor: approve" in out.getvalue()


def test_without_a_reader_the_story_says_who_answers() -> None:
    out = io.StringIO()
    assert Story().decide(narrator(out), "noor", nobody) is True
    assert "the story answers as noor: approve" in out.getvalue()


def test_the_town_counts_what_really_ran(tmp_path: Path) -> None:
    town = build(tmp_path / "town")
    assert town.update_order("prod", 7, "paid", "refunded") == 1
    assert town.update_order("prod", 7, "paid", "refunded") == 0
    assert [ran.arguments["order"] for ran in town.ran("orders.update")] == [7, 7]
    assert town.delete_orders("prod", "refunded") == 3
    assert town.orders_of("refunded") == 0
    town.delete("staging/hours.txt")
    assert not (town.root / "staging/hours.txt").exists()


def test_a_claim_that_is_not_so_says_what_was_seen() -> None:
    must(1, "this is so", None)
    with pytest.raises(NotAsTold, match="expected that this is so; saw 'nothing'"):
        must(False, "this is so", "nothing")
