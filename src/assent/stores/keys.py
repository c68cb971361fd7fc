"""The broker's four keys: made once, kept in files for their owner alone, never in the database.

    keys = Keys.create(directory) | Keys.load(directory)
    keys.ledger_keys()              what `SqliteLedger.open` takes
    keys.log_verifier_key(origin)   the public key that auditors get; `keys.sign_log(bytes)` signs with its other half
    keys.grant_jwks(), keys.sign_grant(claims)

Rules kept here:
- Existing keys are never overwritten: a ledger whose key is gone cannot be believed again, whatever new key is made.
  The two that sign may hand over to new ones (`stores.rotation`); the two that a ledger is written with cannot.
"""

import base64
import json
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from assent.core.canonical import Json
from assent.core.errors import KeysInvalid
from assent.core.grants import TOKEN_TYPE
from assent.core.handovers import KeyUse
from assent.core.notes import Verifier, VerifierKey
from assent.stores.key_files import (
    make_directory,
    pem,
    public_half,
    read_secret,
    read_signing_key,
    sync,
    write_new,
)
from assent.stores.key_places import GRANT, LEDGER, LOG, NAMES, PAYLOAD, KeyPlaces, places_at
from assent.stores.sealing import KEY_BYTES, LedgerKeys, derive

GRANT_NAME: Final = "assent/grant"
_ID_BYTES: Final = 4


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
        make_directory(directory)
        if there := [name for name in NAMES if os.path.lexists(directory / name)]:
            raise KeysInvalid(
                f"`{directory / there[0]}` exists already and keys are never overwritten",
                hint="use the keys that are there, or another directory",
            )
        keys = cls.generate()
        for name, content in _files(keys).items():
            write_new(directory / name, content)
        sync(directory)
        return keys

    @classmethod
    def load(cls, where: Path | KeyPlaces) -> Self:
        """Read the keys from a directory that holds all of them, or from their places.

        Raises:
            KeysInvalid: one is missing, malformed or open to others; the hint is the command that helps.

        """
        places = places_at(where)
        places.refuse_open()
        return cls(
            log=read_signing_key(places.file(LOG)),
            grant=read_signing_key(places.file(GRANT)),
            ledger=read_secret(places.file(LEDGER)),
            payload=read_secret(places.file(PAYLOAD)),
        )

    def ledger_keys(self) -> LedgerKeys:
        """Return what a ledger works with."""
        return LedgerKeys(ledger_key=self.ledger, payload_key=self.payload)

    def signing_key(self, use: KeyUse) -> Ed25519PrivateKey:
        """Return the private key that signs for `use`."""
        return self.log if use is KeyUse.LOG else self.grant

    def verifier_key(self, use: KeyUse, origin: str) -> VerifierKey:
        """Return the public key that signs for `use`: the log's under its origin, that of grants under one name."""
        name = origin if use is KeyUse.LOG else GRANT_NAME
        return VerifierKey(name=name, public_key=public_half(self.signing_key(use)))

    def log_verifier_key(self, origin: str) -> VerifierKey:
        """Return the public key of the log under its name, `assent/<who runs it>`."""
        return self.verifier_key(KeyUse.LOG, origin)

    def sign_log(self, message: bytes) -> bytes:
        """Return the Ed25519 signature of a checkpoint's text, 64 bytes."""
        return self.log.sign(message)

    def grant_jwks(self) -> dict[str, Json]:
        """Return the key set that verifies grants, and nothing else (RFC 7517, RFC 8037)."""
        return key_set((public_half(self.grant),))

    def sign_grant(self, claims: Mapping[str, Json]) -> str:
        """Return `claims` as a JWS in compact form, `typ: assent-grant+jwt`, `alg: EdDSA` (RFC 7515, RFC 8037)."""
        signed = f"{token_header(public_half(self.grant))}.{_base64url_json(dict(claims))}"
        return f"{signed}.{_base64url(self.grant.sign(signed.encode()))}"


@lru_cache(maxsize=64)
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


def key_set(public_keys: Iterable[bytes]) -> dict[str, Json]:
    """Return the key set that verifies grants signed with any of these keys, 32 bytes each (RFC 7517, RFC 8037)."""
    return {"keys": [{**_jwk(key), "kid": thumbprint(key), "use": "sig", "alg": "EdDSA"} for key in public_keys]}


@lru_cache(maxsize=64)
def token_header(public_key: bytes) -> str:
    """Return the first part of every token that the other half of this key signs."""
    return _base64url_json({"alg": "EdDSA", "kid": thumbprint(public_key), "typ": TOKEN_TYPE})


def thumbprint(public_key: bytes) -> str:
    """Return the id of a key that signs grants: SHA-256 over the required members in order (RFC 7638)."""
    members = json.dumps(_jwk(public_key), sort_keys=True, separators=(",", ":"))
    return _base64url(sha256(members.encode()).digest())


def secret_id(secret: bytes) -> str:
    """Return a name for a secret key that says nothing about it, 8 hex digits."""
    return derive(secret, "assent/key-id/v1")[:_ID_BYTES].hex()


def _files(keys: Keys) -> dict[str, bytes]:
    return {
        LOG: pem(keys.log),
        GRANT: pem(keys.grant),
        LEDGER: keys.ledger.hex().encode() + b"\n",
        PAYLOAD: keys.payload.hex().encode() + b"\n",
    }


def _jwk(public_key: bytes) -> dict[str, Json]:
    return {"crv": "Ed25519", "kty": "OKP", "x": _base64url(public_key)}


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _base64url_json(value: Mapping[str, Json]) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())
