"""The file of an operator's credentials: for its owner alone, refused when others can read it, replaced in one step."""

import json
import os
import tomllib
from pathlib import Path
from tempfile import mkstemp
from typing import Final

from assent.core.errors import AssentError

CONFIGURATION_VARIABLE: Final = "XDG_CONFIG_HOME"
_INSIDE: Final = Path("assent") / "credentials"
_OTHERS: Final = 0o077
_OWNER_ONLY: Final = 0o700


class NoCredential(AssentError):
    """There is no operator token, or it lies where others can read it."""

    code = "no_credential"


def credentials_file() -> Path:
    """Return where the file lies. A relative `XDG_CONFIG_HOME` is none. Source: XDG Base Directory Specification."""
    named = Path(os.environ.get(CONFIGURATION_VARIABLE, ""))
    return (named if named.is_absolute() else Path.home() / ".config") / _INSIDE


def shown_file() -> str:
    """Return the file's name as people write it."""
    file, home = credentials_file(), Path.home()
    return f"~/{file.relative_to(home)}" if file.is_relative_to(home) else str(file)


def kept() -> dict[str, str]:
    """Return what the file holds, nothing where there is none.

    Raises:
        NoCredential: others can read it, or it is not TOML.

    """
    file = credentials_file()
    if not file.is_file():
        return {}
    if file.stat().st_mode & _OTHERS:
        raise NoCredential(
            f"`{file}` can be read by others", hint=f"run `chmod 600 {file}`, and have the token in it replaced"
        )
    try:
        found = tomllib.loads(file.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise NoCredential(f"`{file}` is not TOML", hint="write it anew with `assent login`") from None
    return {name: value for name, value in found.items() if isinstance(value, str)}


def keep(*, url: str, token: str) -> Path:
    """Put url and token in the place of what the file holds, in one step, and return the file.

    A crash leaves the old file or the new one. The folder is made for its owner alone.
    """
    file = credentials_file()
    file.parent.parent.mkdir(mode=_OWNER_ONLY, parents=True, exist_ok=True)
    file.parent.mkdir(mode=_OWNER_ONLY, exist_ok=True)
    file.parent.chmod(_OWNER_ONLY)
    # A JSON string is a TOML basic string.
    text = f"url = {json.dumps(url)}\noperator_token = {json.dumps(token)}\n"
    descriptor, making = mkstemp(prefix=f".{file.name}-", dir=file.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "w") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(descriptor)
        Path(making).replace(file)
    except BaseException:
        Path(making).unlink(missing_ok=True)
        raise
    return file
