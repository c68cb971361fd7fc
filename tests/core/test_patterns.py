"""Patterns: anchored, case-sensitive, segment by segment, and never slow."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.core.patterns import RESOURCE_SEPARATOR, TOOL_SEPARATOR, fault, matcher, matches


@pytest.mark.parametrize(
    ("pattern", "value", "fits"),
    [
        ("k8s.scale", "k8s.scale", True),
        ("k8s.get*", "k8s.getPods", True),
        ("k8s.get*", "k8s.get", True),
        ("k8s.*", "k8s.apps.scale", False),
        ("k8s.**", "k8s.apps.scale", True),
        ("k8s.**", "k8s", False),
        ("K8s.scale", "k8s.scale", False),
        ("k8s.scale", "k8s.scale2", False),
        ("*", "k8s.scale", False),
        ("**", "k8s.scale", True),
        ("a*b*c.d", "aXbYc.d", True),
        ("a*b*c.d", "acb.d", False),
        ("aa*aa.x", "aaa.x", False),
    ],
)
def test_a_tool_pattern_fits_what_it_reads_as(pattern: str, value: str, *, fits: bool) -> None:
    assert matches(pattern, value, TOOL_SEPARATOR) is fits


@pytest.mark.requirement("T7")
@pytest.mark.parametrize(
    "spelling", ["/prod/x", "prod//x", "prod/../prod/x", "PROD/x", "prod/x/", "рrod/x", "prod/x\n"]
)
def test_another_spelling_of_a_resource_is_another_resource(spelling: str) -> None:
    assert matches("prod/x", "prod/x", RESOURCE_SEPARATOR)
    assert not matches("prod/x", spelling, RESOURCE_SEPARATOR)


@pytest.mark.parametrize(
    ("pattern", "fine"), [("a.b", True), ("a..b", False), ("a.**b", False), ("**.a", True), ("", False)]
)
def test_a_malformed_pattern_is_named_before_it_is_used(pattern: str, *, fine: bool) -> None:
    assert (fault(pattern, TOOL_SEPARATOR) is None) is fine


def reference(pattern: tuple[str, ...], value: tuple[str, ...]) -> bool:
    """Say the same by plain recursion, slowly."""
    if not pattern or not value:
        return not pattern and not value
    if pattern[0] == "**":
        return any(reference(pattern[1:], value[taken:]) for taken in range(1, len(value) + 1))
    return characters(pattern[0], value[0]) and reference(pattern[1:], value[1:])


def characters(pattern: str, value: str) -> bool:
    if not pattern:
        return not value
    if pattern[0] == "*":
        return any(characters(pattern[1:], value[taken:]) for taken in range(len(value) + 1))
    return bool(value) and pattern[0] == value[0] and characters(pattern[1:], value[1:])


segment = st.text("ab*", min_size=1, max_size=4).filter(lambda s: "**" not in s)


@given(
    pattern=st.lists(segment | st.just("**"), min_size=1, max_size=5),
    value=st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=6),
)
def test_it_agrees_with_plain_recursion(pattern: list[str], value: list[str]) -> None:
    assert matches("/".join(pattern), "/".join(value), "/") is reference(tuple(pattern), tuple(value))


@pytest.mark.requirement("T14")
def test_a_pattern_made_to_hang_does_not() -> None:
    assert not matches("/".join(["**", "a*a*a*a*b"] * 40), "/".join(["a" * 60] * 200), "/")


@given(
    pattern=st.lists(segment | st.just("**"), min_size=1, max_size=5),
    value=st.lists(st.text("ab", max_size=4), min_size=1, max_size=6),
)
def test_a_prepared_pattern_matches_the_same(pattern: list[str], value: list[str]) -> None:
    written, asked = "/".join(pattern), "/".join(value)
    assert matcher(written, "/")(asked) is matches(written, asked, "/")


SEGMENTS = ("a", "b", "*", "a*", "*a", "a*b", "*a*", "**")
VALUES = ("a", "b", "ab", "ba", "aab", "aba")


@pytest.mark.requirement("T7")
@pytest.mark.parametrize("length", [1, 2, 3])
def test_every_short_pattern_agrees_with_plain_recursion_on_every_short_value(length: int) -> None:
    values = [value for count in (1, 2, 3) for value in product(VALUES[: 6 if count < 3 else 3], repeat=count)]
    for pattern in product(SEGMENTS, repeat=length):
        written, prepared = "/".join(pattern), matcher("/".join(pattern), "/")
        for value in values:
            expected = reference(pattern, value)
            assert matches(written, "/".join(value), "/") is expected, (pattern, value)
            assert prepared("/".join(value)) is expected, (pattern, value)
