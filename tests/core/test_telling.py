"""One record in words: every kind has a sentence of its own or its name, and no leaf makes the telling fail."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.core.records import RecordKind
from assent.core.telling import tell

ABOUT_ACTIONS = [kind for kind in RecordKind if kind.partition(".")[0] in {"action", "approval", "grant"}]
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize(
    ("leaf", "sentence"),
    [
        (
            {"kind": "action.decided", "agent": "bot", "tool": "db.run", "decision": "deny", "reasons": ["no_rule"]},
            "bot asked for db.run: denied, no_rule",
        ),
        (
            {"kind": "action.decided", "agent": "bot", "tool": "db.run", "decision": "pending", "rules": ["r1", "r2"]},
            "bot asked for db.run: a human decides (rules r1, r2)",
        ),
        (
            {
                "kind": "approval.voted",
                "operator": "eve",
                "detail": {"assurance": "slack", "surface": "slack", "state": "partial", "self_approved": True},
            },
            "eve said yes (slack, slack), more votes are needed; self-approved under `single_person`",
        ),
        (
            {
                "kind": "session.opened",
                "operator": "eve",
                "detail": {"signed_in_by": "passkey", "using": "pky_1"},
            },
            "eve signed in at the console with the passkey pky_1",
        ),
        (
            {
                "kind": "passkey.refused",
                "operator": "eve",
                "detail": {"act": "sign_in", "passkey": {"id": "pky_1", "because": "count_went_back"}},
            },
            "eve tried to sign in with the passkey pky_1, which did not count: count went back",
        ),
        (
            {"kind": "approval.moved", "operator": "eve", "detail": {"state": "denied", "category": "too_risky"}},
            "eve said no: too_risky; nothing was run",
        ),
        ({"kind": "approval.moved", "detail": {"state": "expired"}}, "nobody answered in time; nothing was run"),
        (
            {"kind": "policy.proposed", "policy": "a" * 64, "detail": {"unvouched": "it was used before"}},
            (
                "the policy aaaaaaaaaaaa widens something and waits to be confirmed;"
                " the release beside it does not count, it was used before"
            ),
        ),
        (
            {"kind": "policy.activated", "policy": "a" * 64, "operator": "ada"},
            "the policy aaaaaaaaaaaa serves from here on, confirmed by ada",
        ),
        (
            {"kind": "policy.activated", "policy": "a" * 64, "detail": {"release": {"keys": ["ci+01", "ci+02"]}}},
            "the policy aaaaaaaaaaaa serves from here on, vouched for by the release key ci+01 and ci+02",
        ),
        (
            {"kind": "action.outcome", "detail": {"state": "failed", "reported": True, "duration_ms": 7}},
            "reported failed after 7 ms",
        ),
        (
            {"kind": "action.outcome", "detail": {"state": "unknown", "reported": False}},
            "the lease ended and nobody said what became of it: unknown",
        ),
        (
            {
                "kind": "breaker.tripped",
                "operator": "eve",
                "environment": "prod",
                "detail": {"cancelled": 2, "running": 1},
            },
            "eve tripped the breaker over environment `prod`: 2 cut off, 1 running",
        ),
        ({"kind": "a.kind.from.later"}, "a.kind.from.later"),
    ],
)
def test_a_record_is_told_as_what_happened(leaf: dict[str, Any], sentence: str) -> None:
    assert tell(leaf) == sentence


@pytest.mark.parametrize("kind", ABOUT_ACTIONS)
def test_every_record_of_an_action_has_words_of_its_own(kind: RecordKind) -> None:
    assert tell({"kind": kind.value}) != kind.value


@pytest.mark.requirement("T12")
@given(kind=st.sampled_from(list(RecordKind)), leaf=st.dictionaries(st.text(), JSON), detail=JSON, lists=JSON)
def test_whatever_a_leaf_holds_it_is_told(kind: RecordKind, leaf: dict[str, Any], detail: Any, lists: Any) -> None:
    hostile = {**leaf, "kind": kind.value, "detail": detail, "reasons": lists, "rules": lists, "operator": lists}
    assert isinstance(tell(hostile), str)
    assert isinstance(tell({**hostile, "detail": {"routes": lists, "assurance": detail, "fields": lists}}), str)
