"""An operator adds a passkey, and takes one away.

What vouches for the first is a session that more than a token opened. Every further one, and each that is taken away by
its holder, is signed for by one that is there: whoever steals a session cannot bring a passkey of their own. Somebody
who lost all theirs has them taken away by another person who manages operators, or on the ledger itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from assent.core import passkeys
from assent.core.canonical import Json
from assent.core.errors import BadRequest, Forbidden, IllegalMove, NotFound, Stale
from assent.core.operators import Assurance, OperatorId, Permission
from assent.core.passkey_forms import Attested, Unproven, creation, read_attestation
from assent.core.passkeys import About, Challenge, Passkey, PasskeyId, Purpose
from assent.core.reasons import Reason
from assent.flows import passkey_entries
from assent.flows.authenticate import OperatorCaller, SessionCaller, confirm_operator, require
from assent.flows.broker import Broker
from assent.flows.sign_for import (
    MAX_HELD,
    MAX_WHY_CHARACTERS,
    Unsigned,
    ask_to_sign,
    check_answer,
    held_live,
    passkeys_of,
    put_challenge,
    take,
)
from assent.ports import Gate, Tx, View

ADD: Final = About(purpose=Purpose.ADD)
VOUCH: Final = About(purpose=Purpose.VOUCH)
_HANDLE: Final = "passkey user"
_MORE_SURELY: Final = "sign in with a link or by single sign-on"


@dataclass(frozen=True, slots=True)
class Step:
    """What a browser is to do next: make a credential of `options`, or have them signed first."""

    makes: bool
    options: Mapping[str, Json]


async def ask_to_add(broker: Broker, caller: SessionCaller) -> Step | Reason:
    """Return the first step to a new passkey: to sign with one that is there, or to make the first.

    Raises:
        Forbidden: the session was opened with no more than a token.
        IllegalMove: this broker takes no passkeys, or the caller has as many as anybody may have.

    """
    _require_sure(caller, "add a passkey")
    passkeys_of(broker)

    async def work(tx: Tx) -> Step | Reason:
        await confirm_operator(tx, caller)
        held = await held_live(tx, caller.operator.id)
        _require_room(held)
        if not held:
            return await _to_make(broker, tx, caller, vouched_by=None)
        asked = await ask_to_sign(broker, tx, caller, VOUCH)
        return asked if isinstance(asked, Reason) else Step(False, asked)

    return await broker.ledger.transact(work)


async def vouch(broker: Broker, caller: SessionCaller, text: str) -> Step | Reason:
    """Return the second step, once one of the caller's passkeys signed for it; on record either way.

    Raises:
        Forbidden, IllegalMove: as `ask_to_add`.

    """
    _require_sure(caller, "add a passkey")
    answer = await check_answer(broker, caller, VOUCH, text)

    async def work(tx: Tx) -> Step | Reason:
        await confirm_operator(tx, caller)
        stepped = await take(tx, caller, VOUCH, answer)
        if isinstance(stepped, Unsigned):
            await tx.append(passkey_entries.refused(caller, Purpose.VOUCH.value, stepped))
            return stepped.reason
        await tx.append(passkey_entries.vouched(stepped))
        return await _to_make(broker, tx, caller, vouched_by=stepped.passkey.id)

    return await broker.ledger.transact(work)


async def _to_make(broker: Broker, tx: Tx, caller: SessionCaller, *, vouched_by: PasskeyId | None) -> Step:
    site, held = passkeys_of(broker).site, await tx.passkeys(caller.operator.id, limit=MAX_HELD)
    challenge = await put_challenge(broker, tx, caller, ADD, vouched_by=vouched_by)
    options = creation(
        passkeys.bytes_of(passkeys.signed_for(challenge)),
        site=site,
        operator=caller.operator.id,
        handle=_handle(broker, caller.operator.id, held),
        held=passkeys.live(held),
    )
    return Step(True, options)


async def add_passkey(broker: Broker, caller: SessionCaller, text: str, *, name: str) -> Passkey | Reason:
    """Return the passkey that signs for the caller from now on, or why there is none; on record either way.

    Raises:
        BadRequest: the name is too long.
        Forbidden, IllegalMove: as `ask_to_add`.

    """
    _require_sure(caller, "add a passkey")
    if len(name) > passkeys.MAX_NAME_CHARACTERS:
        raise BadRequest(f"a name has at most {passkeys.MAX_NAME_CHARACTERS} characters", hint="call it `phone`")
    made = await _made(broker, caller, text)
    identifier = PasskeyId(broker.new_id("pky"))

    async def work(tx: Tx) -> Passkey | Reason:
        await confirm_operator(tx, caller)
        held = await tx.passkeys(caller.operator.id, limit=MAX_HELD)
        asked = await tx.get(Challenge, passkeys.challenge_id(caller.session.id, ADD))
        why_not = _why_not_add(made, asked, passkeys.live(held), caller, tx)
        if asked is not None and not asked.answered:
            await tx.replace(asked, passkeys.answered(asked))
        if isinstance(made, Unsigned) or why_not is not None or asked is None:
            unsigned = why_not or (made if isinstance(made, Unsigned) else Unsigned(because="never_asked"))
            await tx.append(passkey_entries.refused(caller, Purpose.ADD.value, unsigned))
            return unsigned.reason
        way = caller.session.signed_in_by
        new = Passkey(
            id=identifier,
            credential=made.credential,
            operator=caller.operator.id,
            public_key=made.proven.public_key,
            handle=_handle(broker, caller.operator.id, held),
            sign_count=made.proven.sign_count,
            name=name,
            added_at=tx.now,
            session=caller.session.id,
            vouched_by=asked.vouched_by or ("" if way is None else way.value),
            synced=made.proven.synced,
        )
        await tx.add(new)
        await tx.append(passkey_entries.added(new, caller))
        return new

    try:
        return await broker.ledger.transact(work)
    except Stale:
        raise IllegalMove("this passkey was added before", hint="it is yours already, or somebody else's") from None


@dataclass(frozen=True, slots=True)
class _Made:
    """A new credential whose making was proven, for the challenge with this nonce."""

    credential: bytes
    proven: Attested
    nonce: bytes


async def _made(broker: Broker, caller: SessionCaller, text: str) -> _Made | Unsigned:
    checks, shown = passkeys_of(broker), read_attestation(text)
    if shown is None:
        return Unsigned(because="malformed")
    key = passkeys.challenge_id(caller.session.id, ADD)
    asked = await broker.ledger.read(lambda view: view.get(Challenge, key))
    if asked is None:
        return Unsigned(because="never_asked")
    proven = checks.attested(shown, passkeys.bytes_of(passkeys.signed_for(asked)))
    if isinstance(proven, Unproven):
        return Unsigned(because="unproven", why=proven.why[:MAX_WHY_CHARACTERS])
    return _Made(shown.credential, proven, asked.nonce)


def _why_not_add(
    made: _Made | Unsigned, asked: Challenge | None, held: tuple[Passkey, ...], caller: SessionCaller, tx: Tx
) -> Unsigned | None:
    # (1) what was made is proven, for the challenge that this session has now, once and in time
    if isinstance(made, Unsigned):
        return made
    if (because := passkeys.why_not_answered(asked, ADD, tx.now)) is not None:
        return Unsigned(because=because)
    if asked is None or asked.nonce != made.nonce or asked.operator != caller.operator.id:
        return Unsigned(because="asked_again")
    # (2) whoever has a passkey by now had it sign for this one: two pages may each have begun with none
    if (held or asked.vouched_by) and asked.vouched_by not in {one.id for one in held}:
        return Unsigned(because="not_vouched")
    _require_room(held)
    return None


async def ask_to_revoke(broker: Broker, caller: SessionCaller, key: PasskeyId) -> Mapping[str, Json] | Reason:
    """Return what one of the caller's own passkeys is to sign, so that another of theirs, or itself, is taken away.

    Raises:
        NotFound: the caller has no such passkey.
        IllegalMove: this broker takes no passkeys.

    """

    async def work(tx: Tx) -> Mapping[str, Json] | Reason:
        await _held_by(tx, caller.operator.id, key)
        return await ask_to_sign(broker, tx, caller, _revoking(key))

    return await broker.ledger.transact(work)


async def revoke_own(broker: Broker, caller: SessionCaller, key: PasskeyId, text: str) -> Passkey | Reason:
    """Return one of the caller's own passkeys taken away, once one of them signed for it; on record either way.

    Raises:
        NotFound: the caller has no such passkey.
        IllegalMove: this broker takes no passkeys.

    """
    answer = await check_answer(broker, caller, _revoking(key), text)

    async def work(tx: Tx) -> Passkey | Reason:
        await confirm_operator(tx, caller)
        await _held_by(tx, caller.operator.id, key)
        stepped = await take(tx, caller, _revoking(key), answer)
        if isinstance(stepped, Unsigned):
            await tx.append(passkey_entries.refused(caller, Purpose.REVOKE.value, stepped))
            return stepped.reason
        # It may have signed for itself, and is one revision further then.
        held = await _held_by(tx, caller.operator.id, key)
        return await _revoke(tx, held, by=caller.operator.id, facts=stepped.facts)

    return await broker.ledger.transact(work, gate=Gate.EXCLUSIVE)


async def revoke_of(broker: Broker, caller: OperatorCaller, operator: str, key: PasskeyId) -> Passkey:
    """Return somebody else's passkey taken away by who manages operators, for whoever lost theirs.

    Raises:
        Forbidden: the caller does not manage operators, is not surely themselves, or it is their own.
        NotFound: this operator has no such passkey.

    """
    require(caller, Permission.OPERATORS_MANAGE)
    _require_sure(caller, "take somebody's passkey away")
    if operator == caller.operator.id:
        raise Forbidden(
            "your own passkey is taken away on the page You, where one of yours signs for it",
            hint="lost all of them? another person who manages operators can, or whoever keeps the broker's files",
        )

    async def work(tx: Tx) -> Passkey:
        await confirm_operator(tx, caller)
        return await _revoke(tx, await _held_by(tx, operator, key), by=caller.operator.id)

    return await broker.ledger.transact(work, gate=Gate.EXCLUSIVE)


async def revoke_by_hand(
    broker: Broker, operator: str, key: PasskeyId, *, by: str, by_hand: Mapping[str, Json]
) -> Passkey:
    """Return somebody's passkey taken away on the ledger itself, where whoever does it can read the broker's keys.

    Raises:
        NotFound: this operator has no such passkey.

    """

    async def work(tx: Tx) -> Passkey:
        return await _revoke(tx, await _held_by(tx, operator, key), by=by, by_hand=by_hand)

    return await broker.ledger.transact(work, gate=Gate.EXCLUSIVE)


async def passkeys_held(broker: Broker, operator: OperatorId) -> tuple[Passkey, ...]:
    """Return the passkeys that sign for an operator, newest first; for whoever may see that operator."""
    return await broker.ledger.read(lambda view: held_live(view, operator))


async def _revoke(
    tx: Tx,
    passkey: Passkey,
    *,
    by: str,
    facts: Mapping[str, Json] | None = None,
    by_hand: Mapping[str, Json] | None = None,
) -> Passkey:
    ended = passkeys.revoke(passkey, by=by, now=tx.now)
    await tx.replace(passkey, ended)
    await tx.append(passkey_entries.revoked(ended, by=by, facts=facts, by_hand=by_hand))
    return ended


async def _held_by(view: View, operator: str, key: PasskeyId) -> Passkey:
    found = await view.get(Passkey, key)
    if found is None or found.operator != operator or found.revoked_at is not None:
        raise NotFound(f"`{operator}` has no passkey `{key}`", hint="load the page again")
    return found


def _revoking(key: PasskeyId) -> About:
    return About(purpose=Purpose.REVOKE, id=key)


def _handle(broker: Broker, operator: str, held: Sequence[Passkey]) -> bytes:
    # Authenticators keep one entry for each handle, so it stays as it was given first, whatever key the ledger has now.
    return held[-1].handle if held else broker.ledger.blind(_HANDLE, operator.encode())


def _require_sure(caller: OperatorCaller, what: str) -> None:
    if caller.assurance < Assurance.CONSOLE:
        raise Forbidden(f"a session that a token opened is not sure enough to {what}", hint=_MORE_SURELY)


def _require_room(held: tuple[Passkey, ...]) -> None:
    most = passkeys.MAX_LIVE_PER_OPERATOR
    if len(held) >= most:
        raise IllegalMove(f"you have {most} passkeys, as many as anybody may have", hint="take one away first")
