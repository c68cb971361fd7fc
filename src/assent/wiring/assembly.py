"""Puts a broker together from settings: keys, ledger, policy, signals, and what makes fresh values.

Opening blocks for as long as files take; nothing here serves, waits or repeats.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from assent.config import Settings
from assent.core.decisions import Limits
from assent.core.handovers import Sign
from assent.core.notes import parse_verifier_key
from assent.flows.broker import Broker
from assent.policy.copies import Copies
from assent.policy.current import PolicyHolder
from assent.ports import Clock, Ledger, Signals
from assent.stores.keys import verifier
from assent.stores.ledger import StoredLedger
from assent.stores.ledger_time import LedgerTime
from assent.stores.signals_local import LocalSignals
from assent.wiring import fresh, opening
from assent.wiring.failpoints import Failpoint, failpoint
from assent.wiring.opening import Kept
from assent.wiring.passkeys import passkeys_at
from assent.wiring.published import PublishedLog
from assent.wiring.shared import redis_of

if TYPE_CHECKING:
    from assent.stores.redis_signals import RedisSignals


def _as_it_is(sign: Sign) -> Sign:
    return sign


def now() -> datetime:
    """Return the time, aware and in UTC; the ledger sees to it that its own never goes back."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clocks:
    """What time is told by: the machine's clock, and seconds that no setting of a clock moves."""

    wall: Clock = now
    steady: Callable[[], float] = time.monotonic


MACHINE: Final = Clocks()
MakeSignals: TypeAlias = Callable[[Callable[[], float]], Signals]
"""Makes the signals of one process, given seconds that never go back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """A broker and what it was made of; `failpoint` is None outside of crash tests, `redis` where none is named."""

    settings: Settings
    broker: Broker
    kept: Kept
    policies: PolicyHolder
    clocks: Clocks
    failpoint: Failpoint | None
    redis: "RedisSignals | None" = None

    async def close_signals(self) -> None:
        """Give up Redis, where signals are shared in one."""
        if self.redis is not None:
            await self.redis.close()

    @property
    def ledger(self) -> StoredLedger:
        """The ledger itself."""
        return self.kept.ledger

    @property
    def log(self) -> PublishedLog:
        """The published side of the log."""
        return self.kept.log


def assemble(
    settings: Settings,
    *,
    issuer: str,
    clocks: Clocks = MACHINE,
    signals: MakeSignals | None = None,
    at_console: frozenset[str] = frozenset(),
    console: str | None = None,
    serves: bool = False,
) -> Assembly:
    """Return a broker on the ledger, keys and policy that `settings` name; `issuer` is the URL that grants carry.

    `at_console` are the operators who can sign in at its console with more than a token, `console` the URL that it is
    reached by, None where it is not served: then nobody signs with a passkey. Who `serves` a database keeps from
    it every other broker that counts apart, and shares signals where settings say so; `signals` makes others than
    those.

    Raises:
        KeysInvalid: a key is missing, malformed or open to others, or not the ledger's.
        LedgerUnavailable: the ledger cannot be opened.
        PolicyInvalid: the policy directory was refused; `findings` say where.

    """
    die_at = failpoint()
    # One time for both: a rule that has run out is not in force again because somebody set the clock back.
    told = LedgerTime(clocks.wall, clocks.steady)
    copies = Copies(settings.ledger_file.with_name(f"{settings.ledger_file.name}.policies"))
    policies = PolicyHolder(settings.policy_directory, told, copies)
    kept = opening.open_kept(settings, told, wrap=_as_it_is if die_at is None else die_at.signature, serves=serves)
    deciding: Ledger = kept.ledger if die_at is None else die_at.ledger(kept.ledger)
    redis = redis_of(settings, kept.keys, clocks.steady) if serves and signals is None else None
    broker = Broker(
        ledger=deciding,
        policy=lambda: policies.current,
        signals=redis or (signals or LocalSignals)(clocks.steady),
        new_id=fresh.new_id,
        new_code=fresh.new_code,
        new_secret=fresh.new_secret,
        new_nonce=fresh.new_nonce,
        sign_grant=kept.ring.sign_grant,
        open_grant=kept.ring.open_grant,
        issuer=issuer,
        limits=_limits(settings),
        lease=timedelta(seconds=settings.lease_seconds),
        pick_up_within=timedelta(seconds=settings.pick_up_seconds),
        policies=policies,
        activation=settings.activation,
        is_shared=settings.ledger_url is not None,
        release_keys=tuple(verifier(parse_verifier_key(key)) for key in settings.release_keys or ()),
        log_name=settings.log_origin,
        legal_hold=settings.legal_hold or "",
        at_console=at_console,
        signs_on=settings.oidc_issuer is not None,
        passkeys=None if console is None else passkeys_at(console),
    )
    return Assembly(
        settings=settings, broker=broker, kept=kept, policies=policies, clocks=clocks, failpoint=die_at, redis=redis
    )


def publish_key(assembly: Assembly) -> Path:
    """Write the log's public key beside the ledger, unless something is there; return its file."""
    return opening.publish_key(assembly.settings.ledger_file, assembly.kept.ring.chain.newest)


def _limits(settings: Settings) -> Limits:
    return Limits(
        open_per_agent=settings.open_per_agent,
        open_per_run=settings.open_per_run,
        open_per_route=settings.open_per_route,
        asks_per_agent_per_hour=settings.asks_per_agent_per_hour,
    )
