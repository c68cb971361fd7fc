"""Conditions: a closed set of typed predicates; what cannot be judged never lets anything pass."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.core.canonical import Json
from assent.policy.bounds import CONDITION_STEPS, MAX_LOOKED_AT, MAX_STEPS, TEST_STEPS, Meter, TooCostly
from assent.policy.conditions import Condition, holds, misuse
from assent.policy.documents import read_document
from assent.policy.findings import Findings
from assent.policy.predicates import read_condition
from assent.policy.schema import Argument, Kind


def condition(text: str) -> Condition:
    findings = Findings()
    node = read_document("w.yaml", text.encode(), findings)
    assert node is not None
    read = read_condition(node, findings, {})
    assert findings.lines() == ()
    return read


def grants(text: str, value: Json) -> bool:
    return holds(condition(text), {"a": value}, Meter(), when_unknown=False)


def denies(text: str, value: Json) -> bool:
    return holds(condition(text), {"a": value}, Meter(), when_unknown=True)


@pytest.mark.parametrize(
    ("predicate", "met", "unmet"),
    [
        ("{equals: x}", ["x"], ["X", "xx", ""]),
        ("{equals: 3}", [3, 3.0], [4]),
        ("{equals: true}", [True], [False]),
        ("{in: [x, z]}", ["x", "z"], ["w"]),
        ("{not_in: [x, z]}", ["w"], ["x", "z"]),
        ("{in: [a, b, c, d, e, f]}", ["a", "f"], ["g", "ab", 1, True]),
        ("{not_in: [a, b, c, d, e, f]}", ["g", 1, True], ["a", "f"]),
        ("{in: [1, 2]}", [1, 2.0], [3, True, "1"]),
        ("{in: [true]}", [True], [False, 1, "true"]),
        ("{min: 2}", [2, 3, 2.5], [1, 1.9]),
        ("{max: 2}", [2, -1], [3, 2.1]),
        ("{min: 1, max: 2}", [1, 2], [0, 3]),
        ("{prefix: ab}", ["ab", "abc"], ["a", "xab", "Ab"]),
        ("{under: a/b}", ["a/b", "a/b/c"], ["a/bc", "a", "x/a/b"]),
        (
            "{domain: acme.example}",
            ["acme.example", "x.acme.example", "me@acme.example"],
            ["evilacme.example", "acme.example.evil"],
        ),
        ("{length: {max: 2}}", ["ab", [1, 2], ""], ["abc", [1, 2, 3]]),
        ("{length: {min: 1}}", ["a"], ["", []]),
        ("{matches: 'a+'}", ["a", "aa"], ["ab", "ba", "xaax"]),
        ("{matches: 'a|b'}", ["a", "b"], ["ax", "xb"]),
        ("{each: {domain: acme.example}}", [["acme.example"], []], [["acme.example", "evil.example"]]),
        ("{each: {max: 3}}", [[1, 2]], [[1, 4]]),
        ("{each: {min: 1, max: 3}}", [[1, 2], []], [[0], [1, 4]]),
        ("{each: [{domain: a.example}, {equals: b}]}", [["a.example", "b"], ["b"]], [["c.example"], ["b", "c"]]),
        ("{present: true}", ["x", 0, False, []], [None]),
        ("{absent: true}", [None], ["x", 0]),
        ("[{equals: x}, {prefix: zz}]", ["x", "zzz"], ["w"]),
        ("[{absent: true}, {each: {domain: acme.example}}]", [None, ["acme.example"]], [["evil.example"]]),
    ],
)
def test_a_predicate_holds_for_what_it_names_and_nothing_else(
    predicate: str, met: list[Json], unmet: list[Json]
) -> None:
    for value in met:
        assert grants(f"a: {predicate}", value), value
        assert denies(f"a: {predicate}", value), value
    for value in unmet:
        assert not grants(f"a: {predicate}", value), value
        assert not denies(f"a: {predicate}", value), value


VALUE_TESTS = [
    "{equals: x}", "{in: [1]}", "{not_in: [x]}", "{min: 1}", "{max: 1}", "{prefix: x}", "{under: x}",
    "{domain: x.example}", "{length: {max: 9}}", "{matches: '.*'}", "{each: {max: 9}}",
]  # fmt: skip


@pytest.mark.requirement("P1")
@pytest.mark.parametrize("predicate", VALUE_TESTS)
def test_a_missing_argument_matches_no_allow_and_every_deny(predicate: str) -> None:
    assert not holds(condition(f"a: {predicate}"), {}, Meter(), when_unknown=False)
    assert holds(condition(f"a: {predicate}"), {}, Meter(), when_unknown=True)
    assert not grants(f"a: {predicate}", None)
    assert denies(f"a: {predicate}", None)


@pytest.mark.requirement("P1")
@pytest.mark.parametrize(
    ("predicate", "value"),
    [
        ("{domain: acme.example}", "ACME.example"),
        ("{domain: acme.example}", "Eve <eve@evil.example>, me@acme.example"),
        ("{domain: acme.example}", "a@b@acme.example"),
        ("{domain: acme.example}", "acme.example."),
        ("{domain: acme.example}", "https://acme.example"),
        ("{domain: acme.example}", "x y@acme.example"),
        ("{each: {domain: acme.example}}", ["acme.example", 5]),
        ("{max: 2}", "1"),
        ("{prefix: x}", 5),
    ],
)
def test_a_form_that_is_not_safe_to_judge_matches_no_allow_and_every_deny(predicate: str, value: Json) -> None:
    assert not grants(f"a: {predicate}", value)
    assert denies(f"a: {predicate}", value)


def test_all_fields_must_hold() -> None:
    both = condition("{a: {equals: 1}, b: {equals: 2}}")
    assert holds(both, {"a": 1, "b": 2}, Meter(), when_unknown=False)
    assert not holds(both, {"a": 1, "b": 3}, Meter(), when_unknown=False)
    assert not holds(both, {"a": 1}, Meter(), when_unknown=False)


SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.text("axz./@", max_size=4)


@pytest.mark.requirement("P1")
@given(st.sampled_from([*VALUE_TESTS, "{present: true}", "{absent: true}"]), SCALARS | st.lists(SCALARS, max_size=3))
def test_what_grants_would_also_deny(predicate: str, value: Json) -> None:
    assert denies(f"a: {predicate}", value) or not grants(f"a: {predicate}", value)


@pytest.mark.requirement("T6")
@pytest.mark.parametrize("expression", ["(a+)+$", "(a|aa)+$", "(.*)*x", "((a*)*)*b", "(a?){50}a{50}"])
def test_an_expression_that_would_hang_others_is_linear_or_refused(expression: str) -> None:
    assert not grants(f"a: {{matches: '{expression}'}}", "a" * MAX_LOOKED_AT + "!")


@pytest.mark.parametrize("expression", ["(a{900}){900}", "(", "(?=a)", r"(a)\\1", "a" * 1001, "[z-a]", r"\p{Nope}"])
def test_an_expression_that_cannot_be_linear_or_sound_is_a_finding(expression: str) -> None:
    findings = Findings()
    node = read_document("w.yaml", f'a: {{matches: "{expression}"}}'.encode(), findings)
    if node is not None:
        read_condition(node, findings, {})
    assert findings


@pytest.mark.requirement("T14")
def test_a_condition_takes_its_steps_off_before_it_is_tried() -> None:
    one = condition("a: {matches: 'a+'}")
    meter = Meter(150)
    assert holds(one, {"a": "aaa"}, meter, when_unknown=False)
    assert meter.left < 50
    with pytest.raises(TooCostly):
        holds(one, {"a": "a" * 1000}, meter, when_unknown=False)


def spent(predicate: str, value: Json) -> int:
    meter = Meter()
    holds(condition(f"a: {predicate}"), {"a": value}, meter, when_unknown=False)
    return MAX_STEPS - meter.left


EVERY_TEST = [
    "{equals: a}",
    "{in: [a, b]}",
    "{not_in: [a, b]}",
    "{min: 3}",
    "{max: 3}",
    "{prefix: a}",
    "{under: a}",
    "{domain: a.example}",
    "{length: {max: 3}}",
    "{matches: 'a+'}",
]


@pytest.mark.requirement("T14")
@pytest.mark.parametrize("predicate", EVERY_TEST)
def test_every_test_costs_what_calling_it_takes_and_again_for_every_item_of_a_list(predicate: str) -> None:
    """A test that were cheaper on paper than it is would let a policy meet more of them than there is time for."""
    assert spent(predicate, "") >= CONDITION_STEPS + TEST_STEPS
    each = f"{{each: {predicate}}}"
    for count in (1, 100, 1_000):
        assert spent(each, [""] * count) >= CONDITION_STEPS + (count + 1) * TEST_STEPS
    two = f"{{each: [{predicate}, {{equals: b}}]}}"
    assert spent(two, [""] * 100) == spent(each, [""] * 100) + 100 * TEST_STEPS


@pytest.mark.requirement("T14")
@pytest.mark.parametrize("predicate", ["{prefix: a}", "{domain: a.example}", "{matches: 'a+'}", "{in: [a, b]}"])
def test_characters_cost_wherever_they_stand(predicate: str) -> None:
    assert spent(predicate, "a" * 6_400) >= spent(predicate, "") + 100
    each = f"{{each: {predicate}}}"
    assert spent(each, ["a" * 640] * 10) >= spent(each, [""] * 10) + 100


def test_a_list_of_objects_is_looked_at_as_a_whole_and_that_is_told() -> None:
    guests = Argument(kind=Kind.LIST, of=Argument(kind=Kind.OBJECT))
    (each,), (absent,) = condition("a: {each: {domain: acme.example}}"), condition("a: {absent: true}")
    said = misuse(each, guests)
    assert said is not None
    assert "`object`" in said
    assert "`absent`, `present` and `length` look at the list itself" in said
    assert misuse(absent, guests) is None
    assert "look at the list itself" not in str(misuse(each, Argument(kind=Kind.LIST, of=Argument(kind=Kind.INTEGER))))
