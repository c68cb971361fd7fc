"""A checkpoint kept in a file: it is never replaced by an older one, or by one of a log that does not contain it."""

import os
from pathlib import Path
from tempfile import mkstemp

from assent.cli.output import Usage
from assent.core.checkpoints import parse_checkpoint


def before(file: Path) -> list[Path]:
    """Return the checkpoint that `file` keeps already, for the log to be verified against.

    Raises:
        Usage: nothing can be kept there.

    """
    try:
        if file.is_file():
            return [file]
        what = "is no file" if file.exists() else f"cannot be made: there is no directory `{file.parent}`"
        if not file.exists() and file.parent.is_dir():
            return []
    except OSError as fault:
        what = f"cannot be looked at: {fault.strerror}"
    raise Usage(f"`{file}` {what}, no checkpoint was kept", hint="name a file with --save-checkpoint")


def keep(file: Path, note: bytes) -> bool:
    """Put `note` in the place of what `file` keeps, in one step; return False when that is of a longer log.

    Both were verified against the same log. Raises Usage when the file cannot be written.
    """
    if file.is_file() and _records(file.read_bytes()) > _records(note):
        return False
    try:
        _replace(file.resolve(), note)
    except OSError as fault:
        raise Usage(
            f"`{file}` cannot be written: {fault.strerror}, no checkpoint was kept",
            hint="name a file in a directory that you may write with --save-checkpoint",
        ) from None
    return True


def _records(note: bytes) -> int:
    return parse_checkpoint(note.decode().partition("\n\n")[0] + "\n").size


def _replace(file: Path, note: bytes) -> None:
    descriptor, making = mkstemp(prefix=f".{file.name}-", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(note)
            opened.flush()
            os.fsync(descriptor)
        Path(making).replace(file)
    except BaseException:
        Path(making).unlink(missing_ok=True)
        raise
