"""Diffs: before and after can be rebuilt from the lines, nothing in them is unseen, and no text makes them costly."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from assent.core.characters import hidden_characters
from assent.core.diffs import MAX_LINES, MAX_STEPS, Diff, DiffOf, Line, Side, diff_of

WORDS = st.sampled_from(
    ["a", "b", "c ", "    d", "\te", "", " ", "\\u{61}", "\u202e", "x   y", "@@", "--- a", "\r", "é"]
)
ENDS = st.sampled_from(["\n", "\n", "\n", "", "\u2028", "\r\n"])
LINES = st.lists(st.tuples(WORDS, ENDS).map("".join), max_size=12).map("".join)
TEXTS = LINES | st.text(alphabet=st.characters(exclude_categories=["Cs"]) | st.sampled_from("\n ab"), max_size=40)
TWO = DiffOf(before="old", after="new")
ONE = DiffOf(patch="patch")
PATCH = """\
diff --git a/x b/x
--- a/x
+++ b/x
@@ -1,3 +1,3 @@ def f():
 keep
--- looks like a head
+++ so does this
 end
@@ -9 +9,0 @@
-gone
\\ No newline at end of file
"""


def compared(before: str, after: str) -> Diff:
    found = diff_of(TWO, {"old": before, "new": after})
    assert isinstance(found, Diff), found
    return found


def text_of(line: Line) -> str:
    """Undo the rendering of one line, as its module says it can be."""

    def one(match: re.Match[str]) -> str:
        return " " * int(match[1][3:]) if match[1].startswith("20*") else chr(int(match[1], 16))

    spelled = "".join(piece for _, piece in line.pieces)
    assert not hidden_characters(spelled)
    return re.sub(r"\\u\{(20\*[0-9]+|[0-9a-f]+)\}", one, spelled) + "\n" * line.ends


def side_of(found: Diff, side: Side) -> str:
    return "".join(text_of(line) for line in found.lines if line.side in {side, Side.BOTH})


@pytest.mark.requirement("P3", "T3")
@given(TEXTS, TEXTS)
@example("", "")
@example("a", "a\n")
@example("a\nb\nc\n", "c\na\nb")
@example("\\u{20*9}", "\\\\u{5c}   ")
@example("x" + " " * 50, " " * 50 + "x")
def test_before_and_after_can_be_rebuilt_from_the_lines(before: str, after: str) -> None:
    found = compared(before, after)

    assert (side_of(found, Side.BEFORE), side_of(found, Side.AFTER)) == (before, after)


@given(TEXTS)
def test_what_is_equal_has_no_sign(text: str) -> None:
    assert {line.side for line in compared(text, text).lines} <= {Side.BOTH}


def test_what_changes_is_told_line_by_line_and_within_a_line() -> None:
    found = compared("a = 1\nlimit = 10\nz\n", "a = 1\nlimit = 1000\nz\nmore")

    assert [(line.sign, line.pieces, line.ends) for line in found.lines] == [
        (" ", ((False, "a = 1"),), True),
        ("-", ((False, "limit = 10"),), True),
        ("+", ((False, "limit = 10"), (True, "00")), True),
        (" ", ((False, "z"),), True),
        ("+", ((False, "more"),), False),
    ]


def test_what_is_removed_and_added_is_counted() -> None:
    found = compared("a\nb\nc\n", "a\nx\ny\nz\n")

    assert (found.removed, found.added) == (2, 3)


def test_lines_that_have_little_in_common_are_not_marked_in_pieces() -> None:
    assert [line.pieces for line in compared("abcdefgh\n", "axyz1234\n").lines] == [
        ((False, "abcdefgh"),),
        ((False, "axyz1234"),),
    ]


def test_lines_that_stand_once_hold_the_rest_together() -> None:
    found = compared("{\n}\nfirst\n}\n}\nlast\n{\n", "}\n}\nfirst\n{\n}\nlast\n}\n}\n")

    (first,) = (place for place, line in enumerate(found.lines) if line.pieces == ((False, "first"),))
    (last,) = (place for place, line in enumerate(found.lines) if line.pieces == ((False, "last"),))
    assert (found.lines[first].side, found.lines[last].side) == (Side.BOTH, Side.BOTH)


def test_an_indentation_stays_and_what_is_wide_elsewhere_is_counted() -> None:
    (line,) = compared("", "        a" + " " * 300 + "b  \n").lines

    assert line.pieces == ((False, "        a\\u{20*300}b\\u{20*2}"),)


@pytest.mark.requirement("P3", "T3")
@given(st.lists(st.tuples(st.sampled_from(" -+"), WORDS), max_size=8), st.booleans())
def test_a_patch_can_be_rebuilt_from_its_lines(hunk: list[tuple[str, str]], more: bool) -> None:
    counts = [sum(sign in signs for sign, _ in hunk) for signs in (" -", " +")]
    lines = "".join(f"{sign}{text}\n" for sign, text in hunk)
    patch = PATCH * more + f"@@ -1,{counts[0]} +1,{counts[1]} @@\n{lines}"
    found = diff_of(ONE, {"patch": patch})

    assert isinstance(found, Diff)
    assert "".join(line.sign + text_of(line) for line in found.lines) == patch


def test_in_a_patch_the_counts_tell_a_line_from_a_head() -> None:
    found = diff_of(ONE, {"patch": PATCH})

    assert isinstance(found, Diff)
    assert [line.side.value for line in found.lines] == [
        *["neither"] * 4,
        "both",
        "before",
        "after",
        "both",
        "neither",
        "before",
        "neither",
    ]


@pytest.mark.requirement("T3")
@pytest.mark.parametrize(
    "patch",
    [
        "",
        "no patch at all\n",
        "+++ a\n--- b\n",
        "@@ -1,2 +1 @@\n-a\n",
        "@@ -1 +1 @@\n-a\n-b\n+c\n",
        "@@ -1 +1 @@\n a\n+a line that no count speaks of\n",
        "@@ -1,2 +1,2 @@\n a\n\n",
        "@@ -1 +1 @@ \n*a\n",
        "@@ 1 @@\n-a\n",
    ],
)
def test_what_could_be_read_in_two_ways_is_no_patch(patch: str) -> None:
    assert diff_of(ONE, {"patch": patch}) == "this is no unified diff whose lines add up"


@pytest.mark.requirement("T3")
@pytest.mark.parametrize(
    "arguments", [{}, {"old": "a"}, {"old": "a", "new": None}, {"old": ["a"], "new": "a"}, ["old"]]
)
def test_what_is_not_there_is_not_guessed(arguments: object) -> None:
    assert diff_of(TWO, arguments) == "one of the texts is not there"  # type: ignore[arg-type]  # any JSON


HOSTILE = {
    "alike": ("a\n" * 4_900, "a\n" * 4_800 + "b\n" * 100),
    "in turn": ("a\nb\n" * 2_400, "b\na\n" * 2_400),
    "in pairs": ("".join(f"{n}\n{n}\n" for n in range(2_400)), "".join(f"{n}\n{n}\n" for n in range(2_400, 0, -1))),
    "every other": ("".join(f"{n}\n" for n in range(4_900)), "".join(f"{n + n % 2 * 9_999}\n" for n in range(4_900))),
    "fifty": ("".join(f"{n * n % 53}\n" for n in range(4_900)), "".join(f"{n * n * n % 51}\n" for n in range(4_900))),
    "one line": ("a" * 100_000, "a" * 50_000 + "b" + "a" * 49_999),
    "unseen": ("\u200b" * 50_000, "\u200b" * 49_999 + "a"),
}


@pytest.mark.requirement("T3", "T14")
@pytest.mark.parametrize("texts", HOSTILE.values(), ids=HOSTILE)
def test_no_text_of_100_kb_makes_it_costly(texts: tuple[str, str]) -> None:
    found = compared(*texts)

    assert found.steps <= MAX_STEPS
    assert (side_of(found, Side.BEFORE), side_of(found, Side.AFTER)) == texts


def test_what_is_too_much_to_compare_stands_there_whole_and_says_so() -> None:
    found = compared(*HOSTILE["in turn"])

    assert found.is_coarse
    assert not compared("a\n", "b\n").is_coarse


def test_more_lines_than_anybody_reads_are_no_diff() -> None:
    found = diff_of(TWO, {"old": "\n" * MAX_LINES, "new": "\n"})

    assert found == f"there are more than {MAX_LINES} lines"
