"""Where the broker's keys lie: in one directory, each under its name, unless a setting names another file for one.

What a rotation leaves (handovers, the log's key before the present one) always lies in the directory.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from assent.config import Settings
from assent.core.errors import KeysInvalid
from assent.stores import key_files

LOG: Final = "log_key.pem"
GRANT: Final = "grant_key.pem"
LEDGER: Final = "ledger_key"
PAYLOAD: Final = "payload_key"
NAMES: Final = (LOG, GRANT, LEDGER, PAYLOAD)


@dataclass(frozen=True, slots=True)
class KeyPlaces:
    """The directory of the keys, and by name the files of those that lie elsewhere."""

    directory: Path
    elsewhere: Mapping[str, Path] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return where the keys of a broker with these settings lie."""
        named = {
            LOG: settings.log_key_file,
            GRANT: settings.grant_key_file,
            LEDGER: settings.ledger_key_file,
            PAYLOAD: settings.payload_key_file,
        }
        return cls(settings.keys_directory, {name: file for name, file in named.items() if file is not None})

    def file(self, name: str) -> Path:
        """Return the file of the key called `name`."""
        return self.elsewhere.get(name, self.directory / name)

    def refuse_open(self) -> None:
        """Return only when nobody else can open the directory; there need be none where no key lies in it.

        Raises:
            KeysInvalid: somebody can, or it is missing.

        """
        if len(self.elsewhere) < len(NAMES) or self.directory.exists():
            key_files.refuse_open_directory(self.directory)

    def refuse_unwritable(self, name: str) -> None:
        """Return only when a key could be replaced where it lies.

        Raises:
            KeysInvalid: it lies elsewhere, where nothing can be written.

        """
        file = self.file(name)
        if name in self.elsewhere and not os.access(file.parent, os.W_OK):
            raise KeysInvalid(
                f"`{file}` lies where nothing can be written, so no new key can be put in its place",
                hint="rotate where it is kept from, or let the key lie where the broker's account may write",
            )


def places_at(where: Path | KeyPlaces) -> KeyPlaces:
    """Return `where` as places: a path is the directory that holds all keys."""
    return where if isinstance(where, KeyPlaces) else KeyPlaces(where)
