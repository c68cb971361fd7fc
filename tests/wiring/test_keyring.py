"""Keys that are rotated under a broker: what was signed before is good as long as it was meant to be, and no longer."""

import json
import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from assent.core.actions import ActionState
from assent.core.canonical import Json
from assent.core.errors import KeysInvalid, LedgerUnavailable
from assent.core.grants import GrantState
from assent.core.handovers import KeyUse, open_handover
from assent.core.looking import RecordFilter
from assent.core.records import RecordKind
from assent.ports import Tx, View
from assent.stores.key_places import KeyPlaces
from assent.stores.keys import Keys, verifier
from assent.stores.ledger_tree import LedgerTree
from assent.stores.rotation import rotate
from assent.stores.sqlite import SqliteLedger
from assent.stores.tree import Integrator
from assent.stores.verify import Verified, verify_file
from assent.wiring.keyring import KeyRing
from assent.wiring.published import PublishedLog
from tests.contracts import samples
from tests.contracts.samples import T0, Clock, Ids
from tests.stores.files import outside

pytestmark = pytest.mark.requirement("P8")

ORIGIN = "assent/x"
IDS = Ids()
CLAIMS: Mapping[str, Json] = {"jti": "grt_1"}
MONTH = timedelta(days=30)


@dataclass
class House:
    """Keys and a ledger in a folder; `start` is a broker that begins to serve, `stop` one that ends."""

    folder: Path
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        Keys.create(self.keys)

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    @property
    def path(self) -> Path:
        return self.folder / "ledger.db"

    async def start(self) -> KeyRing:
        keys = Keys.load(self.keys)
        self.ledger = SqliteLedger.open(self.path, keys.ledger_keys(), clock=self.clock, new_id=IDS)
        tree = LedgerTree(self.ledger)
        integrator = Integrator(tree, key=keys.log_verifier_key(ORIGIN), sign=keys.sign_log)
        self.log = PublishedLog(self.ledger, tree, integrator)
        await self.log.open()
        ring = KeyRing(
            keys, self.ledger, tree, integrator, places=KeyPlaces(self.keys), origin=ORIGIN, clock=self.clock
        )
        try:
            await ring.open()
        except BaseException:
            await self.stop()
            raise
        return ring

    async def stop(self) -> None:
        await self.ledger.close()

    def rotate(self, use: KeyUse, overlap: timedelta = MONTH) -> None:
        rotate(self.keys, use, origin=ORIGIN, overlap=overlap, by_hand={"os_user": "dana", "host": "here"})

    async def happen(self, count: int = 3) -> None:
        async def work(tx: Tx) -> None:
            for _ in range(count):
                await tx.append(samples.entry())

        await self.ledger.transact(work)

    async def signed(self, count: int = 3) -> bytes:
        """Let something happen, sign it, and return the newest checkpoint."""
        await self.happen(count)
        while await self.log.integrate():
            pass
        note = self.log.newest_checkpoint()
        assert note is not None
        return note

    async def rotations(self) -> list[dict[str, Any]]:
        """Return what the records of rotations tell, oldest first."""

        async def work(view: View) -> list[dict[str, Any]]:
            found = await view.records(RecordFilter(kind=RecordKind.BROKER_KEY_ROTATED), limit=100)
            return [json.loads(record.leaf)["detail"] for record in reversed(found.records)]

        return await self.ledger.read(work)

    def verified(self, *kept: bytes, with_key: Keys) -> Verified:
        return verify_file(self.path, key=with_key.log_verifier_key(ORIGIN), kept=kept, keys=with_key.ledger_keys())


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    yield made
    if hasattr(made, "ledger"):
        await made.stop()


async def grant_until(house: House, name: str, expires_at: datetime, state: ActionState) -> None:
    spent = state is ActionState.EXECUTING
    pick_up = None if spent else expires_at
    action = samples.action(name, state=state, pick_up_until=pick_up, lease_expires_at=T0 + MONTH if spent else None)
    grant = samples.grant(
        f"grant of {name}", action=name, expires_at=expires_at, state=GrantState.SPENT if spent else GrantState.ISSUED
    )

    async def work(tx: Tx) -> None:
        await tx.add(action)
        await tx.add(grant)

    await house.ledger.transact(work)


async def test_a_rotated_log_key_is_taken_up_while_serving_and_every_old_checkpoint_still_verifies(
    house: House,
) -> None:
    before = Keys.load(house.keys)
    ring = await house.start()
    old = await house.signed()
    house.rotate(KeyUse.LOG)
    await ring.look()
    new = await house.signed()
    after = Keys.load(house.keys)
    for keys in (before, after):
        found = house.verified(old, new, with_key=keys)
        assert found.signed == found.records
        assert found.chain.newest == after.log_verifier_key(ORIGIN) == ring.chain.newest
    (rotation,) = await house.rotations()
    assert open_handover(rotation.pop("note").encode(), verifier).new == ring.chain.newest
    assert rotation == {
        "key": "log",
        "until": "2026-03-31T12:00:00.123456Z",
        "by_hand": {"os_user": "dana", "host": "here"},
    }


async def test_the_old_log_key_signs_along_until_its_time_is_over_and_not_longer(house: House) -> None:
    ring = await house.start()
    assert signers(await house.signed()) == 1
    house.rotate(KeyUse.LOG)
    await ring.look()
    assert signers(await house.signed()) == 2
    house.clock.now = T0 + MONTH - timedelta(seconds=1)
    await ring.look()
    assert signers(await house.signed()) == 2
    house.clock.now = T0 + MONTH
    await ring.look()
    assert signers(await house.signed()) == 1
    await house.stop()
    await house.start()
    assert signers(await house.signed()) == 1


def signers(note: bytes) -> int:
    return note.count(b"\n\xe2\x80\x94 ")


async def test_a_key_that_was_stolen_signs_nothing_more_from_the_moment_it_is_rotated(house: House) -> None:
    ring = await house.start()
    token = ring.sign_grant(CLAIMS)
    await house.signed()
    house.rotate(KeyUse.LOG, timedelta())
    house.rotate(KeyUse.GRANT, timedelta())
    await ring.look()
    assert signers(await house.signed()) == 1
    assert ring.open_grant(token) is None
    assert len(kids(ring)) == 1


def kids(ring: KeyRing) -> list[str]:
    keys = ring.key_set()["keys"]
    assert isinstance(keys, list)
    return [str(key["kid"]) for key in keys if isinstance(key, dict)]


@pytest.mark.requirement("P4")
@pytest.mark.parametrize("state", [ActionState.READY, ActionState.EXECUTING])
async def test_a_token_of_the_old_key_is_good_until_the_last_grant_it_signed_has_expired(
    house: House, state: ActionState
) -> None:
    ring = await house.start()
    await grant_until(house, "first", T0 + timedelta(minutes=5), state)
    await grant_until(house, "last", T0 + timedelta(minutes=40), state)
    token, kid = ring.sign_grant(CLAIMS), kids(ring)[0]
    house.rotate(KeyUse.GRANT)
    await ring.look()
    assert ring.open_grant(token) == CLAIMS
    assert ring.open_grant(ring.sign_grant(CLAIMS)) == CLAIMS
    assert kids(ring)[1:] == [kid]
    await house.stop()
    ring = await house.start()
    house.clock.now = T0 + timedelta(minutes=40, seconds=-1)
    assert (ring.open_grant(token), len(kids(ring))) == (CLAIMS, 2)
    house.clock.now = T0 + timedelta(minutes=40)
    assert (ring.open_grant(token), kid in kids(ring), len(kids(ring))) == (None, False, 1)


async def test_when_no_grant_is_out_the_old_key_is_worth_nothing_at_once(house: House) -> None:
    ring = await house.start()
    token = ring.sign_grant(CLAIMS)
    house.rotate(KeyUse.GRANT)
    await ring.look()
    assert (ring.open_grant(token), len(kids(ring))) == (None, 1)


async def test_what_is_rotated_while_nobody_serves_is_recorded_before_anything_is_signed(house: House) -> None:
    before = Keys.load(house.keys)
    await house.start()
    old = await house.signed()
    await house.stop()
    for use in (KeyUse.LOG, KeyUse.GRANT, KeyUse.LOG):
        house.rotate(use)
    await house.start()
    assert [rotation["key"] for rotation in await house.rotations()] == ["log", "log", "grant"]
    new = await house.signed()
    assert house.verified(old, new, with_key=before).chain.since == (3, 4)
    await house.stop()
    await house.start()
    assert len(await house.rotations()) == 3, "what is on record is not recorded again"


async def test_a_log_of_which_nothing_is_signed_yet_begins_with_its_first_key(house: House) -> None:
    before = Keys.load(house.keys)
    house.rotate(KeyUse.LOG)
    await house.start()
    await house.signed()
    assert len(house.verified(with_key=before).chain.keys) == 2


async def test_many_records_that_nobody_had_signed_before_the_rotation_do_no_harm(house: House) -> None:
    before = Keys.load(house.keys)
    await house.start()
    old = await house.signed()
    await house.happen(2_500)
    await house.stop()
    house.rotate(KeyUse.LOG)
    await house.start()
    await house.signed()
    for keys in (before, Keys.load(house.keys)):
        assert house.verified(old, with_key=keys).signed > 2_500


@pytest.mark.requirement("T20")
async def test_a_ledger_put_back_from_before_a_rotation_is_handed_over_again(house: House, tmp_path: Path) -> None:
    before = Keys.load(house.keys)
    await house.start()
    old = await house.signed()
    await house.stop()
    shutil.copy(house.path, tmp_path / "backup.db")
    for _ in range(2):
        house.rotate(KeyUse.LOG)
        await house.start()
        await house.signed()
        await house.stop()
    shutil.copy(tmp_path / "backup.db", house.path)
    await house.start()
    new = await house.signed()
    assert len(house.verified(old, new, with_key=before).chain.keys) == 3


@pytest.mark.parametrize("use", KeyUse)
async def test_an_old_key_that_is_put_back_stops_the_start(house: House, tmp_path: Path, use: KeyUse) -> None:
    shutil.copytree(house.keys, tmp_path / "older")
    await house.start()
    await house.signed()
    await house.stop()
    house.rotate(use)
    await house.start()
    await house.signed()
    await house.stop()
    shutil.rmtree(house.keys)
    shutil.copytree(tmp_path / "older", house.keys)
    with pytest.raises(KeysInvalid, match="handed over") as refused:
        await house.start()
    assert "put back the newest key" in str(refused.value.hint)


async def test_a_log_key_that_nobody_handed_over_to_stops_the_start(house: House, tmp_path: Path) -> None:
    await house.start()
    await house.signed()
    await house.stop()
    Keys.create(tmp_path / "others")
    shutil.copy(tmp_path / "others" / "log_key.pem", house.keys / "log_key.pem")
    with pytest.raises(KeysInvalid, match="not the key that this log is signed with"):
        await house.start()


@pytest.mark.parametrize("name", ["ledger_key", "payload_key"])
async def test_the_ledgers_own_keys_are_not_exchanged_under_a_broker(house: House, name: str) -> None:
    ring = await house.start()
    token = ring.sign_grant(CLAIMS)
    (house.keys / name).write_text("0f" * 32 + "\n")
    with pytest.raises(KeysInvalid, match="exchanged under the broker"):
        await ring.look()
    assert ring.open_grant(token) == CLAIMS
    await house.signed()


async def test_a_key_that_others_can_read_is_not_taken_up_and_the_old_ones_go_on(house: House) -> None:
    ring = await house.start()
    before = ring.chain.newest
    house.rotate(KeyUse.LOG)
    (house.keys / "log_key.pem").chmod(0o644)
    with pytest.raises(KeysInvalid, match="others can read"):
        await ring.look()
    assert ring.chain.newest == before
    await house.signed()
    (house.keys / "log_key.pem").chmod(0o600)
    (house.keys / "log_key.pem").touch()
    await ring.look()
    assert ring.chain.newest != before


@pytest.mark.requirement("P2", "T5")
async def test_a_handover_that_could_not_be_recorded_is_recorded_later_and_all_that_was_signed_meanwhile_verifies(
    house: House,
) -> None:
    before = Keys.load(house.keys)
    ring = await house.start()
    token = ring.sign_grant(CLAIMS)
    await house.signed()
    await grant_until(house, "out", T0 + MONTH, ActionState.READY)
    house.rotate(KeyUse.LOG)
    house.rotate(KeyUse.GRANT)
    with outside(house.path) as database:
        database.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnavailable):
            await ring.look()
        assert ring.open_grant(token) == CLAIMS, "the old key goes on until the new one is on record"
    between = await house.signed()
    assert await house.rotations() == []
    await ring.look()
    assert len(await house.rotations()) == 2
    new = await house.signed()
    for keys in (before, Keys.load(house.keys)):
        assert house.verified(between, new, with_key=keys).chain.newest == ring.chain.newest


async def test_nothing_is_looked_up_while_nothing_was_exchanged(house: House) -> None:
    ring = await house.start()
    await house.stop()
    assert await ring.look() > 0


@dataclass
class Beside:
    """A broker on the same ledger with a folder of keys of its own, as it was when it was copied."""

    house: House
    keys: Path

    def __post_init__(self) -> None:
        shutil.copytree(self.house.keys, self.keys)

    async def start(self) -> KeyRing:
        house, keys = self.house, Keys.load(self.keys)
        tree = LedgerTree(house.ledger)
        self.integrator = Integrator(tree, key=keys.log_verifier_key(ORIGIN), sign=keys.sign_log)
        ring = KeyRing(
            keys,
            house.ledger,
            tree,
            self.integrator,
            places=KeyPlaces(self.keys),
            origin=ORIGIN,
            clock=house.clock,
            beside_others=True,
        )
        await ring.open()
        return ring


async def test_a_grant_of_a_new_key_is_good_at_a_broker_that_was_not_given_it_yet(house: House, tmp_path: Path) -> None:
    first, beside = await house.start(), Beside(house, tmp_path / "beside")
    second = await beside.start()
    house.rotate(KeyUse.GRANT)
    await first.look()
    token = first.sign_grant(CLAIMS)
    assert second.open_grant(token) is None
    await second.look()
    assert second.open_grant(token) == CLAIMS
    assert {key["x"] for key in first.key_set()["keys"]} <= {key["x"] for key in second.key_set()["keys"]}  # type: ignore[index,union-attr,call-overload]  # JSON
    # Who replaces the key once more ends the one before, here too.
    house.rotate(KeyUse.GRANT, overlap=timedelta(0))
    await first.look()
    await second.look()
    assert (second.open_grant(token), second.open_grant(first.sign_grant(CLAIMS))) == (None, CLAIMS)
    # Given the files, it signs with the new key itself.
    shutil.rmtree(beside.keys)
    shutil.copytree(house.keys, beside.keys)
    await second.look()
    assert first.open_grant(second.sign_grant(CLAIMS)) == CLAIMS
    await house.stop()


async def test_who_was_not_given_the_new_key_of_the_log_signs_nothing_from_the_handover_on(
    house: House, tmp_path: Path
) -> None:
    first, beside = await house.start(), Beside(house, tmp_path / "beside")
    await beside.start()
    old = Keys.load(house.keys)
    await house.happen()
    assert await beside.integrator.integrate_once() is not None
    house.rotate(KeyUse.LOG)
    await first.look()
    await house.happen()
    # The record of the handover is not signed yet: what would be signed holds it.
    with pytest.raises(KeysInvalid, match="handed over to the key"):
        await beside.integrator.integrate_once()
    await house.signed()
    # And once it is, nobody without the key can go on from there.
    await house.happen()
    with pytest.raises(KeysInvalid, match="signed with a key which is not here"):
        await beside.integrator.integrate_once()
    await house.signed()
    keys = (old, Keys.load(house.keys))
    counts = [(found.records, found.signed) for found in (house.verified(with_key=key) for key in keys)]
    assert counts[0] == counts[1]
    await house.stop()
