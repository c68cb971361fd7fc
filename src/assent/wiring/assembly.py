"""Puts a broker together from settings: keys, ledger, policy, signals, and what makes fresh values.

Opening blocks for as long as files take; nothing here serves, waits or repeats.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from assent.config import Settings
from assent.core.decisions import Limits
from assent.flows.broker import Broker
from assent.policy.current import PolicyHolder
from assent.ports import Clock, Ledger
from assent.stores.keys import Keys
from assent.stores.ledger_time import LedgerTime
from assent.stores.signals_local import LocalSignals
from assent.stores.sqlite import SqliteLedger, SqliteTree
from assent.stores.tree import Integrator
from assent.stores.verify import public_key_file
from assent.wiring import fresh
from assent.wiring.failpoints import Failpoint, failpoint
from assent.wiring.grant_tokens import grant_opener
from assent.wiring.published import PublishedLog

_PUBLIC_MODE: Final = 0o644


def now() -> datetime:
    """Return the time, aware and in UTC; the ledger sees to it that its own never goes back."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clocks:
    """What time is told by: the machine's clock, and seconds that no setting of a clock moves."""

    wall: Clock = now
    steady: Callable[[], float] = time.monotonic


MACHINE: Final = Clocks()


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """A broker and what it was made of; `failpoint` is None outside of crash tests."""

    settings: Settings
    broker: Broker
    ledger: SqliteLedger
    policies: PolicyHolder
    keys: Keys
    log: PublishedLog
    clocks: Clocks
    failpoint: Failpoint | None


def assemble(settings: Settings, *, issuer: str, clocks: Clocks = MACHINE) -> Assembly:
    """Return a broker on the ledger, keys and policy that `settings` name; `issuer` is the URL that grants carry.

    Raises:
        KeysInvalid: a key is missing, malformed or open to others, or not the ledger's.
        LedgerUnavailable: the ledger cannot be opened.
        PolicyInvalid: the policy directory was refused; `findings` say where.

    """
    die_at = failpoint()
    keys = Keys.load(settings.keys_directory)
    # One time for both: a rule that has run out is not in force again because somebody set the clock back.
    told = LedgerTime(clocks.wall, clocks.steady)
    policies = PolicyHolder(settings.policy_directory, told)
    ledger = SqliteLedger.open(settings.ledger_file, keys.ledger_keys(), clock=told, new_id=fresh.new_id)
    deciding: Ledger = ledger if die_at is None else die_at.ledger(ledger)
    tree = SqliteTree(ledger)
    sign = keys.sign_log if die_at is None else die_at.signature(keys.sign_log)
    integrator = Integrator(tree, key=keys.log_verifier_key(settings.log_origin), sign=sign)
    broker = Broker(
        ledger=deciding,
        policy=lambda: policies.current,
        signals=LocalSignals(),
        new_id=fresh.new_id,
        new_code=fresh.new_code,
        new_secret=fresh.new_secret,
        new_nonce=fresh.new_nonce,
        sign_grant=keys.sign_grant,
        open_grant=grant_opener(keys),
        issuer=issuer,
        limits=_limits(settings),
        lease=timedelta(seconds=settings.lease_seconds),
        pick_up_within=timedelta(seconds=settings.pick_up_seconds),
    )
    return Assembly(
        settings=settings,
        broker=broker,
        ledger=ledger,
        policies=policies,
        keys=keys,
        log=PublishedLog(ledger, tree, integrator),
        clocks=clocks,
        failpoint=die_at,
    )


def publish_key(assembly: Assembly) -> Path:
    """Write the log's public key beside the ledger, unless something is there; return its file.

    It is a convenience, not a proof: an auditor is given the key by another way, once, and keeps it.
    """
    file = public_key_file(assembly.settings.ledger_file)
    text = f"{assembly.keys.log_verifier_key(assembly.settings.log_origin).encode()}\n"
    with suppress(FileExistsError):
        # Never through a link, and nobody else may change it, whatever the umask lets others do.
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _PUBLIC_MODE)
        with os.fdopen(descriptor, "w") as public:
            os.fchmod(descriptor, _PUBLIC_MODE)
            public.write(text)
    return file


def _limits(settings: Settings) -> Limits:
    return Limits(
        open_per_agent=settings.open_per_agent,
        open_per_run=settings.open_per_run,
        open_per_route=settings.open_per_route,
        asks_per_agent_per_hour=settings.asks_per_agent_per_hour,
    )
