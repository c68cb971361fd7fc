"""A trip on the ledger itself, for when the API is down or hangs; only tripping, and recorded as what it is.

It needs what the broker needs: its configuration, its keys, and a live operator token that the ledger knows. The
record names the account and the machine. A serving broker goes on beside it and reads the breaker at its next decision.
"""

import asyncio
import getpass
import socket
from datetime import timedelta
from pathlib import Path
from typing import Final

from assent.api.operator_views import tripped_answer
from assent.cli.place import settings_here
from assent.core.breakers import Scope
from assent.core.canonical import Json
from assent.flows import authenticate, trip_breaker
from assent.wiring import Assembly, assemble

SURFACE: Final = "cli --direct"


def trip(config: Path | None, named: dict[str, str], *, token: str, reason: str, seconds: int | None) -> bytes:
    """Return the API's answer to a trip that was done on the ledger.

    Raises:
        Unauthenticated, Forbidden: the token is not an operator's who may trip.
        ConfigInvalid, KeysInvalid, PolicyInvalid, LedgerUnavailable: the broker's files cannot be opened.

    """
    assembly = assemble(settings_here(config), issuer=SURFACE)
    ttl = None if seconds is None else timedelta(seconds=seconds)
    return asyncio.run(_trip(assembly, Scope(**named), token, reason, ttl))


async def _trip(assembly: Assembly, scope: Scope, token: str, reason: str, ttl: timedelta | None) -> bytes:
    broker = assembly.broker
    by_hand: dict[str, Json] = {"os_user": getpass.getuser(), "host": socket.gethostname()}
    try:
        caller = await authenticate.operator(broker, token, SURFACE)
        tripped = await trip_breaker.trip(broker, caller, scope, reason=reason, ttl=ttl, by_hand=by_hand)
    finally:
        await assembly.ledger.close()
    return tripped_answer(tripped)
