"""Key files: read without following links and only when nobody else can, written whole or not at all.

Rules kept here:
- A key file or directory that others can open, a symbolic link, or a file of the wrong form is refused, with the
  command that helps.
- What is written is for its owner alone whatever the umask, and on the disk before anybody relies on it.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from assent.core.errors import KeysInvalid
from assent.stores.owners import leave_to_owner
from assent.stores.sealing import KEY_BYTES

DIRECTORY_MODE: Final = 0o700
_FILE_MODE: Final = 0o600
_OTHERS: Final = 0o077
_MAX_FILE_BYTES: Final = 4_096


def make_directory(directory: Path) -> None:
    """Make `directory` for its owner alone, unless it is there. Raises KeysInvalid when it is open to others."""
    if not directory.exists():
        directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        leave_to_owner(descriptor, directory.parent)
        os.close(descriptor)
    refuse_open_directory(directory)


def refuse_open_directory(directory: Path) -> None:
    """Return only when `directory` is one and nobody else can open it. Raises KeysInvalid."""
    try:
        found = directory.lstat()
    except FileNotFoundError:
        raise KeysInvalid(
            f"there is no key directory `{directory}`", hint="name the right one, or make a broker with `assent init`"
        ) from None
    if not stat.S_ISDIR(found.st_mode):
        raise KeysInvalid(f"`{directory}` is not a directory", hint="name the directory itself, not a link to it")
    if found.st_mode & _OTHERS:
        raise KeysInvalid(f"others can open the key directory `{directory}`", hint=f"chmod 700 {directory}")


def read_private(path: Path) -> bytes:
    """Return what a private file holds, at most 4,096 bytes. Raises KeysInvalid with the command that helps."""
    # (1) open without following a link, so that what is checked is what is read
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise KeysInvalid(
            f"the key file `{path}` is missing",
            hint="put it back from a backup: a new key reads nothing that was stored",
        ) from None
    except OSError as error:
        raise KeysInvalid(
            f"the key file `{path}` cannot be read: {error.strerror}", hint=f"chmod 600 {path}"
        ) from error
    try:
        # (2) a plain file of ours, for us alone
        _refuse_open_file(path, os.fstat(file))
        # (3) no larger than a key
        return os.read(file, _MAX_FILE_BYTES)
    finally:
        os.close(file)


def _refuse_open_file(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise KeysInvalid(f"`{path}` is not a plain file", hint="put the key itself there, not a link to it")
    if found.st_uid not in {os.geteuid(), 0}:
        raise KeysInvalid(f"the key file `{path}` belongs to somebody else", hint=f"chown {os.geteuid()} {path}")
    if found.st_mode & _OTHERS:
        raise KeysInvalid(f"others can read the key file `{path}`", hint=f"chmod 600 {path}")


def read_signing_key(path: Path) -> Ed25519PrivateKey:
    """Return the Ed25519 private key of a PEM file. Raises KeysInvalid."""
    try:
        key = load_pem_private_key(read_private(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeysInvalid(f"`{path}` is not an Ed25519 private key in PEM (PKCS 8)", hint="put it back from a backup")
    return key


def read_secret(path: Path) -> bytes:
    """Return the 32 secret bytes of a file in hex. Raises KeysInvalid."""
    text = read_private(path).strip()
    try:
        secret = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise KeysInvalid(f"`{path}` does not hold {KEY_BYTES} bytes in hex", hint="put it back from a backup")
    return secret


def write_new(path: Path, content: bytes) -> None:
    """Write a private file that must not be there yet; it is on the disk when this returns.

    Raises:
        OSError: it names the file, of which nothing is left.

    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, _FILE_MODE)
            leave_to_owner(descriptor, path.parent)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except OSError as fault:
        path.unlink(missing_ok=True)
        raise OSError(fault.errno, fault.strerror, str(path)) from fault


def replace(path: Path, content: bytes) -> None:
    """Put a private file in the place of another in one step: whoever looks finds the old one or the new one whole."""
    making = path.with_name(f".{path.name}.new")
    with suppress(FileNotFoundError):
        making.unlink()  # what somebody who was killed left
    write_new(making, content)
    making.replace(path)
    sync(path.parent)


def sync(directory: Path) -> None:
    """Let the names in `directory` reach the disk: a key that a crash takes back leaves what nobody can read."""
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def pem(key: Ed25519PrivateKey) -> bytes:
    """Return a private key as PEM (PKCS 8)."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_half(key: Ed25519PrivateKey) -> bytes:
    """Return the public half of a key, 32 bytes."""
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
