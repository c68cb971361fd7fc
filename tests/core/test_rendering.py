"""Arguments as lines: whoever reads them sees every byte that will run, and each value in one way only."""

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from assent.core.canonical import Json, canonical, load
from assent.core.characters import hidden_characters
from assent.core.rendering import GOES_ON, argument_lines, kind_and_length, spelled_out

TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]) | st.sampled_from('\n\\n"u{ \t\u202e\u200b'))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,8}", fullmatch=True)


def read_back(lines: list[str]) -> Json:
    """Undo the rendering, as its documentation says it can be."""
    joined: list[str] = []
    for line in lines:
        if line.startswith(GOES_ON):
            joined[-1] += _characters(line.removeprefix(GOES_ON))
        else:
            joined.append(_characters(line))
    return {name: json.loads(text) for name, text in (line.split(" = ", 1) for line in joined)}


def _characters(line: str) -> str:
    def one(match: re.Match[str]) -> str:
        return " " * int(match[1][3:]) if match[1].startswith("20*") else chr(int(match[1], 16))

    return re.sub(r"\\u\{(20\*[0-9]+|[0-9a-f]+)\}", one, line)


@pytest.mark.requirement("P3")
@given(st.dictionaries(NAMES, VALUES, max_size=4))
@example({"a": "x\\n y\nz\n"})
@example({"a": "\n"})
@example({"a": "\n   \n\n"})
@example({"a": "\\u{20*9}", "b": "\\\\u{5c}   "})
@example({"a": {"k\n": ["q\nr", "   "]}})
def test_the_lines_lead_back_to_the_arguments(arguments: dict[str, Json]) -> None:
    lines = argument_lines(canonical(arguments))

    assert canonical(read_back(lines)) == canonical(arguments)
    assert not any(hidden_characters(line) for line in lines)


def test_a_text_of_lines_reads_as_lines() -> None:
    assert argument_lines(canonical({"content": "tea 3.40\nlamp 49.00\n", "n": 3})) == [
        'content = "tea 3.40\\n',
        '  lamp 49.00\\n"',
        "n = 3",
    ]


@pytest.mark.requirement("P9")
@given(st.text(min_size=4).filter(lambda text: text not in "(sensitive, not shown: text of characters)0123456789"))
def test_of_a_sensitive_value_only_kind_and_length_are_told(secret: str) -> None:
    (line,) = argument_lines(canonical({"token": secret}), sensitive=["token"])

    assert line == f"token = (sensitive, not shown: text of {len(secret)} characters)"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ([1, 2], "list of 2 items"),
        ({"a": 1}, "object of 1 fields"),
        (True, "a truth value"),
        (7, "a number"),
        (1.5, "a number"),
        (None, "nothing"),
    ],
)
def test_kinds(value: Json, told: str) -> None:
    assert kind_and_length(value) == told


def test_runs_of_spaces_are_counted_because_they_move_what_follows_out_of_sight() -> None:
    assert spelled_out("a  b   c") == "a  b\\u{20*3}c"


def test_arguments_that_are_no_object_have_lines_too() -> None:
    assert argument_lines(canonical(["a\nb"])) == ['["a\\n', '  b"]']
    assert load(b'["a\\nb"]') == ["a\nb"]
