"""A yes signed with a passkey: what it takes, what it is bound to, and everything that is none."""

import hashlib
import json
from base64 import urlsafe_b64decode
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import decode_credential_public_key, decoded_public_key_to_cryptography

from assent.core.approvals import ApprovalState, Need, Route
from assent.core.canonical import canonical, load
from assent.core.credentials import Kind
from assent.core.errors import IllegalMove, Unauthenticated
from assent.core.operators import Assurance
from assent.core.passkey_forms import MAX_ANSWER_BYTES
from assent.core.passkeys import about_vote
from assent.core.reasons import Reason
from assent.flows.add_passkey import revoke_of
from assent.flows.resolve_approval import approve_action, list_mine, show_approval
from assent.flows.sign_for import Signed, Unsigned, check_answer, take
from assent.flows.sign_in import sign_out
from assent.flows.sign_vote import ask_to_vote
from assent.flows.use_of_passkey import PasskeyUse
from assent.ports import Tx, View
from tests.authenticator import PRESENT, VERIFIED
from tests.flows.passkey_town import (
    Person,
    approval_of,
    details,
    person,
    question_read_by,
    take_passkeys,
    with_passkey,
)
from tests.flows.test_show_whole import asked_for, at_console, read, secret_tool
from tests.flows.world import World

OPEN = (ApprovalState.PENDING, ApprovalState.PARTIAL)


@pytest.fixture
async def eve(world: World) -> Person:
    take_passkeys(world)
    return await with_passkey(world)


async def refused(world: World) -> Any:
    """Return what the record of the last yes that did not count says of the passkey."""
    return (await details(world, "approval.vote_refused"))[-1]["passkey"]["because"]


@pytest.mark.requirement("P5", "T26")
async def test_a_yes_that_is_signed_for_this_question_counts_as_step_up(world: World, eve: Person) -> None:
    asked = await question_read_by(eve)
    resolved = await eve.yes(asked, eve.phone.sign(await eve.ask(asked)))
    assert (resolved.refused, resolved.approval.state) == (None, ApprovalState.APPROVED)
    assert [(vote.operator, vote.assurance) for vote in resolved.approval.votes] == [("eve", Assurance.STEP_UP)]
    (detail,) = await details(world, "approval.voted")
    assert (detail["assurance"], detail["surface"]) == ("step_up", "console")


def bytes_of(text: str) -> bytes:
    return urlsafe_b64decode(text + "==")


@pytest.mark.requirement("P5", "P8", "T26")
async def test_whoever_has_the_log_checks_the_signature_for_ever(world: World, eve: Person) -> None:
    asked = await question_read_by(eve)
    await eve.yes(asked, eve.phone.sign(await eve.ask(asked)))

    # From here on the leaves alone, and nothing of the broker's but how a digest and canonical JSON are made.
    leaves = [cast("Any", load(one.leaf)) for one in await world.records()]
    (voted,) = [leaf for leaf in leaves if leaf["kind"] == "approval.voted"]
    signed = voted["detail"]["passkey"]
    (added,) = [leaf for leaf in leaves if leaf["kind"] == "passkey.added" and leaf["detail"]["id"] == signed["id"]]
    facts = canonical(signed["signed_for"])
    challenge = hashlib.sha256(b"assent/passkey/v1\x00" + len(facts).to_bytes(8, "big") + facts).digest()
    client = json.loads(bytes_of(signed["client_data"]))
    assert bytes_of(client["challenge"]) == challenge
    assert (signed["signed_for"]["digest"], signed["signed_for"]["vote"]) == (voted["digest"], "approve")
    assert (signed["signed_for"]["action"], signed["signed_for"]["about"]) == (voted["action"], voted["approval"])
    assert (signed["signed_for"]["operator"], added["detail"]["for"]) == (voted["operator"], voted["operator"])
    assert signed["credential"] == added["detail"]["credential"]
    data = bytes_of(signed["authenticator_data"])
    assert data[32] & (PRESENT | VERIFIED) == PRESENT | VERIFIED
    key: Any = decoded_public_key_to_cryptography(decode_credential_public_key(bytes_of(added["detail"]["public_key"])))
    over = data + hashlib.sha256(bytes_of(signed["client_data"])).digest()
    key.verify(bytes_of(signed["signature"]), over, ECDSA(SHA256()))


@pytest.mark.requirement("P5", "T26")
@pytest.mark.parametrize("kind", [Kind.LINK, Kind.OPERATOR])
async def test_without_a_passkey_the_route_takes_no_yes(world: World, eve: Person, kind: Kind) -> None:
    caller = await at_console(world, kind=kind)
    asked = await asked_for(world)
    await read(world, caller, asked)
    again = replace(eve, caller=caller)
    resolved = await again.yes(asked, "")
    assert resolved.refused is not None
    assert resolved.refused.code == "step_up_required"
    assert "this route accepts `step_up`: at the console, signed with a passkey" in resolved.refused.message
    assert resolved.approval.state is ApprovalState.PENDING


LIES: dict[str, dict[str, Any]] = {
    "another origin": {"origin": "http://evil.test"},
    "a part of our name": {"origin": "http://sub.console.test"},
    "another scheme": {"origin": "https://console.test"},
    "another port": {"origin": "http://console.test:81"},
    "another site": {"site": "evil.test"},
    "nobody verified": {"flags": PRESENT},
    "nobody present": {"flags": VERIFIED},
    "made, not signed": {"type": "webauthn.create"},
    "no kind": {"type": ""},
    "another challenge": {"challenge": "AAAA"},
    "a signature of nothing": {"signature": b"\x30\x00"},
    "data that was cut": {"authenticatorData": b"\x00" * 36},
    "data with more behind it": {"authenticatorData": b"\x00" * 60},
    "extensions that are none": {"authenticatorData": b"\x00" * 32 + b"\x85" + b"\x00" * 4 + b"\xff\x9f\x9f"},
    "a key inside that is none": {"authenticatorData": b"\x00" * 32 + b"\x45" + b"\x00" * 20 + b"\x00\x02ab\x9f\x9f"},
}


@pytest.mark.requirement("P5", "T26", "T17")
@pytest.mark.parametrize("lies", LIES.values(), ids=LIES.keys())
async def test_a_signature_of_anything_else_is_none(world: World, eve: Person, lies: dict[str, Any]) -> None:
    asked = await question_read_by(eve)
    resolved = await eve.yes(asked, eve.phone.sign(await eve.ask(asked), **lies))
    assert resolved.refused is not None
    assert (resolved.refused.code, await refused(world)) == ("step_up_required", "unproven")
    assert (await approval_of(world, asked)).votes == ()


@pytest.mark.requirement("T17", "T26")
@pytest.mark.parametrize("framed", [{"crossOrigin": True}, {"topOrigin": "http://evil.test"}], ids=str)
async def test_what_was_signed_in_a_frame_of_somebody_else_is_none(
    world: World, eve: Person, framed: dict[str, Any]
) -> None:
    asked = await question_read_by(eve)
    await eve.yes(asked, eve.phone.sign(await eve.ask(asked), **framed))
    assert await refused(world) == "malformed"


@pytest.mark.requirement("T26")
async def test_an_answer_counts_once_even_where_it_came_to_nothing(world: World, eve: Person) -> None:
    asked = await asked_for(world)
    answer = eve.phone.sign(await eve.ask(asked))
    first = await eve.yes(asked, answer)
    assert first.refused is not None
    assert first.refused.code == "not_shown"
    assert await read(world, eve.caller, asked) is None
    again = await eve.yes(asked, answer)
    assert (again.refused is not None, await refused(world)) == (True, "answered_before")
    assert (await eve.yes(asked, eve.phone.sign(await eve.ask(asked)))).approval.state is ApprovalState.APPROVED


async def test_the_same_press_twice_says_what_the_first_came_to(world: World, eve: Person) -> None:
    asked = await question_read_by(eve)
    answer = eve.phone.sign(await eve.ask(asked))
    for _ in range(2):
        resolved = await eve.yes(asked, answer)
        assert (resolved.refused, resolved.approval.state) == (None, ApprovalState.APPROVED)
    assert (await world.kinds()).count("approval.voted") == 1


@pytest.mark.requirement("T1", "T26")
async def test_what_was_signed_for_another_question_is_none(world: World, eve: Person) -> None:
    first, second = await question_read_by(eve), await question_read_by(eve)
    answer = eve.phone.sign(await eve.ask(first))
    await eve.yes(second, answer)
    assert await refused(world) == "never_asked"
    await eve.ask(second)
    await eve.yes(second, answer)
    assert await refused(world) == "unproven"
    # What it was signed for it is worth still.
    assert (await eve.yes(first, answer)).approval.state is ApprovalState.APPROVED


@pytest.mark.requirement("T1", "T26")
async def test_what_was_signed_for_another_digest_is_none(world: World, eve: Person) -> None:
    asked = await question_read_by(eve)
    assert asked.approval is not None
    other = await ask_to_vote(world.broker, eve.caller, asked.approval.id, digest_prefix="0" * 16)
    assert isinstance(other, Reason)
    assert other.code == "digest_changed"
    answer = eve.phone.sign(await eve.ask(asked))
    stored = await approval_of(world, asked)
    changed = replace(stored, digest="0" * 64, revision=stored.revision + 1)
    await world.ledger.transact(lambda tx: tx.replace(stored, changed))
    await eve.yes(asked, answer)
    assert await refused(world) == "something_else"


@pytest.mark.requirement("P5", "T4", "T26")
async def test_somebody_elses_passkey_signs_nothing_for_me(world: World, eve: Person) -> None:
    sam, asked = await with_passkey(world, "sam"), await question_read_by(eve)
    theirs, mine = next(iter(sam.phone.keys)), next(iter(eve.phone.keys))
    await eve.yes(asked, sam.phone.sign(await eve.ask(asked), credential=theirs))
    assert await refused(world) == "not_yours"
    sam.phone.keys[mine] = sam.phone.keys[theirs]
    await eve.yes(asked, sam.phone.sign(await eve.ask(asked), credential=mine))
    assert await refused(world) == "unproven"
    await eve.yes(asked, eve.phone.sign(await eve.ask(asked), userHandle=b"sam"))
    assert await refused(world) == "not_yours"


@pytest.mark.requirement("T26")
@pytest.mark.parametrize(("seconds", "counts"), [(119, True), (120, False)])
async def test_a_passkey_answers_within_two_minutes(world: World, eve: Person, seconds: int, counts: bool) -> None:
    asked = await question_read_by(eve)
    answer = eve.phone.sign(await eve.ask(asked))
    world.clock.forward(seconds=seconds)
    resolved = await eve.yes(asked, answer)
    assert (resolved.refused is None) is counts
    assert counts or await refused(world) == "too_late"


@pytest.mark.requirement("T17", "T26")
async def test_what_one_session_was_asked_another_does_not_answer(world: World, eve: Person) -> None:
    other, asked = replace(eve, caller=await at_console(world)), await question_read_by(eve)
    await read(world, other.caller, asked)
    answer = eve.phone.sign(await eve.ask(asked))
    await other.yes(asked, answer)
    assert await refused(world) == "never_asked"
    await other.ask(asked)
    await other.yes(asked, answer)
    assert await refused(world) == "unproven"
    assert (await eve.yes(asked, answer)).refused is None


async def test_of_two_pages_that_ask_at_once_the_later_one_counts(world: World, eve: Person) -> None:
    asked = await question_read_by(eve)
    earlier = eve.phone.sign(await eve.ask(asked))
    later = eve.phone.sign(await eve.ask(asked))
    await eve.yes(asked, earlier)
    assert await refused(world) == "unproven"
    await eve.yes(asked, later)
    assert await refused(world) == "answered_before"
    assert (await eve.yes(asked, eve.phone.sign(await eve.ask(asked)))).refused is None


async def test_a_page_that_asks_between_the_check_and_the_count_is_the_one_that_counts(
    world: World, eve: Person
) -> None:
    asked = await question_read_by(eve)
    about = about_vote(await approval_of(world, asked))
    checked = await check_answer(world.broker, eve.caller, about, eve.phone.sign(await eve.ask(asked)))
    assert isinstance(checked, Signed)
    await eve.ask(asked)
    taken = await world.ledger.transact(lambda tx: take(tx, eve.caller, about, checked))
    assert isinstance(taken, Unsigned)
    assert taken.because == "asked_again"


@pytest.mark.requirement("T26")
async def test_a_passkey_that_was_taken_away_signs_nothing(world: World, eve: Person) -> None:
    asked = await question_read_by(eve)
    (held,) = await world.ledger.read(lambda view: view.passkeys("eve", limit=9))
    answer = eve.phone.sign(await eve.ask(asked))
    await revoke_of(world.broker, await at_console(world, "admin"), "eve", held.id)
    await eve.yes(asked, answer)
    assert await refused(world) == "revoked"
    assert asked.approval is not None
    nothing = await ask_to_vote(world.broker, eve.caller, asked.approval.id, digest_prefix=asked.approval.digest[:16])
    assert isinstance(nothing, Reason)
    assert "you have no passkey" in nothing.message


@pytest.mark.requirement("T26")
@pytest.mark.parametrize("count", [0, 1])
async def test_a_count_that_goes_back_is_refused_and_on_record(world: World, eve: Person, count: int) -> None:
    asked = await question_read_by(eve)
    await eve.yes(asked, eve.phone.sign(await eve.ask(asked), count=count))
    assert await refused(world) == "count_went_back"
    (held,) = await world.ledger.read(lambda view: view.passkeys("eve", limit=9))
    assert (held.suspect_at, held.sign_count) == (world.clock.now, 1)
    assert (await eve.yes(asked, eve.phone.sign(await eve.ask(asked)))).refused is None


async def test_an_authenticator_that_does_not_count_is_taken(world: World) -> None:
    take_passkeys(world)
    eve = await person(world)
    eve.phone.count = None
    await eve.add()
    for _ in range(2):
        asked = await question_read_by(eve)
        assert (await eve.yes(asked, eve.phone.sign(await eve.ask(asked)))).refused is None


@pytest.mark.requirement("T17", "T26")
async def test_a_session_that_ended_signs_nothing(world: World, eve: Person) -> None:
    asked = await question_read_by(eve)
    answer = eve.phone.sign(await eve.ask(asked))
    await sign_out(world.broker, eve.caller)
    with pytest.raises(Unauthenticated):
        await eve.yes(asked, answer)
    with pytest.raises(Unauthenticated):
        await eve.ask(asked)


@pytest.mark.requirement("T4", "P5")
async def test_a_passkey_makes_nobody_eligible(world: World, eve: Person) -> None:
    owner = await with_passkey(world, "owner")
    asked = await asked_for(world)
    assert asked.approval is not None
    told = await ask_to_vote(world.broker, owner.caller, asked.approval.id, digest_prefix=asked.approval.digest[:16])
    assert isinstance(told, Reason)
    assert told.code == "not_eligible"


@pytest.mark.requirement("P5")
async def test_with_a_passkey_a_session_by_token_counts_where_the_console_does(world: World) -> None:
    take_passkeys(world, Assurance.CONSOLE)
    eve = await with_passkey(world)
    by_token = replace(eve, caller=await at_console(world, kind=Kind.OPERATOR))
    asked = await question_read_by(by_token)
    assert (await by_token.yes(asked, "")).refused is not None
    assert (await by_token.yes(asked, eve.phone.sign(await by_token.ask(asked)))).refused is None


async def test_the_inbox_of_whoever_has_to_sign_shows_the_question(world: World, eve: Person) -> None:
    asked = await asked_for(world)
    for kind in (Kind.LINK, Kind.OPERATOR):
        (seen,) = (await list_mine(world.broker, await at_console(world, kind=kind), OPEN)).items
        assert (seen.approval.action, seen.passkey) == (asked.action.id, PasskeyUse.NEEDED)
    world.broker = replace(world.broker, passkeys=None)
    assert (await list_mine(world.broker, eve.caller, OPEN)).items == ()


async def test_where_a_seat_takes_less_a_passkey_helps_and_is_not_needed(world: World, eve: Person) -> None:
    surer = Route(name="surer", needs=(Need(count=1, of="oncall"),), assurance=Assurance.STEP_UP)
    world.policy = replace(
        world.policy, routes={**world.policy.routes, "less": replace(surer, name="less", assurance=Assurance.CONSOLE)}
    )
    asked = await asked_for(world)
    assert asked.approval is not None
    seen = await show_approval(world.broker, eve.caller, asked.approval.id)
    assert (seen.passkey, seen.why_not_me) == (PasskeyUse.HELPS, None)


async def test_sensitive_values_are_revealed_before_the_passkey_is_asked(world: World, eve: Person) -> None:
    from assent.flows.show_whole import reveal_values

    secret_tool(world)
    asked = await asked_for(world, "db.secret")
    assert asked.approval is not None
    by_token = await at_console(world, kind=Kind.OPERATOR)
    lacking = await reveal_values(world.broker, by_token, asked.approval.id, reason="")
    assert lacking is not None
    assert lacking.code == "step_up_required"
    assert (await show_approval(world.broker, by_token, asked.approval.id)).passkey is PasskeyUse.NONE
    assert (await show_approval(world.broker, eve.caller, asked.approval.id)).passkey is PasskeyUse.NEEDED
    assert await reveal_values(world.broker, eve.caller, asked.approval.id, reason="to decide") is None
    assert await read(world, eve.caller, asked, values=True) is None
    assert (await eve.yes(asked, eve.phone.sign(await eve.ask(asked)))).approval.state is ApprovalState.APPROVED


@pytest.mark.requirement("P5", "T26")
async def test_a_token_or_a_press_in_slack_brings_no_passkey(world: World, eve: Person) -> None:
    asked = await question_read_by(eve)
    assert asked.approval is not None
    answer = eve.phone.sign(await eve.ask(asked))
    resolved = await approve_action(
        world.broker,
        await world.operator("eve"),
        asked.approval.id,
        digest_prefix=asked.approval.digest[:16],
        passkey=answer,
    )
    assert resolved.refused is not None
    assert resolved.refused.code == "step_up_required"


@pytest.mark.requirement("P1")
async def test_a_broker_that_takes_no_passkeys_says_so(world: World, eve: Person) -> None:
    asked = await question_read_by(eve)
    answer = eve.phone.sign(await eve.ask(asked))
    world.broker = replace(world.broker, passkeys=None)
    with pytest.raises(IllegalMove, match="takes no passkeys"):
        await eve.yes(asked, answer)


@pytest.mark.requirement("P1", "P7")
@pytest.mark.parametrize(
    ("who", "asks"),
    [({"eve": True, "sam": False}, True), ({"eve": False, "sam": False}, False), ({"owner": True}, False)],
    ids=str,
)
async def test_where_nobody_could_sign_nobody_is_asked(world: World, who: dict[str, bool], asks: bool) -> None:
    take_passkeys(world)
    for name, has_one in who.items():
        if has_one:
            await with_passkey(world, name)
    world.broker = replace(world.broker, at_console=frozenset())
    asked = await world.ask(await world.agent())
    assert (asked.approval is not None) is asks
    if not asks:
        (reason,) = asked.decision.reasons
        assert reason.code == "no_eligible_approver"
        assert "too few of those who may answer have a passkey" in reason.message


async def test_who_could_add_a_passkey_in_time_is_asked(world: World) -> None:
    take_passkeys(world)
    world.broker = replace(world.broker, at_console=frozenset({"sam"}))
    assert (await world.ask(await world.agent())).approval is not None
    world.broker = replace(world.broker, passkeys=None)
    assert (await world.ask(await world.agent())).approval is None


@pytest.mark.requirement("T24")
async def test_a_passkey_that_somebody_wrote_into_the_ledger_signs_nothing(world: World, eve: Person) -> None:
    sam, asked = await with_passkey(world, "sam"), await question_read_by(eve)
    theirs = next(iter(sam.phone.keys))

    async def by_hand(tx: Tx) -> None:
        tx.write("UPDATE passkey SET operator = 'eve' WHERE operator = 'sam'", ())  # type: ignore[attr-defined]  # by hand

    await world.ledger.transact(by_hand)
    await eve.yes(asked, sam.phone.sign(await eve.ask(asked), credential=theirs))
    assert await refused(world) == "not_yours"


@pytest.mark.requirement("P5", "T26")
async def test_a_yes_counts_no_more_once_its_passkey_was_taken_away(world: World, eve: Person) -> None:
    route = world.policy.routes["default"]
    world.policy = replace(world.policy, routes={"default": replace(route, needs=(Need(count=2, of="oncall"),))})
    sam = await with_passkey(world, "sam")
    asked = await question_read_by(eve)
    first = await eve.yes(asked, eve.phone.sign(await eve.ask(asked)))
    assert first.approval.state is ApprovalState.PARTIAL
    (held,) = await world.ledger.read(lambda view: view.passkeys("eve", limit=9))
    await revoke_of(world.broker, await at_console(world, "admin"), "eve", held.id)
    await read(world, sam.caller, asked)
    second = await sam.yes(asked, sam.phone.sign(await sam.ask(asked)))
    assert [vote.operator for vote in second.approval.votes] == ["sam"]
    assert second.approval.state is ApprovalState.PARTIAL


@pytest.mark.requirement("T24", "P8")
async def test_a_passkey_that_was_put_back_to_before_it_was_taken_away_signs_nothing(world: World, eve: Person) -> None:
    asked = await question_read_by(eve)

    async def kept(tx: Tx) -> Any:
        return tx.fetch_one("SELECT * FROM passkey WHERE operator = 'eve'")  # type: ignore[attr-defined]  # by hand

    before = await world.ledger.transact(kept)
    (held,) = await world.ledger.read(lambda view: view.passkeys("eve", limit=9))
    await revoke_of(world.broker, await at_console(world, "admin"), "eve", held.id)

    async def put_back(tx: Tx) -> None:
        tx.write("DELETE FROM passkey", ())  # type: ignore[attr-defined]  # by hand
        tx.write(f"INSERT INTO passkey VALUES ({', '.join('?' * len(before))})", before)  # type: ignore[attr-defined]  # same

    await world.ledger.transact(put_back)
    await eve.yes(asked, eve.phone.sign(await eve.ask(asked)))
    assert await refused(world) == "revoked"


@pytest.mark.requirement("T12")
async def test_an_answer_that_is_too_large_or_no_answer_is_refused(world: World, eve: Person) -> None:
    asked = await question_read_by(eve)
    good = json.loads(eve.phone.sign(await eve.ask(asked)))
    for bad in (
        "null",
        "[]",
        "\ud800",
        " " * (MAX_ANSWER_BYTES + 1),
        json.dumps(good | {"rawId": "AAAA"}),
        json.dumps(good | {"type": "password"}),
        json.dumps(good | {"id": good["id"] + "=", "rawId": good["id"] + "="}),
        json.dumps(good)[:-1] + ', "id": "AAAA"}',
        json.dumps(good | {"response": {**good["response"], "signature": "A" * 8_000}}),
        json.dumps(good | {"response": {**good["response"], "clientDataJSON": "bm8"}}),
    ):
        await eve.yes(asked, bad)
        assert await refused(world) == "malformed", bad[:40]


async def test_the_time_of_its_last_use_is_kept(world: World, eve: Person) -> None:
    async def used(view: View) -> datetime | None:
        return (await view.passkeys("eve", limit=1))[0].last_used_at

    assert await world.ledger.read(used) is None
    asked = await question_read_by(eve)
    await eve.yes(asked, eve.phone.sign(await eve.ask(asked)))
    assert await world.ledger.read(used) == world.clock.now
