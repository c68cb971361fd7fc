"""`assent keys rotate`: the key is exchanged in its file, and whoever serves the ledger puts the handover on record.

Where no broker serves, this process records it itself; where one does, it is waited for and told when it does not come.
"""

import asyncio
import logging
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NoReturn

from assent.cli.by_hand import by_hand
from assent.cli.key_list import id_of
from assent.cli.output import Usage
from assent.cli.place import settings_here
from assent.cli.spans import seconds_of
from assent.config import Settings
from assent.core.errors import LedgerUnavailable
from assent.core.handovers import Handover, KeyUse
from assent.core.records import RecordKind
from assent.flows.hand_over_key import HandedOver, told
from assent.logs import set_up_at_first_event
from assent.stores.key_places import KeyPlaces
from assent.stores.keys import Keys, verifier
from assent.stores.ledger_time import LedgerTime
from assent.stores.rotation import Wish, key_of_name
from assent.stores.rotation import rotate as exchange
from assent.stores.sqlite import ServingLock
from assent.stores.sqlite.snapshot import records_of
from assent.wiring import MACHINE
from assent.wiring.database import as_file
from assent.wiring.opening import open_kept

TAKE_UP_SECONDS: Final = 15.0
LOOK_AGAIN_SECONDS: Final = 0.2
_MAX_OVERLAP: Final = timedelta(days=366)
_NEVER: Final = {
    "ledger": "every record, row and credential carries a MAC under it, and of credentials nothing else is kept",
    "payload": "every stored payload is encrypted with it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A rotation on record; `taken_up_by_broker` says whether one was serving and uses the new key already."""

    handed_over: HandedOver
    taken_up_by_broker: bool


def rotate(
    config: Path | None, which: str, *, overlap: str, stolen: bool, within_seconds: float = TAKE_UP_SECONDS
) -> Done:
    """Return the rotation once it is on record.

    Raises:
        Usage: this key is never rotated, or the overlap is none.
        KeysInvalid, ConfigInvalid, LedgerUnavailable: the broker's files cannot be opened, or a broker that serves did
            not take the new key up in time.

    """
    use = key_of_name(which)
    if use is None:
        _refuse(which)
    span = timedelta() if stolen else _overlap(overlap)
    settings = settings_here(config)
    # Before anything is exchanged: a rotation that nobody can record would stop the next start.
    recorded = _on_record(settings, Keys.load(KeyPlaces.of(settings)))
    if use is KeyUse.LOG and not stolen:
        _refuse_within_overlap(recorded)
    wish, keys = exchange(KeyPlaces.of(settings), use, origin=settings.log_origin, overlap=span, by_hand=by_hand())
    served = not _recorded_here(settings)
    return Done(handed_over=_wait_for(settings, keys, wish, within_seconds), taken_up_by_broker=served)


def as_sentences(done: Done) -> list[str]:
    """Return what was done, in lines for a person."""
    known = done.handed_over
    use, old, new = known.handover.use, known.handover.old, known.handover.new
    who = "the serving broker" if done.taken_up_by_broker else "the broker, once it serves,"
    lines = [
        f"{use} key: `{id_of(use, new)}` takes the place of `{id_of(use, old)}`, record {known.index}",
        f"  {who} signs with the new key; nothing has to be restarted",
    ]
    until = known.until.isoformat(timespec="seconds")
    if use is KeyUse.GRANT:
        lines.append(f"  what the old key signed is good until {until}, when the last of those grants has expired")
        return lines
    lines.append(
        f"  the old key signs along until {until}" if known.until > known.at else "  the old key signs nothing more"
    )
    lines.append(f"  the log's public key from now on, for auditors; the old one still leads to it:\n{new.encode()}")
    return lines


def as_facts(done: Done) -> dict[str, Any]:
    """Return what was done as JSON."""
    known = done.handed_over
    handover: Handover = known.handover
    return {
        "key": handover.use.value,
        "old": id_of(handover.use, handover.old),
        "new": id_of(handover.use, handover.new),
        "record": known.index,
        "until": known.until.isoformat(),
        "public": handover.new.encode() if handover.use is KeyUse.LOG else None,
        "taken_up_by_broker": done.taken_up_by_broker,
    }


def _refuse(which: str) -> NoReturn:
    if which in _NEVER:
        raise Usage(
            f"the {which} key is never rotated: {_NEVER[which]}",
            hint="if it may have been stolen: stop the broker, make a new one with `assent init`, issue every"
            " credential anew there, and keep the old ledger with its keys for auditors",
        )
    raise Usage(f"there is no key `{which}`", hint="rotate `log` or `grant`")


def _overlap(text: str) -> timedelta:
    span = timedelta(seconds=seconds_of(text))
    if span > _MAX_OVERLAP:
        raise Usage(f"`{text}` is longer than a year", hint="the old key would be worth stealing for as long")
    return span


def _refuse_within_overlap(recorded: list[HandedOver]) -> None:
    of_log = [known for known in recorded if known.handover.use is KeyUse.LOG]
    if of_log and of_log[-1].until > datetime.now(UTC):
        until = of_log[-1].until.isoformat(timespec="seconds")
        raise Usage(
            f"the log's key was rotated already, and the one before it signs along until {until}",
            hint="wait until then, or rotate with --stolen if somebody else has the key",
        )


def _on_record(settings: Settings, keys: Keys) -> list[HandedOver]:
    with as_file(settings) as file:
        found = records_of(file, keys.ledger_keys(), RecordKind.BROKER_KEY_ROTATED)
    return [told(record, verifier) for record in found]


def _recorded_here(settings: Settings) -> bool:
    """Put the handover on record, unless a broker serves the ledger: that one does it by itself. Return whether."""
    try:
        lock = ServingLock(settings.ledger_file)
    except LedgerUnavailable:
        return False
    set_up_at_first_event(sys.stderr, as_json=False, least=logging.WARNING)
    with lock:
        asyncio.run(_record(settings))
    return True


async def _record(settings: Settings) -> None:
    kept = open_kept(settings, LedgerTime(MACHINE.wall, MACHINE.steady), serves=True)
    try:
        await kept.begin()
        await kept.log.integrate()
    finally:
        await kept.ledger.close()


def _wait_for(settings: Settings, keys: Keys, wish: Wish, within_seconds: float) -> HandedOver:
    until = time.monotonic() + within_seconds
    while True:
        for known in _on_record(settings, keys):
            if known.handover == wish.handover:
                return known
        if time.monotonic() > until:
            raise LedgerUnavailable(
                f"the new key is in its place, but the broker that serves has not taken it up in {within_seconds:g} s",
                hint="see its log for `upkeep_failed`; restarted, it takes the key up before it serves",
            )
        time.sleep(LOOK_AGAIN_SECONDS)
