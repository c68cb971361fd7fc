"""The broker's own log, verified in a process of its own, which gives way to everything else on the machine.

    python -m assent.wiring.verification LEDGER PUBLIC_KEY KEYS_DIRECTORY      prints one JSON object

It reads what anybody may read with the broker's rights; no secret stands on its command line or in what it prints.
"""

import json
import os
import sys
from pathlib import Path
from typing import Final

from assent.core.errors import AssentError, VerificationFailed
from assent.core.notes import parse_verifier_key
from assent.stores.key_places import KeyPlaces
from assent.stores.keys import Keys
from assent.stores.verify import verify_file
from assent.wiring.kept_checkpoint import file_of

GIVES_WAY: Final = 15


def verification(ledger: Path, public_key: str, places: KeyPlaces) -> dict[str, object]:
    """Return what holds of a ledger: `verified`, and numbers, or the `index` of the first bad record and the `problem`.

    Raises:
        AssentError: it could not be found out.

    """
    kept = file_of(ledger)
    notes = [kept.read_bytes()] if kept.is_file() else []
    keys = Keys.load(places).ledger_keys()
    try:
        found = verify_file(ledger, key=parse_verifier_key(public_key), kept=notes, keys=keys)
    except VerificationFailed as failed:
        return {"verified": False, "index": failed.index, "problem": failed.message}
    if found.records and not found.signed:
        return {"verified": False, "index": 0, "problem": f"nothing is signed of {found.records} records"}
    numbers = {"records": found.records, "signed": found.signed, "checkpoints": found.checkpoints}
    return {"verified": True, **numbers, "root": found.root.hex()}


def main() -> None:
    """Verify what the command line names; end with 1 where that could not be found out."""
    os.nice(GIVES_WAY)
    ledger, public_key, keys_directory, *elsewhere = sys.argv[1:]
    files = {name: Path(file) for name, file in zip(elsewhere[::2], elsewhere[1::2], strict=True)}
    places = KeyPlaces(Path(keys_directory), files)
    try:
        print(json.dumps(verification(Path(ledger), public_key, places)))  # noqa: T201  # its answer
    except AssentError as fault:
        sys.exit(f"{fault.code}: {fault.message}")


if __name__ == "__main__":
    main()
