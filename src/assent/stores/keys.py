"""The broker's four keys: made once, kept in files for their owner alone, never in the database.

    keys = Keys.create(directory) | Keys.load(directory)
    keys.ledger_keys()              what `SqliteLedger.open` takes
    keys.log_verifier(origin)       the public key that auditors get; `keys.sign_log(bytes)` signs with its other half
    keys.grant_jwks(), keys.sign_grant(claims)

Rules kept here:
- A key file that others can read, a symbolic link, or a file of the wrong form is refused, with the command that helps.
- Existing keys are never overwritten: a ledger whose key is gone cannot be believed again, whatever new key is made.
"""

import base64
import json
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from assent.core.canonical import Json
from assent.core.errors import KeysInvalid
from assent.core.grants import TOKEN_TYPE
from assent.core.notes import Verifier, VerifierKey
from assent.stores.sealing import KEY_BYTES, LedgerKeys

LOG: Final = "log_key.pem"
GRANT: Final = "grant_key.pem"
LEDGER: Final = "ledger_key"
PAYLOAD: Final = "payload_key"
NAMES: Final = (LOG, GRANT, LEDGER, PAYLOAD)

_DIRECTORY_MODE: Final = 0o700
_FILE_MODE: Final = 0o600
_OTHERS: Final = 0o077
_MAX_FILE_BYTES: Final = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """All four keys; nothing of them shows when this is printed."""

    log: Ed25519PrivateKey = field(repr=False)
    grant: Ed25519PrivateKey = field(repr=False)
    ledger: bytes = field(repr=False)
    payload: bytes = field(repr=False)

    @classmethod
    def generate(cls) -> Self:
        """Return fresh keys that are nowhere but in memory."""
        return cls(
            log=Ed25519PrivateKey.generate(),
            grant=Ed25519PrivateKey.generate(),
            ledger=secrets.token_bytes(KEY_BYTES),
            payload=secrets.token_bytes(KEY_BYTES),
        )

    @classmethod
    def create(cls, directory: Path) -> Self:
        """Make fresh keys and write them to `directory`, made when there is none.

        Raises:
            KeysInvalid: a key is there already, or the directory is open to others.

        """
        directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        _refuse_open_directory(directory)
        if there := [name for name in NAMES if os.path.lexists(directory / name)]:
            raise KeysInvalid(
                f"`{directory / there[0]}` exists already and keys are never overwritten",
                hint="use the keys that are there, or another directory",
            )
        keys = cls.generate()
        for name, content in _files(keys).items():
            _write(directory / name, content)
        _sync(directory)
        return keys

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read the keys from `directory`.

        Raises:
            KeysInvalid: one is missing, malformed or open to others; the hint is the command that helps.

        """
        _refuse_open_directory(directory)
        return cls(
            log=_private_key(directory / LOG),
            grant=_private_key(directory / GRANT),
            ledger=_secret(directory / LEDGER),
            payload=_secret(directory / PAYLOAD),
        )

    def ledger_keys(self) -> LedgerKeys:
        """Return what a ledger works with."""
        return LedgerKeys(ledger_key=self.ledger, payload_key=self.payload)

    def log_verifier_key(self, origin: str) -> VerifierKey:
        """Return the public key of the log under its name, `assent/<who runs it>`."""
        return VerifierKey(name=origin, public_key=_raw(self.log))

    def sign_log(self, message: bytes) -> bytes:
        """Return the Ed25519 signature of a checkpoint's text, 64 bytes."""
        return self.log.sign(message)

    def grant_jwks(self) -> dict[str, Json]:
        """Return the key set that verifies grants, and nothing else (RFC 7517, RFC 8037)."""
        return {"keys": [{**_jwk(self.grant), "kid": _thumbprint(self.grant), "use": "sig", "alg": "EdDSA"}]}

    def sign_grant(self, claims: Mapping[str, Json]) -> str:
        """Return `claims` as a JWS in compact form, `typ: assent-grant+jwt`, `alg: EdDSA` (RFC 7515, RFC 8037)."""
        header = {"alg": "EdDSA", "kid": _thumbprint(self.grant), "typ": TOKEN_TYPE}
        signed = f"{_base64url_json(header)}.{_base64url_json(dict(claims))}"
        return f"{signed}.{_base64url(self.grant.sign(signed.encode()))}"


def verifier(key: VerifierKey) -> Verifier:
    """Return what opens notes that were signed by the other half of `key`."""
    public = Ed25519PublicKey.from_public_bytes(key.public_key)

    def verify(message: bytes, signature: bytes) -> bool:
        try:
            public.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return Verifier(name=key.name, key_id=key.key_id, verify=verify)


def _files(keys: Keys) -> dict[str, bytes]:
    return {
        LOG: _pem(keys.log),
        GRANT: _pem(keys.grant),
        LEDGER: keys.ledger.hex().encode() + b"\n",
        PAYLOAD: keys.payload.hex().encode() + b"\n",
    }


def _refuse_open_directory(directory: Path) -> None:
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


def _read(path: Path) -> bytes:
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


def _private_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(_read(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeysInvalid(f"`{path}` is not an Ed25519 private key in PEM (PKCS 8)", hint="put it back from a backup")
    return key


def _secret(path: Path) -> bytes:
    text = _read(path).strip()
    try:
        secret = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise KeysInvalid(f"`{path}` does not hold {KEY_BYTES} bytes in hex", hint="put it back from a backup")
    return secret


def _write(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE), "wb") as file:
        os.fchmod(file.fileno(), _FILE_MODE)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(directory: Path) -> None:
    # A key that a crash takes back would leave a ledger that nobody can read.
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _raw(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def _jwk(key: Ed25519PrivateKey) -> dict[str, Json]:
    return {"crv": "Ed25519", "kty": "OKP", "x": _base64url(_raw(key))}


def _thumbprint(key: Ed25519PrivateKey) -> str:
    # RFC 7638: SHA-256 over the required members in order, without blanks.
    return _base64url(sha256(json.dumps(_jwk(key), sort_keys=True, separators=(",", ":")).encode()).digest())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _base64url_json(value: Mapping[str, Json]) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())
