"""Writes files that were not there: nothing is overwritten and no link is followed."""

import os
from pathlib import Path, PurePosixPath


def write_below(root: Path, name: str, content: bytes) -> None:
    """Write a file that is not there, with the folders to it, for nobody else to write.

    Whatever the caller's umask: the broker refuses policies that others may write.
    """
    for folder in (root, *reversed([root / inner for inner in PurePosixPath(name).parents[:-1]])):
        if not folder.is_dir():
            folder.mkdir()
            folder.chmod(0o755)
    write(root / name, content, 0o644)


def write(file: Path, content: bytes, mode: int) -> None:
    """Write a file that is not there, with that mode; what cannot be written whole is not left.

    Raises:
        OSError: it names the file.

    """
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            os.fchmod(descriptor, mode)
            opened.write(content)
    except OSError as fault:
        file.unlink(missing_ok=True)
        raise OSError(fault.errno, fault.strerror, str(file)) from fault
