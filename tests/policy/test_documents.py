"""Strict YAML: one reading for every text, a place for every finding, and no file that costs more than its size."""

import pytest

from assent.policy.documents import Mapping, Node, plain, read_data, read_document
from assent.policy.findings import Findings


def read(text: str | bytes) -> tuple[Node | None, tuple[str, ...]]:
    findings = Findings()
    node = read_document("f.yaml", text.encode() if isinstance(text, str) else text, findings)
    return node, findings.lines()


def test_plain_words_and_quoted_texts_mean_one_thing_each() -> None:
    node, found = read('{a: 1, b: -0.5, c: true, d: null, e: "1", f: word, g: 2027-03-31, h: [x, 2.0], i: 15m, j: "*"}')
    assert found == ()
    assert node is not None
    assert plain(node) == {
        "a": 1, "b": -0.5, "c": True, "d": None, "e": "1", "f": "word",
        "g": "2027-03-31", "h": ["x", 2], "i": "15m", "j": "*",
    }  # fmt: skip


def test_a_long_plain_text_may_fold_over_lines() -> None:
    node, found = read("a: one\n  two\n")
    assert (node and plain(node), found) == ({"a": "one two"}, ())


@pytest.mark.requirement("T6")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\na: 2\n", "f.yaml:2:1: `a` stands twice here"),
        ('a: 1\n"a": 2\n', "f.yaml:2:1: `a` stands twice here"),
        ("a: {b: 1, b: 2}\n", "f.yaml:1:11: `b` stands twice here"),
        ("a: &x 1\nb: *x\n", "f.yaml:1:4: anchors"),
        ("a: *x\n", "f.yaml:1:4: anchors"),
        ("a: !!python/object:os.system {}\n", "f.yaml:1:4: tags"),
        ("a: !x 1\n", "f.yaml:1:4: tags"),
        ("<<: {a: 1}\n", "merge keys"),
        ("%YAML 1.1\n---\na: 1\n", "directive"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document"),
        ("", "is empty"),
        ("# nothing\n", "is empty"),
        ("a: 'open\n", "not YAML"),
        ("a: [1, 2\n", "not YAML"),
        ("a: {b: 1\n", "not YAML"),
        ("a: 1\n b: 2\n", "not YAML"),
        ("? [a]\n: 1\n", "a key must be a text"),
        ("1: a\n", "`1` is not a text, quote it"),
        ("true: a\n", "`true` is not a text, quote it"),
        ("a: yes\n", "read in different ways"),
        ("a: Off\n", "read in different ways"),
        ("a: True\n", "read in different ways"),
        ("a: 0x1F\n", "read in different ways"),
        ("a: 017\n", "read in different ways"),
        ("a: 1_000\n", "read in different ways"),
        ("a: 1e3\n", "read in different ways"),
        ("a: 12:30\n", "read in different ways"),
        ("a: .inf\n", "read in different ways"),
        ("a: 9007199254740993\n", "beyond 2^53-1"),
        ('a: "x\\ny"\n', "more than one line"),
        ('a: "x\\u200by"\n', "a reader cannot see"),
        ("a: |\n  x\n  y\n", "more than one line"),
        ("a: x\u200by\n", "f.yaml:1:5: `\\u{200b}` is a character"),
        ("a: x\ty\n", "f.yaml:1:5:"),
        ("a: 1\r\nb: 2\r\n", "f.yaml:1:5:"),
        ("\ufeffa: 1\n", "f.yaml:1:1:"),
        ("a: x\u2028b: y\n", "f.yaml:1:5:"),
        ("a: \x00\n", "f.yaml:1:4:"),
        ("a: \u202eb\n", "f.yaml:1:4:"),
        (b"a: \xff\n", "f.yaml:1:1: is not UTF-8"),
        ("a: " + "[" * 40 + "]" * 40 + "\n", "nested deeper than 32"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused_with_its_place(text: str | bytes, said: str) -> None:
    _, found = read(text)
    assert any(said in line for line in found), found


def test_a_bomb_of_aliases_or_brackets_costs_nothing() -> None:
    levels = "".join(f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}, *a{n}]\n" for n in range(50))
    assert "anchors" in read("a0: &a0 x\n" + levels)[1][0]
    assert "nested deeper" in read("[" * 200_000)[1][0]


def test_items_are_given_away_while_the_file_is_read() -> None:
    taken: list[tuple[tuple[str, ...], object]] = []

    def take(keys: tuple[str, ...], item: Node) -> bool:
        taken.append((keys, plain(item)))
        return keys == ("a", "rules")

    node = read_document("f.yaml", b"a: {rules: [1, [2]], other: [3]}\n", Findings(), take)
    assert node is not None
    assert plain(node) == {"a": {"rules": [], "other": [3]}}
    assert taken == [(("a", "rules"), 1), (("a", "rules"), [2]), (("a", "other"), 3)]


def test_data_may_hold_any_character_by_escape() -> None:
    findings = Findings()
    node = read_data("f.yaml", b'a: "x\\ny\\u200b"\n', findings)
    assert isinstance(node, Mapping)
    assert (plain(node), findings.lines()) == ({"a": "x\ny\u200b"}, ())
