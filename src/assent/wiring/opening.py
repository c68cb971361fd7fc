"""Opens what is kept: keys, ledger and log, without a policy and without anybody who decides."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from assent.config import Settings
from assent.core.handovers import KeyChain, Sign
from assent.core.notes import VerifierKey
from assent.stores.key_places import KeyPlaces
from assent.stores.keys import Keys
from assent.stores.ledger import StoredLedger
from assent.stores.ledger_time import LedgerTime
from assent.stores.ledger_tree import LedgerTree
from assent.stores.rotation import log_keys
from assent.stores.tree import Integrator
from assent.stores.verify import public_key_file
from assent.wiring import database
from assent.wiring.kept_checkpoint import KeptCheckpoint
from assent.wiring.keyring import KeyRing
from assent.wiring.published import PublishedLog

_PUBLIC_MODE: Final = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a broker keeps: its ledger with the log of it, and the keys that both are written with.

    `log_keys` are those that the log ever had, newest first.
    """

    keys: Keys
    ring: KeyRing
    ledger: StoredLedger
    tree: LedgerTree
    log: PublishedLog
    checkpoint: KeptCheckpoint
    log_keys: tuple[VerifierKey, ...]

    async def begin(self) -> None:
        """Make ready to sign: what the keys have become is on record, and the ledger is not older than it was.

        Raises:
            VerificationFailed: it is, or it is another one.
            KeysInvalid: a key is not the one that this log was handed over to.

        """
        await self.checkpoint.refuse_older(self.tree, self.log_keys)
        await self.log.open()
        await self.ring.open()


def open_kept(
    settings: Settings, told: LedgerTime, *, wrap: Callable[[Sign], Sign] = lambda sign: sign, serves: bool = False
) -> Kept:
    """Return keys, ledger and log of `settings`; `told` tells the time, `wrap` stands around the log's signature.

    Who `serves` a database keeps from it every other broker that counts apart.

    Raises:
        KeysInvalid: a key is missing, malformed or open to others, or not the ledger's.
        LedgerUnavailable: the ledger cannot be opened.

    """
    places = KeyPlaces.of(settings)
    keys = Keys.load(places)
    known = log_keys(settings.keys_directory, keys.log_verifier_key(settings.log_origin))
    checkpoint = KeptCheckpoint(settings.ledger_file, name=settings.ledger_name)
    if settings.ledger_url is None:
        checkpoint.refuse_missing()
    ledger = database.opened(settings, keys.ledger_keys(), told, serves=serves)
    tree = LedgerTree(ledger)
    integrator = Integrator(tree, key=keys.log_verifier_key(settings.log_origin), sign=wrap(keys.sign_log))
    ring = KeyRing(
        keys,
        ledger,
        tree,
        integrator,
        places=places,
        origin=settings.log_origin,
        clock=told,
        wrap=wrap,
        on_log_key=lambda chain: renew_public_key(settings.ledger_file, chain),
        beside_others=settings.is_beside_others,
    )
    return Kept(
        keys=keys,
        ring=ring,
        ledger=ledger,
        tree=tree,
        log=PublishedLog(ledger, tree, integrator, keep=checkpoint.keep),
        checkpoint=checkpoint,
        log_keys=known,
    )


def publish_key(ledger: Path, key: VerifierKey) -> Path:
    """Write the log's public key beside the ledger, unless something is there; return its file.

    It is a convenience, not a proof: an auditor is given the key by another way, once, and keeps it.
    """
    file = public_key_file(ledger)
    if not os.path.lexists(file):
        _write(file, key)
    return file


def renew_public_key(ledger: Path, chain: KeyChain) -> None:
    """Let the newest key of the log stand beside the ledger where an older one stands; what else is there is left."""
    file = public_key_file(ledger)
    old = {f"{key.encode()}\n" for key in chain.keys[:-1]}
    if file.is_file() and not file.is_symlink() and file.read_text(errors="replace") in old:
        _write(file, chain.newest)


def _write(file: Path, key: VerifierKey) -> None:
    # Never through a link, and nobody else may change it, whatever the umask lets others do; whole or not at all.
    making = file.with_name(f".{file.name}.new")
    making.unlink(missing_ok=True)
    descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _PUBLIC_MODE)
    with os.fdopen(descriptor, "w") as public:
        os.fchmod(descriptor, _PUBLIC_MODE)
        public.write(f"{key.encode()}\n")
    making.replace(file)
