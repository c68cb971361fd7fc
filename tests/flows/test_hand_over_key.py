"""A signing key takes the place of another: on record once, and the old one is good for as long as it must be."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from assent.core.canonical import load
from assent.core.grants import Grant
from assent.core.handovers import Handover, KeyUse, sign_handover
from assent.core.notes import NoteInvalid, VerifierKey
from assent.flows.hand_over_key import HandedOver, hand_over, handed_over
from assent.flows.run_action import redeem_as_agent
from assent.stores.key_files import public_half
from assent.stores.keys import verifier
from tests.flows.world import World

pytestmark = pytest.mark.requirement("P8")

PRIVATE = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in range(3)]
KEYS = [VerifierKey(name="assent/x", public_key=public_half(private)) for private in PRIVATE]
OVERLAP = timedelta(days=7)
BY_HAND = {"os_user": "dana", "host": "here"}
NO_TIME = timedelta(0)


def note(old: int, new: int, use: KeyUse = KeyUse.LOG) -> bytes:
    return sign_handover(Handover(use=use, old=KEYS[old], new=KEYS[new]), old=PRIVATE[old].sign, new=PRIVATE[new].sign)


async def recorded(world: World, raw: bytes, overlap: timedelta = OVERLAP) -> HandedOver:
    """Record the handover; return the newest on record."""
    await hand_over(world.ledger, raw, verifier, overlap=overlap, by_hand=BY_HAND)
    return (await handed_over(world.ledger, verifier))[-1]


async def until(world: World, overlap: timedelta = OVERLAP) -> datetime:
    """Return until when a key for grants is good that is replaced now."""
    return (await recorded(world, note(0, 1, KeyUse.GRANT), overlap)).until


async def test_a_handover_is_on_record_with_the_note_and_who_did_it(world: World) -> None:
    done = await recorded(world, note(0, 1))
    (record,) = await world.records(kind="broker.key_rotated")
    assert (done.index, done.at, done.until) == (record.index, world.clock.now, world.clock.now + OVERLAP)
    assert done.handover == Handover(use=KeyUse.LOG, old=KEYS[0], new=KEYS[1])
    leaf = load(record.leaf)
    assert isinstance(leaf, dict)
    assert isinstance(leaf["detail"], dict)
    assert (leaf["detail"]["note"], leaf["detail"]["by_hand"]) == (note(0, 1).decode(), BY_HAND)


async def test_it_is_recorded_once_however_often_it_is_done(world: World) -> None:
    first = await recorded(world, note(0, 1))
    world.clock.forward(days=1)
    assert await recorded(world, note(0, 1), timedelta(days=99)) == first
    assert len(await world.records(kind="broker.key_rotated")) == 1


async def test_all_of_them_are_told_oldest_first_and_each_use_by_itself(world: World) -> None:
    assert await handed_over(world.ledger, verifier) == []
    for raw in (note(0, 1), note(1, 2), note(0, 1, KeyUse.GRANT)):
        await recorded(world, raw)
    told = [(one.handover.use, one.handover.new) for one in await handed_over(world.ledger, verifier)]
    assert told == [(KeyUse.LOG, KEYS[1]), (KeyUse.LOG, KEYS[2]), (KeyUse.GRANT, KEYS[1])]


@pytest.mark.parametrize("damage", [lambda raw: raw.replace(b"\nlog\n", b"\ngrant\n"), lambda _: b""])
async def test_a_note_that_both_keys_did_not_sign_is_not_recorded(
    world: World, damage: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(NoteInvalid):
        await recorded(world, damage(note(0, 1)))
    assert await world.records(kind="broker.key_rotated") == []


# --- until when what the old key for grants signed is good ----------------------------------------------------------


async def ready(world: World, **after: float) -> Grant:
    world.clock.forward(**after)
    grant = (await world.ask(await world.agent(), "files.read", attempt=None)).grant
    assert grant is not None
    return grant


@pytest.mark.requirement("P4")
async def test_without_a_grant_underway_the_old_key_is_worth_nothing_at_once(world: World) -> None:
    await world.ask(await world.agent())
    assert await until(world) == world.clock.now


@pytest.mark.requirement("P4")
async def test_the_old_key_is_good_until_the_last_grant_of_it_has_expired(world: World) -> None:
    await ready(world)
    last = await ready(world, minutes=1)
    assert await until(world) == last.expires_at > world.clock.now


@pytest.mark.requirement("P4")
async def test_a_grant_that_somebody_spent_and_still_runs_with_counts(world: World) -> None:
    bot, grant = await world.agent(), await ready(world)
    await redeem_as_agent(world.broker, bot, grant.id, attempt="a" * 22, digest=grant.digest, arguments=None)
    assert await until(world) == grant.expires_at


@pytest.mark.requirement("P4")
async def test_what_runs_without_a_grant_keeps_no_key(world: World) -> None:
    assert (await world.ask(await world.agent(), "files.read")).grant is None
    assert await until(world) == world.clock.now


@pytest.mark.requirement("P4")
async def test_without_an_overlap_the_old_key_is_worth_nothing_whatever_is_underway(world: World) -> None:
    await ready(world)
    assert await until(world, NO_TIME) == world.clock.now
