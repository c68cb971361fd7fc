"""The log inside the ledger: gapless, in order, with payload beside the leaf, and found by what an auditor asks."""

import json
from datetime import timedelta

import pytest

from assent.core.canonical import commitment_of
from assent.core.looking import FoundRecords, LogState, RecordFilter
from assent.core.records import Entry, Record, RecordId, RecordKind
from assent.ports import Ledger, Tx, View
from tests.contracts import samples
from tests.contracts.samples import T0, Clock


async def append(ledger: Ledger, *entries: Entry) -> list[Record]:
    async def work(tx: Tx) -> list[Record]:
        return [await tx.append(entry) for entry in entries]

    return await ledger.transact(work)


async def listed(ledger: Ledger, limit: int = 100, /, **which: object) -> list[int | None]:
    async def work(view: View) -> list[int | None]:
        found = await view.records(RecordFilter(**which), limit=limit)  # type: ignore[arg-type]  # names come from tests
        return [record.index for record in found.records]

    return await ledger.read(work)


async def one(ledger: Ledger, key: str) -> Record | None:
    async def work(view: View) -> Record | None:
        return await view.record(key)  # type: ignore[arg-type]  # a test may ask for any string

    return await ledger.read(work)


@pytest.mark.requirement("P2", "P9")
async def test_a_record_commits_to_its_payload_and_discloses_it_only_when_asked(ledger: Ledger) -> None:
    (made,) = await append(ledger, samples.entry())
    found = await one(ledger, made.id)

    assert found is not None
    assert (found.leaf, found.index, found.time) == (made.leaf, 0, T0)
    assert found.disclosed == made.disclosed
    committed = json.loads(found.leaf)["commit"]
    for name, (salt, value) in found.disclosed.items():
        assert committed[name] == commitment_of(name, salt, value)
    assert samples.SECRET.encode() not in found.leaf


@pytest.mark.requirement("P9", "P8")
async def test_what_a_record_commits_to_is_forgotten_and_the_record_stays(ledger: Ledger) -> None:
    first, second = await append(ledger, samples.entry(), samples.entry())

    async def work(tx: Tx) -> None:
        for key in (first.id, first.id, RecordId("rec_none")):
            await tx.erase(key)

    await ledger.transact(work)
    erased, whole = await one(ledger, first.id), await one(ledger, second.id)
    assert erased is not None
    assert whole is not None
    assert (erased.leaf, erased.index, erased.time, erased.disclosed) == (first.leaf, 0, first.time, {})
    assert whole.disclosed == second.disclosed

    async def damaged(view: View) -> list[str]:
        return list(await view.damaged(10))

    assert await ledger.read(damaged) == []


async def test_an_erasure_that_is_not_committed_forgets_nothing(ledger: Ledger) -> None:
    (made,) = await append(ledger, samples.entry())

    async def work(tx: Tx) -> None:
        await tx.erase(made.id)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await ledger.transact(work)
    found = await one(ledger, made.id)
    assert found is not None
    assert found.disclosed == made.disclosed


async def test_a_list_of_records_holds_no_payload(ledger: Ledger) -> None:
    await append(ledger, samples.entry())

    async def work(view: View) -> list[Record]:
        return list((await view.records(RecordFilter(), limit=1)).records)

    assert [record.disclosed for record in await ledger.read(work)] == [{}]


async def test_every_payload_field_has_its_own_salt(ledger: Ledger) -> None:
    made = await append(ledger, samples.entry(), samples.entry())
    salts = [salt for record in made for salt, _ in record.disclosed.values()]
    assert len(set(salts)) == len(salts) == 4


async def test_the_bytes_of_a_payload_come_back_as_they_were(ledger: Ledger) -> None:
    entry = samples.entry(payload={"none": b"", "text": '"ü\u2028"'.encode(), "any": bytes(range(256))})
    (made,) = await append(ledger, entry)
    found = await one(ledger, made.id)

    assert found is not None
    assert {name: value for name, (_, value) in found.disclosed.items()} == dict(entry.payload)


async def test_indexes_have_no_gap_across_and_within_transactions(ledger: Ledger) -> None:
    await append(ledger, samples.entry(), samples.entry())
    await append(ledger)
    await append(ledger, samples.entry())

    assert await listed(ledger) == [2, 1, 0]


async def test_a_record_that_is_not_there_is_none(ledger: Ledger) -> None:
    assert await one(ledger, "rec_unknown") is None


ENTRIES = (
    samples.entry(),
    samples.entry(agent="other", decision="deny"),
    samples.entry(RecordKind.APPROVAL_VOTED, agent=None, operator="gus", approval="apr_1", decision=None),
    samples.entry(RecordKind.BREAKER_TRIPPED, agent=None, operator="dana", tool=None, action=None, decision=None),
    samples.entry(tool="db.read", action="act_2"),
)


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        ({}, [4, 3, 2, 1, 0]),
        ({"agent": "deployer"}, [4, 0]),
        ({"operator": "gus"}, [2]),
        ({"tool": "k8s.scale"}, [2, 1, 0]),
        ({"kind": "breaker.tripped"}, [3]),
        ({"decision": "deny"}, [1]),
        ({"action": "act_1"}, [2, 1, 0]),
        ({"action": "act_1", "agent": "deployer"}, [0]),
        ({"approval": "apr_1"}, [2]),
        ({"before": 2}, [1, 0]),
        ({"before": 2, "agent": "other"}, [1]),
        ({"agent": "' OR 1 --"}, []),
        ({"oldest_first": True}, [0, 1, 2, 3, 4]),
        ({"oldest_first": True, "action": "act_1", "first": 1}, [1, 2]),
        ({"oldest_first": True, "tool": "k8s.scale", "before": 2}, [0, 1]),
        ({"first": 3}, [4, 3]),
        ({"first": 9}, []),
        ({"first": 3, "before": 2}, []),
    ],
    ids=str,
)
async def test_records_are_found_by_what_they_name(
    ledger: Ledger, which: dict[str, object], expected: list[int]
) -> None:
    await append(ledger, *ENTRIES)
    assert await listed(ledger, 100, **which) == expected


async def test_records_are_found_by_time_from_since_on_and_before_until(ledger: Ledger, clock: Clock) -> None:
    for _ in range(6):
        await append(ledger, samples.entry())
        clock.step(seconds=10)

    assert await listed(ledger, since=T0 + timedelta(seconds=20)) == [5, 4, 3, 2]
    assert await listed(ledger, since=T0 + timedelta(seconds=21)) == [5, 4, 3]
    assert await listed(ledger, until=T0 + timedelta(seconds=20)) == [1, 0]
    assert await listed(ledger, since=T0 + timedelta(seconds=10), until=T0 + timedelta(seconds=30)) == [2, 1]
    assert await listed(ledger, since=T0 + timedelta(days=1)) == []
    assert await listed(ledger, until=T0 - timedelta(days=1)) == []


async def test_a_page_goes_on_where_the_last_one_ended(ledger: Ledger) -> None:
    await append(ledger, *(samples.entry() for _ in range(7)))

    assert await listed(ledger, 3) == [6, 5, 4]
    assert await listed(ledger, 3, before=4) == [3, 2, 1]
    assert await listed(ledger, 3, before=1) == [0]


async def walked(ledger: Ledger, limit: int, **which: object) -> tuple[list[int | None], int]:
    """Return everything that looking on and on finds, and how many looks that took."""
    seen: list[int | None] = []
    asked, looks = RecordFilter(**which), 0  # type: ignore[arg-type]  # names come from tests
    while True:
        wanted = asked

        async def work(view: View) -> FoundRecords:
            return await view.records(wanted, limit=limit)  # noqa: B023  # answered before the next turn

        found = await ledger.read(work)
        seen, looks = [*seen, *(record.index for record in found.records)], looks + 1
        if found.rest is None:
            return seen, looks
        asked = asked.going_on(found.rest)


@pytest.mark.parametrize("oldest_first", [True, False])
@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_looking_on_finds_everything_once_and_in_order(ledger: Ledger, limit: int, *, oldest_first: bool) -> None:
    tools = ["a", "b", "a", "a", "b", "a", "c"]
    await append(ledger, *(samples.entry(tool=tool) for tool in tools))
    for tool in ("a", "b", "c", "none"):
        expected = [n for n, name in enumerate(tools) if name == tool]
        found, _ = await walked(ledger, limit, tool=tool, oldest_first=oldest_first)
        assert found == (expected if oldest_first else expected[::-1])
    assert (await walked(ledger, 7, oldest_first=oldest_first))[1] == 1, "the end is known without another look"
    assert (await walked(ledger, 4, tool="a", oldest_first=oldest_first))[1] <= 2


@pytest.mark.requirement("T14")
async def test_what_no_index_knows_is_looked_for_in_bounded_steps(ledger: Ledger) -> None:
    for _ in range(45):
        await append(ledger, *(samples.entry(tool="common", payload={}) for _ in range(1_000)))
    await append(ledger, samples.entry(tool="rare", kind=RecordKind.KEY_ISSUED))
    for order in (True, False):
        assert await walked(ledger, 10, tool="rare", oldest_first=order) == ([45_000], 3)
        assert await walked(ledger, 10, tool="none", oldest_first=order) == ([], 3)
        assert await walked(ledger, 10, kind="key.issued", oldest_first=order) == ([45_000], 1)
        assert await walked(ledger, 10, tool="none", before=20_000, oldest_first=order) == ([], 1)
        assert await walked(ledger, 10, tool="none", first=25_001, oldest_first=order) == ([], 1)


async def test_how_far_the_log_is_signed_is_told(ledger: Ledger, clock: Clock) -> None:
    async def work(view: View) -> LogState:
        return await view.log_state()

    assert await ledger.read(work) == LogState(records=0, signed=0, signed_at=None, unsigned_since=None)
    clock.step(seconds=5)
    await append(ledger, samples.entry(), samples.entry())
    since = T0 + timedelta(seconds=5)
    assert await ledger.read(work) == LogState(records=2, signed=0, signed_at=None, unsigned_since=since)
