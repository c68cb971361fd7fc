"""The keys that a broker signs with now and those that were before them: who may sign what, and until when.

    ring = KeyRing(keys, ledger, tree, integrator, directory=…, origin=…, clock=…)
    await ring.open()               records what was rotated while nobody served; before anything is signed
    await ring.look()               takes up what is rotated meanwhile; call it again and again

Rules kept here:
- A new key is used only with a handover that both keys signed, and the handover is put on record at once.
- Until then both are good, and afterwards the old one until the moment that the record names; then it is worth nothing.
- Of several brokers one has the new key first. The others believe what it signs from the record of the handover on,
  and go on with the old one until they are given the new; none of them signs with what it does not have.
- The two keys that the ledger is written with never change while it is open.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest
from typing import Final

from assent.core.canonical import Json
from assent.core.errors import KeysInvalid
from assent.core.handovers import Handover, KeyChain, KeyUse, Sign, chain_of
from assent.core.notes import VerifierKey
from assent.flows.hand_over_key import HandedOver, hand_over, handed_over
from assent.logs import EventLog
from assent.ports import Clock, Ledger
from assent.stores.key_files import public_half
from assent.stores.key_places import NAMES, KeyPlaces
from assent.stores.keys import Keys, key_set, verifier
from assent.stores.ledger_tree import LedgerTree
from assent.stores.rotation import PREVIOUS_LOG, Wish, previous_log_key, wishes
from assent.stores.tree import Integrator, Signing, signed_by
from assent.wiring.grant_tokens import OpenGrant, grant_opener

log = EventLog("assent.keys")

LOOK_EACH_SECONDS: Final = 1.0
# Where the record of a handover will be is not known before it is there: above everything.
_NOT_YET: Final = 2**63 - 1
Fingerprint = tuple[tuple[str, int, int, int], ...]


def _as_it_is(sign: Sign) -> Sign:
    return sign


@dataclass(frozen=True, slots=True)
class _Retired:
    """A key for grants that was replaced: what it signed is good until then, None while that is not on record."""

    public_key: bytes
    opens: OpenGrant
    until: datetime | None


class KeyRing:
    """Signs grants with the newest key, opens and publishes the older ones as long as they are good."""

    def __init__(
        self,
        keys: Keys,
        ledger: Ledger,
        tree: LedgerTree,
        integrator: Integrator,
        *,
        places: KeyPlaces,
        origin: str,
        clock: Clock,
        wrap: Callable[[Sign], Sign] = _as_it_is,
        on_log_key: Callable[[KeyChain], None] = lambda _chain: None,
        beside_others: bool = False,
    ) -> None:
        self._beside_others = beside_others
        self._elsewhere: _Retired | None = None
        self._ledger = ledger
        self._tree = tree
        self._integrator = integrator
        self._places = places
        self._origin = origin
        self._clock = clock
        self._wrap = wrap
        self._on_log_key = on_log_key
        self._seen = fingerprint(places)
        self._settled = False
        self._look_again_at: datetime | None = None
        self._retired: tuple[_Retired, ...] = ()
        self._sign_with(keys)

    @property
    def chain(self) -> KeyChain:
        """The keys of the log, those before the present one too."""
        return self._integrator.signing.chain

    def sign_grant(self, claims: Mapping[str, Json]) -> str:
        """Return the token that carries `claims`, signed with the newest key."""
        return self._keys.sign_grant(claims)

    def open_grant(self, token: str) -> Mapping[str, Json] | None:
        """Return the claims of a token that one of our keys signed, if that key is still good; else None."""
        claims = self._opens(token)
        if claims is not None:
            return claims
        found = (key.opens(token) for key in self._also_good())
        return next((claims for claims in found if claims is not None), None)

    def key_set(self) -> dict[str, Json]:
        """Return the public keys that grants may be signed with now (RFC 7517)."""
        return key_set((public_half(self._keys.grant), *(key.public_key for key in self._also_good())))

    def _also_good(self) -> Sequence[_Retired]:
        """Return the keys for grants that are good beside our own: older ones for a while, one that others have."""
        if not self._retired and self._elsewhere is None:
            return ()
        now = self._clock()
        known = (*self._retired, *(() if self._elsewhere is None else (self._elsewhere,)))
        return [key for key in known if key.until is None or now < key.until]

    async def open(self) -> None:
        """Record whatever was rotated while nobody served.

        Raises:
            KeysInvalid: a key is not the one that this log was handed over to, or a handover is malformed.
            LedgerUnavailable: nothing was recorded, or not known to be; call it again.

        """
        await self._take_up(self._keys)

    async def look(self) -> float:
        """Take up what was rotated since, and let go of what is over; return in how many seconds to look again.

        Raises as `open`; the keys that were in force stay so.
        """
        found = await asyncio.to_thread(fingerprint, self._places)
        if found != self._seen:
            self._seen = found
            keys = await asyncio.to_thread(Keys.load, self._places)
            _refuse_other_ledger_keys(self._keys, keys)
            self._settled = False
            await self._take_up(keys)
        elif not self._settled or (self._look_again_at is not None and self._clock() >= self._look_again_at):
            await self._take_up(self._keys)
        if self._beside_others:
            self._elsewhere = self._newer(await handed_over(self._ledger, verifier))
        return LOOK_EACH_SECONDS

    def _newer(self, recorded: Sequence[HandedOver]) -> _Retired | None:
        """Return the key for grants that the log was handed over to last, where it is not ours."""
        newest = [known.handover.new for known in recorded if known.handover.use is KeyUse.GRANT][-1:]
        ours = public_half(self._keys.grant)
        if not newest or newest[0].public_key == ours:
            return None
        if self._elsewhere is not None and self._elsewhere.public_key == newest[0].public_key:
            return self._elsewhere
        hint = "give this broker the new key files, with the folder `handovers`, before the old key is over"
        log.warning("key_is_elsewhere", key=KeyUse.GRANT.value, new=newest[0].public_key.hex(), hint=hint)
        return _Retired(newest[0].public_key, grant_opener(newest[0].public_key), until=None)

    async def _take_up(self, keys: Keys) -> None:
        recorded = await handed_over(self._ledger, verifier)
        pending = await self._pending(keys, recorded)
        # Before the record: what the new key signs is good as soon as it signs. The old one goes on until the record.
        self._use(keys, recorded, pending)
        for wish in pending:
            await hand_over(self._ledger, wish.note, verifier, overlap=wish.overlap, by_hand=wish.by_hand)
            log.info("key_rotated", key=wish.handover.use.value, new=wish.handover.new.public_key.hex())
        if pending:
            self._use(keys, await handed_over(self._ledger, verifier), ())
        if len(self.chain.keys) > 1:
            self._on_log_key(self.chain)
        self._settled = True

    async def _pending(self, keys: Keys, recorded: Sequence[HandedOver]) -> list[Wish]:
        wanted = await asyncio.to_thread(wishes, self._places.directory)
        log_start = await self._log_key_on_record(keys, recorded, wanted)
        return [
            *_way(wanted, log_start, keys.verifier_key(KeyUse.LOG, self._origin)),
            *_way(wanted, _grant_key_on_record(keys, recorded, wanted), keys.verifier_key(KeyUse.GRANT, self._origin)),
        ]

    async def _log_key_on_record(
        self, keys: Keys, recorded: Sequence[HandedOver], wanted: Sequence[Wish]
    ) -> VerifierKey:
        """Return the key that the log knows as its newest: by record, or by its first checkpoint."""
        last = [known.handover.new for known in recorded if known.handover.use is KeyUse.LOG]
        if last:
            return last[-1]
        note = await self._tree.first_note()
        key: VerifierKey | None = keys.verifier_key(KeyUse.LOG, self._origin)
        while key is not None:
            before = _before(wanted, key)
            # Nothing is signed yet: then the log begins with the first key that was ever here.
            if before is None and note is None:
                return key
            if note is not None and signed_by(note, key):
                return key
            key = before
        raise KeysInvalid(
            "`log_key.pem` is not the key that this log is signed with",
            hint="put back the one that belongs to this ledger, with the folder `handovers` beside it, and the"
            " `log_origin` that it began with",
        )

    def _use(self, keys: Keys, recorded: Sequence[HandedOver], pending: Sequence[Wish]) -> None:
        self._sign_with(keys)
        now = self._clock()
        of_log = [(known.index, known.handover) for known in recorded if known.handover.use is KeyUse.LOG]
        of_log += [(_NOT_YET, wish.handover) for wish in pending if wish.handover.use is KeyUse.LOG]
        chain = chain_of(keys.verifier_key(KeyUse.LOG, self._origin), of_log)
        self._integrator.signing = Signing(
            chain=chain, sign=self._wrap(keys.sign_log), cosign=self._cosigners(chain, recorded, now)
        )
        self._retired = (*_retired(recorded, now), *_about_to_retire(pending))
        ends = [known.until for known in recorded if known.until > now]
        self._look_again_at = min(ends, default=None)

    def _cosigners(
        self, chain: KeyChain, recorded: Sequence[HandedOver], now: datetime
    ) -> tuple[tuple[VerifierKey, Sign], ...]:
        previous = previous_log_key(self._places.directory)
        if previous is None or len(chain.keys) == 1 or chain.keys[-2].public_key != public_half(previous):
            return ()
        over = [k for k in recorded if k.handover.new == chain.newest and k.until <= now]
        return () if over else ((chain.keys[-2], previous.sign),)

    def _sign_with(self, keys: Keys) -> None:
        self._keys = keys
        self._opens = grant_opener(public_half(keys.grant))


def fingerprint(places: KeyPlaces) -> Fingerprint:
    """Return what tells that a key file was exchanged; what cannot be looked at counts as gone."""
    found = []
    for name in (*NAMES, PREVIOUS_LOG):
        with suppress(OSError):
            state = places.file(name).lstat()
            found.append((name, state.st_ino, state.st_mtime_ns, state.st_size))
    return tuple(found)


def _refuse_other_ledger_keys(held: Keys, found: Keys) -> None:
    same = compare_digest(held.ledger, found.ledger) and compare_digest(held.payload, found.payload)
    if not same:
        raise KeysInvalid(
            "`ledger_key` or `payload_key` was exchanged under the broker",
            hint="put back the ones that this ledger was written with; they are never rotated",
        )


def _before(wanted: Sequence[Wish], key: VerifierKey) -> VerifierKey | None:
    return next((wish.handover.old for wish in wanted if wish.handover.new == key), None)


def _way(wanted: Sequence[Wish], start: VerifierKey, end: VerifierKey) -> list[Wish]:
    """Return the rotations that lead from one key to another, oldest first.

    Raises:
        KeysInvalid: none do; the key at hand is an older one, or somebody else's.

    """
    by_new = {wish.handover.new: wish for wish in wanted}
    way: list[Wish] = []
    key = end
    while key != start:
        wish = by_new.pop(key, None)
        if wish is None:
            raise KeysInvalid(
                f"the key `{end.encode()}` is not the one that the log was handed over to, `{start.encode()}`",
                hint="put back the newest key, with the folder `handovers` beside it",
            )
        way.insert(0, wish)
        key = wish.handover.old
    return way


def _grant_key_on_record(keys: Keys, recorded: Sequence[HandedOver], wanted: Sequence[Wish]) -> VerifierKey:
    handovers = [known.handover for known in recorded if known.handover.use is KeyUse.GRANT]
    current = keys.verifier_key(KeyUse.GRANT, "")
    if handovers:
        return handovers[-1].new
    return _before(wanted, current) or current


def _retired(recorded: Sequence[HandedOver], now: datetime) -> tuple[_Retired, ...]:
    found = (k for k in recorded if k.handover.use is KeyUse.GRANT and now < k.until)
    return tuple(_old(known.handover, known.until) for known in found)


def _about_to_retire(pending: Sequence[Wish]) -> tuple[_Retired, ...]:
    return tuple(_old(w.handover, None) for w in pending if w.handover.use is KeyUse.GRANT and w.overlap)


def _old(handover: Handover, until: datetime | None) -> _Retired:
    key = handover.old.public_key
    return _Retired(public_key=key, opens=grant_opener(key), until=until)
