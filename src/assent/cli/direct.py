"""What is done on the ledger itself: a trip, when the API is down or hangs, and help for a lost token or passkey.

It needs what the broker needs: its configuration and its keys; a trip also a live operator token that the ledger knows.
The record names the account and the machine. A serving broker goes on beside it and reads what was written at its next
decision.
"""

import asyncio
import getpass
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

from assent.api.breaker_views import tripped_answer
from assent.api.principal_views import token_issued
from assent.cli.place import settings_here
from assent.core.breakers import Scope
from assent.core.canonical import Json
from assent.core.credentials import Kind
from assent.core.errors import AssentError, HeldNotDurable, LedgerUnavailable
from assent.core.passkeys import PasskeyId
from assent.flows import authenticate, trip_breaker
from assent.flows.active_policy import active_policy
from assent.flows.add_passkey import revoke_by_hand
from assent.flows.broker import Broker
from assent.flows.follow_policy import follow_policy
from assent.flows.issue_credentials import declared_operator
from assent.flows.manage_principals import issue_credential
from assent.flows.trip_breaker import Tripped
from assent.wiring import Assembly, assemble

SURFACE: Final = "cli --direct"
# No operator has such a name, so nobody is taken for who issued it.
BY_HAND: Final = "assent --direct"
TRIES_FOR_SECONDS: Final = 5.0


def trip(config: Path | None, named: dict[str, str], *, token: str, reason: str, seconds: int | None) -> bytes:
    """Return the API's answer to a trip that was done on the ledger.

    Raises:
        Unauthenticated, Forbidden: the token is not an operator's who may trip.
        ConfigInvalid, KeysInvalid, PolicyInvalid: the broker's files cannot be opened.
        LedgerUnavailable: the ledger cannot be opened or written, and nothing was stopped.

    """
    assembly = assemble(settings_here(config), issuer=SURFACE)
    ttl = None if seconds is None else timedelta(seconds=seconds)
    return asyncio.run(_trip(assembly, Scope(**named), token, reason, ttl))


def issue_token(config: Path | None, operator: str, *, seconds: int | None) -> bytes:
    """Return the API's answer to a token that was issued on the ledger, for an operator whom the policy names.

    Whoever can read the broker's keys is asked for no token: they could make whatever they like.

    Raises:
        NotFound: the policy names no such operator.
        ConfigInvalid, KeysInvalid, PolicyInvalid, LedgerUnavailable: the broker's files cannot be opened.

    """
    assembly = assemble(settings_here(config), issuer=SURFACE)
    valid_for = None if seconds is None else timedelta(seconds=seconds)
    return asyncio.run(_issue_token(assembly, operator, valid_for))


def revoke_passkey(config: Path | None, operator: str, passkey: str) -> dict[str, Json]:
    """Return what was taken away on the ledger: a passkey of somebody who has none left to sign with.

    Raises:
        NotFound: this operator has no such passkey.
        ConfigInvalid, KeysInvalid, PolicyInvalid, LedgerUnavailable: the broker's files cannot be opened.

    """
    return asyncio.run(_revoke_passkey(assemble(settings_here(config), issuer=SURFACE), operator, PasskeyId(passkey)))


async def _revoke_passkey(assembly: Assembly, operator: str, passkey: PasskeyId) -> dict[str, Json]:
    try:
        ended = await revoke_by_hand(assembly.broker, operator, passkey, by=BY_HAND, by_hand=_whose_hand())
    finally:
        await assembly.ledger.close()
    return {"operator": ended.operator, "passkey": ended.id, "revoked_by": BY_HAND}


async def _issue_token(assembly: Assembly, operator: str, valid_for: timedelta | None) -> bytes:
    broker = assembly.broker
    try:
        await _follow(broker)
        declared = declared_operator(broker.policy(), operator)
        issued = await issue_credential(
            broker, Kind.OPERATOR, declared.id, issued_by=BY_HAND, valid_for=valid_for, by_hand=_whose_hand()
        )
    finally:
        await assembly.ledger.close()
    return token_issued(issued)


async def _follow(broker: Broker) -> None:
    """Go by the policy that is published in the ledger; where there is none that can be loaded, by the directory's."""
    with suppress(AssentError):
        active = await broker.ledger.read(active_policy)
        # A directory that was edited a moment ago is ahead of the broker that serves from it.
        if active is not None and active.publication is not None:
            await follow_policy(broker)


def _whose_hand() -> dict[str, Json]:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in many containers: a stop does not wait for one
        user = f"uid {os.getuid()}"
    return {"os_user": user, "host": socket.gethostname()}


async def _trip(assembly: Assembly, scope: Scope, token: str, reason: str, ttl: timedelta | None) -> bytes:
    broker = assembly.broker
    try:
        await _follow(broker)
        caller = await authenticate.operator(broker, token, SURFACE)
        tripped = await _stored(
            lambda: trip_breaker.trip(broker, caller, scope, reason=reason, ttl=ttl, by_hand=_whose_hand()), scope
        )
    finally:
        await assembly.ledger.close()
    return tripped_answer(tripped, assembly.settings.runbook_url)


async def _stored(trip: Callable[[], Awaitable[Tripped]], scope: Scope) -> Tripped:
    # What this process holds in its memory ends with it and stops nothing that a broker does: a trip that another
    # process kept from being stored is tried again, for as long as somebody at a terminal waits.
    until = time.monotonic() + TRIES_FOR_SECONDS
    while True:
        try:
            return await trip()
        except HeldNotDurable as fault:
            if time.monotonic() >= until:
                raise LedgerUnavailable(
                    f"{scope.describe()} is not stopped: the ledger cannot be written, it hangs or another process "
                    "holds it",
                    hint="nothing is decided as long as that is so; end the broker's process if it hangs, then trip "
                    "again",
                ) from fault
            print("assent: not stopped yet: the ledger is held by another process; trying on", file=sys.stderr)
