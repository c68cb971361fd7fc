"""The broker's own log, verified in a process of its own, which gives way to everything else on the machine.

    python -m assent.wiring.verification LEDGER PUBLIC_KEY KEYS_DIRECTORY      prints one JSON object

Standard input holds `{url, password}` where the ledger is a database, else nothing: then it is copied first.

It reads what anybody may read with the broker's rights; no secret stands on its command line or in what it prints.
"""

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from assent.core.errors import AssentError, VerificationFailed
from assent.core.notes import parse_verifier_key
from assent.stores.key_places import KeyPlaces
from assent.stores.keys import Keys
from assent.stores.verify import verify_file
from assent.wiring.kept_checkpoint import file_of

GIVES_WAY: Final = 15


def verification(ledger: Path, public_key: str, places: KeyPlaces, notes: Sequence[bytes]) -> dict[str, object]:
    """Return what holds of a ledger, also by `notes` that were kept of it.

    `verified`, and numbers, or the `index` of the first bad record and the `problem`.

    Raises:
        AssentError: it could not be found out.

    """
    keys = Keys.load(places).ledger_keys()
    try:
        found = verify_file(ledger, key=parse_verifier_key(public_key), kept=notes, keys=keys)
    except VerificationFailed as failed:
        return {"verified": False, "index": failed.index, "problem": failed.message}
    if found.records and not found.signed:
        return {"verified": False, "index": 0, "problem": f"nothing is signed of {found.records} records"}
    numbers = {"records": found.records, "signed": found.signed, "checkpoints": found.checkpoints}
    return {"verified": True, **numbers, "root": found.root.hex()}


def _verified(ledger: Path, public_key: str, places: KeyPlaces, where: str) -> dict[str, object]:
    # Before a copy is made: the broker that serves may keep a newer one at any moment.
    kept = file_of(ledger)
    notes = [kept.read_bytes()] if kept.is_file() else []
    if not where:
        return verification(ledger, public_key, places, notes)
    from assent.stores.postgres import Place  # noqa: PLC0415  # an extra, and nobody else pays for loading it
    from assent.stores.postgres.copying import copy_to_file  # noqa: PLC0415  # same

    with tempfile.TemporaryDirectory(prefix=".copy-", dir=ledger.parent) as folder:
        copy = Path(folder) / ledger.name
        copy_to_file(Place(**json.loads(where)), copy)
        return verification(copy, public_key, places, notes)


def main() -> None:
    """Verify what the command line names; end with 1 where that could not be found out."""
    os.nice(GIVES_WAY)
    ledger, public_key, keys_directory, *elsewhere = sys.argv[1:]
    files = {name: Path(file) for name, file in zip(elsewhere[::2], elsewhere[1::2], strict=True)}
    places = KeyPlaces(Path(keys_directory), files)
    try:
        print(json.dumps(_verified(Path(ledger), public_key, places, sys.stdin.read())))  # noqa: T201  # its answer
    except AssentError as fault:
        sys.exit(f"{fault.code}: {fault.message}")


if __name__ == "__main__":
    main()
