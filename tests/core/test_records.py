"""Records: leaves are canonical, carry no payload, and commit to it field by field."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.core.canonical import Json, canonical, commitment, load
from assent.core.errors import BadRequest
from assent.core.records import Entry, RecordId, RecordKind, moved_to, record, rfc3339
from tests.core.samples import NOW

SALTS = (b"a" * 32, b"b" * 32)
ENTRY = Entry(
    kind=RecordKind.ACTION_DECIDED,
    agent="bot",
    decision="allow",
    detail={"state": "executing"},
    payload={"arguments": canonical({"path": "secret-canary"}), "reason": canonical("other-canary")},
)


def leaf_of(entry: Entry) -> dict[str, object]:
    salts = tuple(bytes([n]) * 32 for n in range(len(entry.payload)))
    loaded = load(record(entry, new_id=RecordId("rec_1"), now=NOW, salts=salts).leaf)
    assert isinstance(loaded, dict)
    return dict(loaded)


def test_a_leaf_is_canonical_and_names_what_it_is() -> None:
    made = record(ENTRY, new_id=RecordId("rec_1"), now=NOW, salts=SALTS)
    leaf = load(made.leaf)
    assert canonical(leaf) == made.leaf
    assert isinstance(leaf, dict)
    assert leaf["v"] == 1
    assert leaf["kind"] == "action.decided"
    assert leaf["time"] == "2026-11-23T10:00:00.000000Z"
    assert "operator" not in leaf


@pytest.mark.requirement("P9")
def test_a_payload_is_committed_to_and_never_in_the_leaf() -> None:
    made = record(ENTRY, new_id=RecordId("rec_1"), now=NOW, salts=SALTS)
    assert b"canary" not in made.leaf
    leaf = load(made.leaf)
    assert isinstance(leaf, dict)
    assert leaf["commit"] == {
        "arguments": commitment("arguments", SALTS[0], {"path": "secret-canary"}),
        "reason": commitment("reason", SALTS[1], "other-canary"),
    }
    assert made.disclosed["reason"] == (SALTS[1], canonical("other-canary"))


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=30), max_size=4))
def test_public_detail_comes_back_as_it_went_in(detail: dict[str, str]) -> None:
    leaf = leaf_of(Entry(kind=RecordKind.BROKER_STARTED, detail=dict(detail)))
    assert leaf.get("detail", {}) == detail


def test_a_record_too_long_for_the_format_is_refused() -> None:
    with pytest.raises(BadRequest):
        leaf_of(Entry(kind=RecordKind.BROKER_STARTED, detail={"x": "y" * 65_535}))


def test_there_must_be_a_salt_for_every_payload_field() -> None:
    with pytest.raises(ValueError, match="zip"):
        record(ENTRY, new_id=RecordId("rec_1"), now=NOW, salts=SALTS[:1])


def test_a_record_that_is_moved_to_a_later_time_says_the_rest_as_before() -> None:
    later = NOW + timedelta(seconds=1, microseconds=1)
    entry = Entry(kind=RecordKind.ACTION_DECIDED, agent="bot", payload={"reason": b'"x"'}, detail={"time": "mine"})
    one = record(entry, new_id=RecordId("rec_1"), now=NOW, salts=(b"s" * 32,))
    assert moved_to(one, later) == record(entry, new_id=RecordId("rec_1"), now=later, salts=(b"s" * 32,))


def test_times_have_one_form_and_a_naive_one_is_refused() -> None:
    elsewhere = datetime(2026, 11, 23, 12, 0, tzinfo=timezone(timedelta(hours=2)))
    assert rfc3339(elsewhere) == rfc3339(datetime(2026, 11, 23, 10, 0, tzinfo=UTC))
    with pytest.raises(BadRequest):
        rfc3339(datetime(2026, 11, 23, 10, 0))  # noqa: DTZ001  # naive on purpose


def test_kinds_read_subject_dot_event_and_are_unique() -> None:
    values = [kind.value for kind in RecordKind]
    assert len(values) == len(set(values))
    assert all(value.count(".") == 1 for value in values)


keys = st.text("abcXYZ_.", min_size=1, max_size=8)
facts = st.recursive(
    st.text(max_size=12) | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1),
    lambda inner: st.lists(inner, max_size=3),
)


@pytest.mark.requirement("P8")
@given(detail=st.dictionaries(keys, facts, max_size=5), words=st.lists(st.text(max_size=20), max_size=3))
def test_every_leaf_is_canonical_whatever_text_stands_in_it(detail: dict[str, Json], words: list[str]) -> None:
    entry = Entry(kind=RecordKind.ACTION_DECIDED, tool="".join(words), rules=tuple(words), detail=detail)
    made = record(entry, new_id=RecordId("rec_1"), now=NOW, salts=())
    assert canonical(load(made.leaf)) == made.leaf
