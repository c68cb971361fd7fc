"""A passkey signs for one thing: what a session is asked to have signed, and what the answer is worth.

The signature is checked before the transaction, everything that can change meanwhile inside it: the challenge, which
takes one answer, whether the passkey still counts, and how its count goes on. An answer that comes to nothing uses up
its challenge too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from assent.core import passkeys
from assent.core.canonical import Json
from assent.core.errors import IllegalMove
from assent.core.looking import RecordFilter
from assent.core.operators import Assurance
from assent.core.passkey_forms import Assertion, Unproven, evidence, read_assertion, request
from assent.core.passkeys import About, Challenge, Passkey, PasskeyId
from assent.core.reasons import Reason
from assent.core.records import RecordKind
from assent.core.telling import leaf_detail
from assent.flows.authenticate import SessionCaller, confirm_operator
from assent.flows.broker import Broker
from assent.flows.tell_story import leaf_of
from assent.ports import Passkeys, Tx, View

MAX_HELD: Final = 1_000
_REVOKED_EVER: Final = 10_000
MAX_WHY_CHARACTERS: Final = 300
_WORDS: Final = {
    "never_asked": "nothing was asked of your passkey here: load the page again",
    "answered_before": "this was asked of your passkey once, and answered before",
    "too_late": "your passkey answered after two minutes: press again",
    "something_else": "what your passkey signed is not what stands here now: load the page again",
    "asked_again": "another page of yours asked your passkey meanwhile: press again",
    "malformed": "this is no answer of a passkey",
    "not_yours": "this passkey is not one of yours",
    "revoked": "this passkey was taken away",
    "not_vouched": "you have a passkey by now, and it has to sign for a new one: begin again",
    "unproven": "your passkey's answer does not hold",
    "count_went_back": "your passkey counted back, as a copy of it would: have it taken away, and add a new one",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """An answer whose signature holds; the rows are as they were before the transaction that counts it."""

    challenge: Challenge
    passkey: Passkey
    sign_count: int
    shown: Assertion


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsigned:
    """An answer that does not count: `because` in a word, `why` as the library says it, for the record alone."""

    because: str
    why: str = ""
    passkey: PasskeyId | None = None

    @property
    def reason(self) -> Reason:
        """What whoever answered is told."""
        return Reason.of("step_up_required", _WORDS[self.because])

    @property
    def facts(self) -> dict[str, Json]:
        """What a record says of it."""
        named = {} if self.passkey is None else {"id": self.passkey}
        return {**named, "because": self.because}


@dataclass(frozen=True, slots=True, kw_only=True)
class SteppedUp:
    """The caller as sure as anybody can be, for the one thing that was signed; `facts` are for its record."""

    caller: SessionCaller
    passkey: Passkey
    facts: Mapping[str, Json]


Answer = Signed | Unsigned


def passkeys_of(broker: Broker) -> Passkeys:
    """Return who checks passkeys here.

    Raises:
        IllegalMove: nobody does: the library is missing, or browsers use none at the console's address.

    """
    if broker.passkeys is None:
        raise IllegalMove("this broker takes no passkeys", hint="`assent doctor` says on its machine what is missing")
    return broker.passkeys


async def held_live(view: View, operator: str) -> tuple[Passkey, ...]:
    """Return the passkeys that sign for an operator."""
    return passkeys.live(await view.passkeys(operator, limit=MAX_HELD))


async def put_challenge(
    broker: Broker, tx: Tx, caller: SessionCaller, about: About, *, vouched_by: PasskeyId | None = None
) -> Challenge:
    """Store what this session is to have signed next for `about`; any earlier one is worth nothing from now on."""
    old = await tx.get(Challenge, passkeys.challenge_id(caller.session.id, about))
    fresh = passkeys.ask(
        old,
        about,
        operator=caller.operator.id,
        session=caller.session.id,
        nonce=broker.new_nonce(),
        now=tx.now,
        vouched_by=vouched_by,
    )
    if old is None:
        await tx.add(fresh)
    else:
        await tx.replace(old, fresh)
    return fresh


async def ask_to_sign(broker: Broker, tx: Tx, caller: SessionCaller, about: About) -> dict[str, Json] | Reason:
    """Return what the caller's browser is asked to have signed, or why nobody can sign for them."""
    site = passkeys_of(broker).site
    await confirm_operator(tx, caller)
    held = await held_live(tx, caller.operator.id)
    if not held:
        return Reason.of("step_up_required", "you have no passkey: add one on the page You")
    challenge = await put_challenge(broker, tx, caller, about)
    return request(passkeys.bytes_of(passkeys.signed_for(challenge)), site=site, held=held)


async def check_answer(broker: Broker, caller: SessionCaller, about: About, text: str) -> Answer:
    """Return what an answer to the caller's challenge for `about` is worth, as of now; `take` counts it.

    Of `about` only what names the challenge is looked at here: its purpose, id and vote.
    """
    checks, shown = passkeys_of(broker), read_assertion(text)
    if shown is None:
        return Unsigned(because="malformed")

    async def work(view: View) -> tuple[Challenge | None, Passkey | None]:
        challenge = await view.get(Challenge, passkeys.challenge_id(caller.session.id, about))
        held = await view.passkeys(caller.operator.id, limit=MAX_HELD)
        return challenge, passkeys.find(held, shown.credential)

    challenge, passkey = await broker.ledger.read(work)
    if challenge is None:
        return Unsigned(because="never_asked")
    if passkey is None or (shown.handle and shown.handle != passkey.handle):
        return Unsigned(because="not_yours")
    return prove(checks, shown, challenge, passkey)


def prove(checks: Passkeys, shown: Assertion, challenge: Challenge, passkey: Passkey) -> Answer:
    """Return whether this passkey signed this challenge."""
    asked = passkeys.bytes_of(passkeys.signed_for(challenge))
    proven = checks.asserted(shown, asked, passkey.public_key)
    if isinstance(proven, Unproven):
        return Unsigned(because="unproven", why=proven.why[:MAX_WHY_CHARACTERS], passkey=passkey.id)
    return Signed(challenge=challenge, passkey=passkey, sign_count=proven, shown=shown)


async def take(tx: Tx, caller: SessionCaller, about: About, answer: Answer) -> SteppedUp | Unsigned:
    """Count an answer for exactly `about`, as it stands in this transaction; its challenge is used up whatever it is.

    The caller must have confirmed the session in this transaction, and must commit it also when it comes to nothing.
    """
    # (1) the one challenge of this session for this, which takes one answer
    asked = await tx.get(Challenge, passkeys.challenge_id(caller.session.id, about))
    why_not = passkeys.why_not_answered(asked, about, tx.now)
    if asked is not None and not asked.answered:
        await tx.replace(asked, passkeys.answered(asked))
    # (2) what the answer itself was worth
    if isinstance(answer, Unsigned):
        return answer
    # (3) it was an answer to this very challenge
    if why_not is not None:
        return Unsigned(because=why_not, passkey=answer.passkey.id)
    if asked is None or asked.nonce != answer.challenge.nonce or asked.operator != caller.operator.id:
        return Unsigned(because="asked_again", passkey=answer.passkey.id)
    # (4) the passkey, now
    used = await count_use(tx, answer)
    if isinstance(used, Unsigned):
        return used
    facts = signed_facts(answer)
    sure = replace(caller, assurance=Assurance.STEP_UP, passkey=used.id)
    return SteppedUp(caller=sure, passkey=used, facts=facts)


async def count_use(tx: Tx, answer: Signed) -> Passkey | Unsigned:
    """Count a passkey whose signature holds, as it is now; one that counted back is marked: commit that."""
    passkey = await tx.get(Passkey, answer.passkey.id)
    if passkey is None or passkey.revoked_at is not None or await _was_taken_away(tx, passkey.id):
        return Unsigned(because="revoked", passkey=answer.passkey.id)
    if passkeys.steps_back(passkey, answer.sign_count):
        await tx.replace(passkey, passkeys.suspect(passkey, tx.now))
        return Unsigned(
            because="count_went_back",
            passkey=passkey.id,
            why=f"{answer.sign_count} after {passkey.sign_count}",
        )
    used = passkeys.used(passkey, answer.sign_count, tx.now)
    await tx.replace(passkey, used)
    return used


def signed_facts(answer: Signed) -> dict[str, Json]:
    """Return everything that a passkey signed, as a record keeps it."""
    signed_for = passkeys.signed_for(answer.challenge)
    return {"id": answer.passkey.id, "signed_for": signed_for, **evidence(answer.shown)}


async def _was_taken_away(view: View, passkey: PasskeyId) -> bool:
    # The log has the last word: whoever can write the database without the keys can put an older row back.
    found = await view.records(RecordFilter(kind=RecordKind.PASSKEY_REVOKED), limit=_REVOKED_EVER)
    return any(leaf_detail(leaf_of(record)).get("id") == passkey for record in found.records)
