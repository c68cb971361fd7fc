"""A finger opens a session: what it takes, what it is worth, what ends it, and everything that opens none."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from assent.core.credentials import SESSION_MAX_AGE, SignedInBy, ends_at
from assent.core.errors import IllegalMove, Unauthenticated
from assent.core.operators import Assurance
from assent.core.passkeys import Challenge, bytes_of, decoded, encoded
from assent.flows import authenticate
from assent.flows.add_passkey import Step, ask_to_add, revoke_of
from assent.flows.authenticate import SessionCaller, confirm_operator, was_revoked
from assent.flows.sign_in import sign_out
from assent.flows.sign_in_with_passkey import ask_to_sign_in, sign_in_with_passkey
from tests.authenticator import PRESENT, Authenticator
from tests.flows.passkey_town import (
    Person,
    approval_of,
    details,
    person,
    question_read_by,
    take_passkeys,
    with_passkey,
)
from tests.flows.test_show_whole import at_console
from tests.flows.world import World

pytestmark = pytest.mark.requirement("T17", "T26")


@pytest.fixture
async def eve(world: World) -> Person:
    take_passkeys(world, Assurance.CONSOLE)
    return await with_passkey(world)


async def asked(world: World) -> tuple[Challenge, Mapping[str, Any]]:
    return await ask_to_sign_in(world.broker)


async def opened(world: World, phone: Authenticator) -> SessionCaller:
    """Return whom a finger on this phone signs in."""
    challenge, options = await asked(world)
    issued = await sign_in_with_passkey(world.broker, challenge, phone.sign(options))
    return await authenticate.session(world.broker, issued.token)


async def refused(world: World, challenge: Challenge, text: str, why: str) -> None:
    sessions = await world.kinds()
    with pytest.raises(Unauthenticated, match=why):
        await sign_in_with_passkey(world.broker, challenge, text)
    assert (await world.kinds()).count("session.opened") == sessions.count("session.opened")


async def test_a_finger_opens_a_session_worth_the_console_and_the_record_keeps_what_was_signed(
    world: World, eve: Person
) -> None:
    challenge, options = await asked(world)
    assert (options["allowCredentials"], options["userVerification"]) == ([], "required")
    before = await world.kinds()
    issued = await sign_in_with_passkey(world.broker, challenge, eve.phone.sign(options))
    caller = await authenticate.session(world.broker, issued.token)
    assert (caller.operator.id, caller.assurance, caller.surface) == ("eve", Assurance.CONSOLE, "console")
    assert caller.session.signed_in_by is SignedInBy.PASSKEY
    assert ends_at(caller.session) == world.clock.now + SESSION_MAX_AGE
    # Asking wrote nothing; the answer is one record.
    assert (await world.kinds())[len(before) :] == ["session.opened"]
    detail = (await details(world, "session.opened"))[-1]
    assert (detail["signed_in_by"], detail["using"]) == ("passkey", detail["passkey"]["id"])
    assert detail["passkey"]["signed_for"]["purpose"] == "sign_in"
    assert encoded(bytes_of(detail["passkey"]["signed_for"])) == options["challenge"]
    assert {"client_data", "authenticator_data", "signature"} <= detail["passkey"].keys()


async def test_an_answer_opens_one_session(world: World, eve: Person) -> None:
    challenge, options = await asked(world)
    answer = eve.phone.sign(options)
    await sign_in_with_passkey(world.broker, challenge, answer)
    await refused(world, challenge, answer, "opened a session before")
    await refused(world, challenge, eve.phone.sign(options), "opened a session before")


LIES: dict[str, tuple[dict[str, Any], str]] = {
    "another origin": ({"origin": "http://evil.test"}, "does not hold"),
    "another site": ({"site": "evil.test"}, "does not hold"),
    "a frame": ({"crossOrigin": True}, "no answer of a passkey"),
    "a frame of another": ({"topOrigin": "http://evil.test"}, "no answer of a passkey"),
    "another kind": ({"type": "webauthn.create"}, "does not hold"),
    "not verified": ({"flags": PRESENT}, "does not hold"),
    "another challenge": ({"challenge": encoded(b"x" * 32)}, "does not hold"),
    "no signature of it": ({"signature": b"x" * 70}, "does not hold"),
    "nobody's handle": ({"userHandle": b"x" * 32}, "no such passkey"),
    "no handle": ({"userHandle": b""}, "does not say whose"),
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_signature_of_anything_else_opens_nothing(world: World, eve: Person, lie: str) -> None:
    lies, why = LIES[lie]
    challenge, options = await asked(world)
    before = await world.kinds()
    await refused(world, challenge, eve.phone.sign(options, **lies), why)
    assert await world.kinds() == before


async def test_the_handle_of_another_and_a_key_that_is_not_known_open_nothing(world: World, eve: Person) -> None:
    sam = await with_passkey(world, "sam")
    challenge, options = await asked(world)
    (other,) = sam.phone.handles.values()
    await refused(world, challenge, eve.phone.sign(options, userHandle=other), "no such passkey")
    stranger = Authenticator(name="stranger")
    step = await ask_to_add(world.broker, (await person(world, "owner")).caller)
    assert isinstance(step, Step)
    stranger.make(step.options)
    await refused(world, challenge, stranger.sign(options), "no such passkey")
    # What one signs with another's key is theirs no more than what it says.
    (mine,), (theirs,) = eve.phone.keys, sam.phone.keys
    eve.phone.keys[theirs] = eve.phone.keys[mine]
    eve.phone.handles[theirs] = other
    await refused(world, challenge, eve.phone.sign(options, credential=theirs), "does not hold")


async def test_what_was_asked_of_another_browser_is_answered_there_alone(world: World, eve: Person) -> None:
    (mine, _), (_, theirs) = await asked(world), await asked(world)
    await refused(world, mine, eve.phone.sign(theirs), "does not hold")


async def test_a_sign_in_counts_as_no_vote_and_a_vote_as_no_sign_in(world: World, eve: Person) -> None:
    take_passkeys(world)
    question = await question_read_by(eve)
    challenge, options = await asked(world)
    vote = {**await eve.ask(question), "allowCredentials": []}
    await refused(world, challenge, eve.phone.sign(vote), "does not hold")
    await eve.ask(question)
    resolved = await eve.yes(question, eve.phone.sign(options))
    assert resolved.refused is not None
    assert (await approval_of(world, question)).votes == ()


@pytest.mark.parametrize(("seconds", "opens"), [(119, True), (120, False)])
async def test_it_is_answered_within_two_minutes(world: World, eve: Person, seconds: int, opens: bool) -> None:
    challenge, options = await asked(world)
    world.clock.forward(seconds=seconds)
    if opens:
        await sign_in_with_passkey(world.broker, challenge, eve.phone.sign(options))
    else:
        await refused(world, challenge, eve.phone.sign(options), "after two minutes")


async def test_a_passkey_that_was_taken_away_opens_nothing_and_ends_what_it_opened(world: World, eve: Person) -> None:
    take_passkeys(world, Assurance.CONSOLE)
    there = replace(eve, caller=await opened(world, eve.phone))
    question = await question_read_by(there)
    (held,) = await world.ledger.read(lambda view: view.passkeys("eve", limit=9))
    assert there.caller.using == held.id
    await revoke_of(world.broker, await at_console(world, "admin"), "eve", held.id)
    with pytest.raises(Unauthenticated, match="taken away"):
        await there.yes(question, "")
    with pytest.raises(Unauthenticated, match="taken away"):
        await world.ledger.read(lambda view: confirm_operator(view, there.caller))
    challenge, options = await asked(world)
    await refused(world, challenge, eve.phone.sign(options), "this passkey was taken away")
    assert (await details(world, "passkey.refused"))[-1]["act"] == "sign_in"
    await refused(world, challenge, eve.phone.sign(options), "opened a session before")


async def test_a_yes_of_such_a_session_counts_no_more_once_its_passkey_was_taken_away(
    world: World, eve: Person
) -> None:
    there = replace(eve, caller=await opened(world, eve.phone))
    resolved = await there.yes(await question_read_by(there), "")
    (vote,) = resolved.approval.votes
    (held,) = await world.ledger.read(lambda view: view.passkeys("eve", limit=9))
    assert (vote.assurance, vote.using) == (Assurance.CONSOLE, held.id)
    assert not await world.ledger.read(lambda view: was_revoked(view, vote.using))
    await revoke_of(world.broker, await at_console(world, "admin"), "eve", held.id)
    assert await world.ledger.read(lambda view: was_revoked(view, vote.using))


async def test_who_is_declared_no_more_is_not_let_in_and_not_kept(world: World, eve: Person) -> None:
    challenge, options = await asked(world)
    issued = await sign_in_with_passkey(world.broker, challenge, eve.phone.sign(options))
    challenge, options = await asked(world)
    world.policy = replace(world.policy, people=tuple(one for one in world.policy.people if one.id != "eve"))
    with pytest.raises(Unauthenticated, match="does not name"):
        await authenticate.session(world.broker, issued.token)
    await refused(world, challenge, eve.phone.sign(options), "does not name")


async def test_a_count_that_goes_back_opens_nothing_and_is_on_record(world: World, eve: Person) -> None:
    challenge, options = await asked(world)
    await refused(world, challenge, eve.phone.sign(options, count=1), "counted back")
    detail = (await details(world, "passkey.refused"))[-1]
    assert (detail["act"], detail["passkey"]["because"]) == ("sign_in", "count_went_back")
    (held,) = await world.ledger.read(lambda view: view.passkeys("eve", limit=9))
    assert held.suspect_at == world.clock.now


async def test_a_session_by_passkey_adds_a_further_one_only_with_its_signature(world: World, eve: Person) -> None:
    there = replace(eve, caller=await opened(world, eve.phone))
    step = await ask_to_add(world.broker, there.caller)
    assert isinstance(step, Step)
    assert not step.makes
    assert (await there.add("key")).vouched_by == there.caller.session.rests_on


async def test_such_a_session_is_signed_out_of(world: World, eve: Person) -> None:
    caller = await opened(world, eve.phone)
    await sign_out(world.broker, caller)
    with pytest.raises(Unauthenticated):
        await world.ledger.read(lambda view: confirm_operator(view, caller))


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "\ud800", "x" * 60_000, '{"type":"public-key"}'])
async def test_what_is_no_answer_opens_nothing(world: World, eve: Person, text: str) -> None:
    assert eve.phone.handles
    challenge, _ = await asked(world)
    await refused(world, challenge, text, "no answer of a passkey")


async def test_a_broker_that_takes_no_passkeys_says_so(world: World) -> None:
    with pytest.raises(IllegalMove, match="takes no passkeys"):
        await asked(world)


async def test_a_new_passkey_is_asked_to_keep_whose_it_is(world: World) -> None:
    take_passkeys(world)
    step = await (await person(world)).begin()
    options: Any = step.options
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert len(decoded(options["user"]["id"]) or b"") <= 64
