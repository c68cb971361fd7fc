"""Operators: which sets somebody holds, and that nobody hands out more than they may."""

import pytest

from assent.core.operators import PERMISSION_SETS, Operator, OperatorId, Permission, beyond


def person(*sets: str, more: frozenset[Permission] = frozenset(), admin: bool = False) -> Operator:
    held = frozenset[Permission]().union(*(PERMISSION_SETS[name] for name in sets))
    return Operator(id=OperatorId("o"), permissions=held | more, security_admin=admin)


@pytest.mark.parametrize(
    ("operator", "sets"),
    [
        (person(), ()),
        (person("approver"), ("approver",)),
        (person("approver", "operator"), ("approver", "operator")),
        (person("operator", "auditor"), ("operator",)),
        (person("auditor"), ("auditor",)),
        (person("security_admin", admin=True), ("security_admin",)),
        (person("security_admin"), ("approver", "operator")),
        (person("auditor", more=frozenset({Permission.AUDIT_PAYLOADS})), ("auditor",)),
    ],
)
def test_the_sets_that_somebody_holds_are_named_without_those_inside_others(
    operator: Operator, sets: tuple[str, ...]
) -> None:
    assert operator.sets == sets


@pytest.mark.requirement("P5", "T22")
@pytest.mark.parametrize(
    ("issuer", "other", "more"),
    [
        (person("operator"), person("operator"), ()),
        (person("operator"), person("auditor"), ()),
        (person("operator"), person("approver"), ("approvals.decide",)),
        (person("auditor"), person("operator"), ("agents.manage", "breakers.reset", "breakers.trip")),
        (person("security_admin"), person("security_admin", admin=True), ("security_admin",)),
        (person("security_admin", admin=True), person("security_admin", admin=True), ()),
    ],
)
def test_what_another_may_beyond_oneself_is_named(issuer: Operator, other: Operator, more: tuple[str, ...]) -> None:
    assert beyond(issuer, other) == more
