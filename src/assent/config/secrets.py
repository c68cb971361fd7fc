"""Secrets in files: read only where nobody but their owner can."""

from pathlib import Path

from assent.core.characters import visible
from assent.core.errors import ConfigInvalid


def secret_in(file: Path, key: str) -> str:
    """Return the secret that a file holds.

    Raises:
        ConfigInvalid: it can be read by others, cannot be read, or is empty.

    """
    require_private(file, key)
    said = file.read_text(encoding="utf-8", errors="replace").strip()
    if not said:
        raise ConfigInvalid(f"`{key}`: `{visible(str(file))}` is empty", hint="put the secret in, and no more")
    return said


def require_private(file: Path, key: str) -> None:
    """Let a secret's file through when only its owner can read it.

    Raises:
        ConfigInvalid: it is missing, or others may read it.

    """
    try:
        mode = file.stat().st_mode
    except OSError as fault:
        raise ConfigInvalid(f"`{key}`: `{visible(str(file))}` cannot be read: {fault.strerror}") from None
    if mode & 0o077:
        raise ConfigInvalid(
            f"`{key}`: `{visible(str(file))}` can be read by others", hint=f"run `chmod 600 {visible(str(file))}`"
        )
