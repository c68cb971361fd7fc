"""Passkey forms: what a page asks of a browser and what comes back, as JSON; nothing here is believed yet.

The names are those of Web Authentication Level 3, §5.1.8 to §5.1.10, so that a browser's own functions read and write
them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from assent.core.canonical import BadJson, Json, parse
from assent.core.passkeys import CHALLENGE_LIVES, Passkey, decoded, encoded

MAX_ANSWER_BYTES: Final = 49_152
MAX_CREDENTIAL_BYTES: Final = 1_023
MAX_PART_BYTES: Final = 4_096
MAX_ATTESTATION_BYTES: Final = 24_576
_SIGNED_BY: Final = "public-key"
# ES256, EdDSA and RS256: what phones, laptops and keys sign with.
ALGORITHMS: Final = (-7, -8, -257)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """What an authenticator answered to a challenge; `handle` is empty where it names nobody."""

    credential: bytes
    client_data: bytes
    authenticator_data: bytes
    signature: bytes
    handle: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """What an authenticator answered that made a new credential."""

    credential: bytes
    client_data: bytes
    attestation_object: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Attested:
    """What was proven about a new credential: its public key in COSE form, its count, whether it may be copied."""

    public_key: bytes
    sign_count: int
    synced: bool = False


@dataclass(frozen=True, slots=True)
class Unproven:
    """An answer that proves nothing, and why, for an operator to read."""

    why: str


def read_assertion(text: str) -> Assertion | None:
    """Return an answer to a challenge, or None for what is none."""
    parts = _parts(text)
    if parts is None:
        return None
    credential, response = parts
    client_data, data, signature = (
        _part(response, name) for name in ("clientDataJSON", "authenticatorData", "signature")
    )
    handle = b"" if response.get("userHandle") is None else _part(response, "userHandle", least=0)
    if client_data is None or data is None or signature is None or handle is None or not _is_ours(client_data):
        return None
    return Assertion(
        credential=credential, client_data=client_data, authenticator_data=data, signature=signature, handle=handle
    )


def read_attestation(text: str) -> Attestation | None:
    """Return a new credential as a browser told it, or None for what is none."""
    parts = _parts(text)
    if parts is None:
        return None
    credential, response = parts
    client_data = _part(response, "clientDataJSON")
    attested = _part(response, "attestationObject", most=MAX_ATTESTATION_BYTES)
    if client_data is None or attested is None or not _is_ours(client_data):
        return None
    return Attestation(credential=credential, client_data=client_data, attestation_object=attested)


def _parts(text: str) -> tuple[bytes, Mapping[str, Json]] | None:
    try:
        told = parse(text.encode(), max_bytes=MAX_ANSWER_BYTES)
    except (BadJson, UnicodeEncodeError):
        return None
    if not isinstance(told, dict) or told.get("type") != _SIGNED_BY or told.get("id") != told.get("rawId"):
        return None
    response, credential = told.get("response"), _part(told, "id", most=MAX_CREDENTIAL_BYTES)
    return None if credential is None or not isinstance(response, dict) else (credential, response)


def _part(told: Mapping[str, Json], name: str, *, least: int = 1, most: int = MAX_PART_BYTES) -> bytes | None:
    value = told.get(name)
    data = decoded(value) if isinstance(value, str) else None
    return data if data is not None and least <= len(data) <= most else None


def _is_ours(client_data: bytes) -> bool:
    # The library compares the origin, and not whether our page stood in a frame of somebody else's.
    try:
        told = parse(client_data)
    except BadJson:
        return False
    return isinstance(told, dict) and told.get("crossOrigin", False) is False and "topOrigin" not in told


def creation(challenge: bytes, *, site: str, operator: str, handle: bytes, held: Sequence[Passkey]) -> dict[str, Json]:
    """Return what a browser is asked to make a new credential of; none that is among `held` already.

    The authenticator keeps it together with whose it is, so that it signs in where no name is typed.
    """
    return {
        "challenge": encoded(challenge),
        "rp": {"id": site, "name": "Assent"},
        "user": {"id": encoded(handle), "name": operator, "displayName": operator},
        "pubKeyCredParams": [{"type": _SIGNED_BY, "alg": one} for one in ALGORITHMS],
        "excludeCredentials": _named(held),
        "authenticatorSelection": {
            "userVerification": "required",
            "residentKey": "required",
            "requireResidentKey": True,
        },
        "attestation": "none",
        "timeout": _milliseconds(),
    }


def request(challenge: bytes, *, site: str, held: Sequence[Passkey]) -> dict[str, Json]:
    """Return what a browser is asked to have signed, by one of `held`, with a finger or a PIN.

    With none in `held` the person chooses among those that their authenticators keep for this site.
    """
    return {
        "challenge": encoded(challenge),
        "rpId": site,
        "allowCredentials": _named(held),
        "userVerification": "required",
        "timeout": _milliseconds(),
    }


def _named(held: Sequence[Passkey]) -> list[Json]:
    return [{"type": _SIGNED_BY, "id": encoded(one.credential)} for one in held]


def _milliseconds() -> int:
    return int(CHALLENGE_LIVES.total_seconds() * 1_000)


def evidence(shown: Assertion) -> dict[str, Json]:
    """Return what was signed and the signature, as a record keeps it, to be checked with the public key."""
    return {
        "credential": encoded(shown.credential),
        "client_data": encoded(shown.client_data),
        "authenticator_data": encoded(shown.authenticator_data),
        "signature": encoded(shown.signature),
    }
