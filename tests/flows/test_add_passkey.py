"""Passkeys are added and taken away: what vouches for each, and that a stolen session brings none of its own."""

from dataclasses import replace
from typing import Any, cast

import pytest

from assent.core.credentials import Kind
from assent.core.errors import BadRequest, Forbidden, IllegalMove, NotFound
from assent.core.passkeys import MAX_LIVE_PER_OPERATOR, Passkey, PasskeyId
from assent.core.reasons import Reason
from assent.flows.add_passkey import (
    Step,
    add_passkey,
    ask_to_add,
    ask_to_revoke,
    passkeys_held,
    revoke_by_hand,
    revoke_of,
    revoke_own,
    vouch,
)
from tests.authenticator import PRESENT, SYNCED, VERIFIED, Authenticator
from tests.flows.passkey_town import Person, details, person, take_passkeys, with_passkey
from tests.flows.test_show_whole import at_console
from tests.flows.world import World


@pytest.fixture
async def eve(world: World) -> Person:
    take_passkeys(world)
    return await person(world)


async def held(world: World, name: str = "eve") -> list[str]:
    operator = world.policy.operator(name)
    assert operator is not None
    return [one.name for one in await passkeys_held(world.broker, operator.id)]


async def refused(world: World) -> tuple[str, str]:
    """Return what the record of the last answer that did not count says: to what, and why."""
    detail = (await details(world, "passkey.refused"))[-1]
    return detail["act"], detail["passkey"]["because"]


@pytest.mark.requirement("T22", "T26")
async def test_the_first_is_vouched_for_by_how_its_holder_signed_in(world: World, eve: Person) -> None:
    step = await eve.begin()
    options = cast("Any", step.options)
    assert step.makes
    assert options["rp"] == {"id": "console.test", "name": "Assent"}
    assert options["authenticatorSelection"]["userVerification"] == "required"
    added = await eve.add("work phone")
    assert await held(world) == ["work phone"]
    (detail,) = await details(world, "passkey.added")
    assert (detail["id"], detail["for"], detail["vouched_by"]) == (added.id, "eve", "link")
    assert (detail["using"], detail["surface"], detail["synced"]) == (eve.caller.session.id, "console", False)
    (record,) = await world.records(kind="passkey.added")
    assert b"work phone" not in record.leaf


@pytest.mark.requirement("T22", "T26")
async def test_a_session_that_a_token_opened_adds_none(world: World, eve: Person) -> None:
    by_token = await at_console(world, kind=Kind.OPERATOR)
    for act in (
        ask_to_add(world.broker, by_token),
        vouch(world.broker, by_token, ""),
        add_passkey(world.broker, by_token, "", name=""),
    ):
        with pytest.raises(Forbidden, match="not sure enough to add a passkey"):
            await act


@pytest.mark.requirement("T17", "T22", "T26")
async def test_a_further_one_is_signed_for_by_one_that_is_there(world: World, eve: Person) -> None:
    first = await eve.add("phone")
    second = await eve.add("key")
    assert await held(world) == ["key", "phone"]
    assert (first.vouched_by, second.vouched_by, first.handle) == ("link", first.id, second.handle)
    (vouched,) = await details(world, "passkey.vouched")
    assert (vouched["passkey"]["id"], vouched["passkey"]["signed_for"]["purpose"]) == (first.id, "vouch")
    assert {"client_data", "authenticator_data", "signature"} <= vouched["passkey"].keys()


@pytest.mark.requirement("T17", "T22", "T26")
async def test_a_stolen_session_adds_none_of_its_own(world: World, eve: Person) -> None:
    await eve.add()
    thief = Authenticator(name="thief")
    step = await eve.begin()
    assert not step.makes
    # (1) making one without asking, with the challenge that is there
    made = await add_passkey(world.broker, eve.caller, thief.make({"challenge": step.options["challenge"]}), name="")
    assert isinstance(made, Reason)
    assert await refused(world) == ("add", "unproven")
    # (2) signing with a key of its own, under the name of the one that is there
    mine = next(iter(eve.phone.keys))
    thief.make(step.options)
    thief.keys[mine] = next(iter(thief.keys.values()))
    assert isinstance(await vouch(world.broker, eve.caller, thief.sign(step.options, credential=mine)), Reason)
    assert await refused(world) == ("vouch", "unproven")
    # (3) taking away the one that is there first
    (there,) = await passkeys_held(world.broker, eve.caller.operator.id)
    options = await ask_to_revoke(world.broker, eve.caller, there.id)
    assert not isinstance(options, Reason)
    answer = thief.sign(options, credential=mine)
    assert isinstance(await revoke_own(world.broker, eve.caller, there.id, answer), Reason)
    assert await refused(world) == ("revoke", "unproven")
    assert await held(world) == ["phone"]


@pytest.mark.requirement("T26")
async def test_of_two_pages_that_began_with_none_one_adds_the_first(world: World, eve: Person) -> None:
    other = await person(world)
    here, there = await eve.begin(), await other.begin()
    assert here.makes
    assert there.makes
    added = await add_passkey(world.broker, eve.caller, eve.phone.make(here.options), name="first")
    assert isinstance(added, Passkey)
    late = await add_passkey(world.broker, other.caller, other.phone.make(there.options), name="second")
    assert isinstance(late, Reason)
    assert await refused(world) == ("add", "not_vouched")
    assert await held(world) == ["first"]


@pytest.mark.requirement("T26")
@pytest.mark.parametrize("there", [1, 2])
async def test_what_signed_for_a_new_one_is_taken_away_before_it_is_made(world: World, eve: Person, there: int) -> None:
    for name in ("old", "new")[:there]:
        await eve.add(name)
    made = await vouch(world.broker, eve.caller, eve.phone.sign((await eve.begin()).options))
    assert isinstance(made, Step)
    (vouched,) = (await details(world, "passkey.vouched"))[-1:]
    await revoke_of(world.broker, await at_console(world, "admin"), "eve", vouched["passkey"]["id"])
    late = await add_passkey(world.broker, eve.caller, eve.phone.make(made.options), name="")
    assert isinstance(late, Reason)
    assert await refused(world) == ("add", "not_vouched")


LIES: dict[str, dict[str, Any]] = {
    "another origin": {"origin": "http://evil.test"},
    "another site": {"site": "evil.test"},
    "nobody verified": {"flags": PRESENT},
    "signed, not made": {"type": "webauthn.get"},
    "another challenge": {"challenge": "AAAA"},
}


@pytest.mark.requirement("T17", "T26")
@pytest.mark.parametrize("lies", LIES.values(), ids=LIES.keys())
async def test_what_was_made_elsewhere_or_by_nobody_is_not_added(
    world: World, eve: Person, lies: dict[str, Any]
) -> None:
    step = await eve.begin()
    made = await add_passkey(world.broker, eve.caller, eve.phone.make(step.options, **lies), name="")
    assert isinstance(made, Reason)
    assert await refused(world) == ("add", "unproven")
    assert await held(world) == []


@pytest.mark.requirement("T17", "T26")
async def test_a_new_one_is_made_once_in_time_and_in_the_session_that_began(world: World, eve: Person) -> None:
    step, other = await eve.begin(), await person(world)
    answer = eve.phone.make(step.options)
    assert isinstance(await add_passkey(world.broker, other.caller, answer, name=""), Reason)
    assert await refused(world) == ("add", "never_asked")
    world.clock.forward(minutes=2)
    assert isinstance(await add_passkey(world.broker, eve.caller, answer, name=""), Reason)
    assert await refused(world) == ("add", "too_late")
    assert isinstance(await add_passkey(world.broker, eve.caller, answer, name=""), Reason)
    assert await refused(world) == ("add", "answered_before")
    assert isinstance(await add_passkey(world.broker, eve.caller, "garbage", name=""), Reason)
    assert await refused(world) == ("add", "malformed")


async def test_one_that_is_somebodys_already_is_nobody_elses(world: World, eve: Person) -> None:
    await eve.add()
    sam = await person(world, "sam")
    sam.phone.name = eve.phone.name
    with pytest.raises(IllegalMove, match="added before"):
        await sam.add()
    assert await held(world, "sam") == []


async def test_nobody_has_more_than_ten_and_a_name_is_short(world: World, eve: Person) -> None:
    with pytest.raises(BadRequest, match="60 characters"):
        await add_passkey(world.broker, eve.caller, "", name="x" * 61)
    for _ in range(MAX_LIVE_PER_OPERATOR):
        await eve.add()
    with pytest.raises(IllegalMove, match="as many as anybody may have"):
        await eve.begin()


async def test_one_that_may_be_copied_says_so(world: World, eve: Person) -> None:
    eve.phone.flags = PRESENT | VERIFIED | SYNCED
    assert (await eve.add()).synced


@pytest.mark.requirement("T26")
async def test_its_holder_takes_one_away_with_one_of_theirs(world: World, eve: Person) -> None:
    first, second = await eve.add("first"), await eve.add("second")
    options = await ask_to_revoke(world.broker, eve.caller, first.id)
    assert not isinstance(options, Reason)
    # What was signed for taking one away takes no other one away.
    answer = eve.phone.sign(options)
    assert isinstance(await revoke_own(world.broker, eve.caller, second.id, answer), Reason)
    assert await refused(world) == ("revoke", "never_asked")
    ended = await revoke_own(world.broker, eve.caller, first.id, answer)
    assert isinstance(ended, Passkey)
    assert await held(world) == ["second"]
    (detail,) = await details(world, "passkey.revoked")
    assert (detail["id"], detail["for"], detail["passkey"]["signed_for"]["about"]) == (first.id, "eve", first.id)
    with pytest.raises(NotFound):
        await ask_to_revoke(world.broker, eve.caller, first.id)


async def test_whoever_lost_all_begins_anew_once_somebody_took_them_away(world: World) -> None:
    take_passkeys(world)
    eve = await with_passkey(world)
    (lost,) = await passkeys_held(world.broker, eve.caller.operator.id)
    ended = await revoke_of(world.broker, await at_console(world, "admin"), "eve", lost.id)
    assert (ended.revoked_by, ended.revoked_at) == ("admin", world.clock.now)
    assert (await eve.begin()).makes
    await eve.add("new phone")
    assert await held(world) == ["new phone"]


@pytest.mark.requirement("T17", "T22")
async def test_somebody_elses_is_taken_away_by_who_manages_operators_and_is_sure(world: World) -> None:
    take_passkeys(world)
    eve, admin = await with_passkey(world), await with_passkey(world, "admin")
    (theirs,) = await passkeys_held(world.broker, eve.caller.operator.id)
    (own,) = await passkeys_held(world.broker, admin.caller.operator.id)
    with pytest.raises(Forbidden, match=r"operators\.manage"):
        await revoke_of(world.broker, await at_console(world, "sam"), "eve", theirs.id)
    with pytest.raises(Forbidden, match="not sure enough"):
        await revoke_of(world.broker, await at_console(world, "admin", Kind.OPERATOR), "eve", theirs.id)
    with pytest.raises(Forbidden, match="not sure enough"):
        await revoke_of(world.broker, await world.operator("admin"), "eve", theirs.id)
    with pytest.raises(Forbidden, match="your own passkey"):
        await revoke_of(world.broker, admin.caller, "admin", own.id)
    with pytest.raises(NotFound):
        await revoke_of(world.broker, admin.caller, "sam", theirs.id)
    with pytest.raises(NotFound):
        await revoke_of(world.broker, admin.caller, "eve", PasskeyId("pky_none"))


async def test_whoever_keeps_the_files_takes_one_away_by_hand(world: World) -> None:
    take_passkeys(world)
    eve = await with_passkey(world)
    (lost,) = await passkeys_held(world.broker, eve.caller.operator.id)
    await revoke_by_hand(world.broker, "eve", lost.id, by="assent --direct", by_hand={"os_user": "root", "host": "h"})
    assert await held(world) == []
    (detail,) = await details(world, "passkey.revoked")
    assert detail["by_hand"] == {"os_user": "root", "host": "h"}


@pytest.mark.requirement("P1")
async def test_where_nothing_checks_passkeys_none_is_added(world: World, eve: Person) -> None:
    world.broker = replace(world.broker, passkeys=None)
    with pytest.raises(IllegalMove, match="takes no passkeys"):
        await ask_to_add(world.broker, eve.caller)
    with pytest.raises(IllegalMove, match="takes no passkeys"):
        await add_passkey(world.broker, eve.caller, "", name="")
