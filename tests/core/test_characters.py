"""What a reader cannot see is escaped, counted and told apart, the same on every Python."""

import re
import sys
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from assent.core.characters import hidden_characters, invisible_count, visible

EVERY_CHARACTER = [chr(point) for point in range(sys.maxunicode + 1)]
INVISIBLE = "".join(character for character in EVERY_CHARACTER if hidden_characters(character))
ANY_TEXT = st.text(st.characters() | st.sampled_from("\\u{}\u202e\u200b\x00 "), max_size=20)


def test_every_control_format_private_and_separator_character_is_hidden() -> None:
    # This Python may know fewer characters than the table, never more of these kinds.
    kinds = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp", "Zs"}
    missed = [c for c in EVERY_CHARACTER if unicodedata.category(c) in kinds and not hidden_characters(c)]
    assert missed == [" "]


def test_hidden_characters_outside_those_kinds_are_the_named_few() -> None:
    kinds = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp", "Zs", "Cn"}
    few = [f"{ord(c):x}" for c in INVISIBLE if unicodedata.category(c) not in kinds and not variation_selector(c)]
    assert few == ["34f", "115f", "1160", "17b4", "17b5", "2800", "3164", "ffa0", "1d159"]


def variation_selector(character: str) -> bool:
    return "VARIATION SELECTOR" in unicodedata.name(character)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("plain text, 100 % visible: äöü ж 漢字 😀 עברית", "plain text, 100 % visible: äöü ж 漢字 😀 עברית"),
        ("safe\u202e.exe", r"safe\u{202e}.exe"),
        ("a\u200bb\ufeffc", r"a\u{200b}b\u{feff}c"),
        ("line\nline\r\ttab", r"line\u{a}line\u{d}\u{9}tab"),
        ("\x1b[31mred", r"\u{1b}[31mred"),
        ("tag\U000e0041", r"tag\u{e0041}"),
        ("a\ufe0f\U000e0100", r"a\u{fe0f}\u{e0100}"),
        ("no\u00a0break", r"no\u{a0}break"),
        ("half \ud800", r"half \u{d800}"),
        (r"C:\users \u{41}", r"C:\users \u{5c}u{41}"),
    ],
)
def test_invisible_characters_are_written_out(text: str, printed: str) -> None:
    assert visible(text) == printed


@given(ANY_TEXT)
@example("\\\u202e")
@example(r"\u{5c}u{41}")
def test_what_is_printed_is_one_line_without_hidden_characters_and_means_one_text(text: str) -> None:
    printed = visible(text)
    assert not hidden_characters(printed)
    assert len(printed.splitlines()) <= 1
    assert re.sub(r"\\u\{([0-9a-f]+)\}", lambda escape: chr(int(escape[1], 16)), printed) == text


@given(ANY_TEXT)
def test_the_count_is_that_of_hidden_characters_alone(text: str) -> None:
    assert invisible_count(text) == sum(character in INVISIBLE for character in text)
    assert hidden_characters(text) == (invisible_count(text) > 0)


def test_of_ascii_only_control_characters_are_hidden_and_everything_else_stays_as_it_is() -> None:
    for text in (chr(first) + chr(second) for first in range(128) for second in range(128)):
        is_hidden = any(unicodedata.category(character) == "Cc" for character in text)
        assert hidden_characters(text) is is_hidden
        assert (visible(text) == text) is not is_hidden
