"""Copies of policy versions that were read, one file each, named by its digest and believed only when it still has it.

They lie beside the ledger. Nobody has to protect them: the log says which version was in force, and a copy with another
digest is none of it.
"""

import base64
import binascii
import json
import os
from pathlib import Path
from typing import Final, TextIO

from assent.policy.files import Source

MOST: Final = 10
_SUFFIX: Final = ".json"
_MODE: Final = 0o600


class Copies:
    """The copies in one folder, at most ten: the newest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, source: Source) -> None:
        """Keep a copy of `source`; what is there already stays."""
        file = self._file(source.version)
        if file.exists():
            os.utime(file)
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = file.with_suffix(f".{os.getpid()}")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
        with os.fdopen(descriptor, "w") as opened:
            _write(opened, source)
            opened.flush()
            os.fsync(opened.fileno())
        unfinished.replace(file)
        self._forget_oldest()

    def get(self, version: str) -> Source | None:
        """Return the files of `version`, or None when no copy has its digest."""
        try:
            said = json.loads(self._file(version).read_text())
            source = Source({name: base64.b64decode(content, validate=True) for name, content in sorted(said.items())})
        except (OSError, ValueError, AttributeError, TypeError, binascii.Error):
            return None
        return source if source.version == version else None

    def _file(self, version: str) -> Path:
        return self._folder / f"{version}{_SUFFIX}"

    def _forget_oldest(self) -> None:
        files = sorted(self._folder.glob(f"*{_SUFFIX}"), key=lambda file: file.stat().st_mtime_ns, reverse=True)
        for file in files[MOST:]:
            file.unlink(missing_ok=True)


def _write(opened: TextIO, source: Source) -> None:
    # One file after the other: very many rules in three forms at once would be most of what the broker ever needs.
    opened.write("{")
    for number, (name, content) in enumerate(source.files.items()):
        opened.write(f"{', ' if number else ''}{json.dumps(name)}: ")
        opened.write(f'"{base64.b64encode(content).decode()}"')
    opened.write("}")
