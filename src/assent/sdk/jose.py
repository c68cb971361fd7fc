"""The one place that touches joserfc: a compact JWS of exactly our type, verified with one published Ed25519 key.

Loaded only by who verifies grants (extra `verify`). Rules kept here: the algorithm is never taken from the token
beyond its two names for Ed25519; a header that carries anything but type, algorithm and key id is refused, so that no
key, url or critical extension of the token's own choosing is ever looked at.
"""

from collections.abc import Mapping
from typing import Any, Final

from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import OKPKey
from joserfc.jws import CompactSignature, JWSRegistry, extract_compact, validate_compact

TOKEN_TYPE: Final = "assent-grant+jwt"
ALGORITHMS: Final = frozenset({"Ed25519", "EdDSA"})  # RFC 9864: one signature, its new and its old name
MAX_TOKEN_CHARACTERS: Final = 16_384


class Unverified(Exception):
    """The token is not what it has to be; the message says in what."""


class _Ed25519Only(JWSRegistry):
    """Hands out Ed25519 for both of its names (joserfc would take Ed448 for the old one, and warn)."""

    def get_alg(self, name: str) -> Any:  # noqa: ANN401  # the model's type is private to joserfc
        if name not in ALGORITHMS:
            raise UnsupportedAlgorithmError(name)
        return self.algorithms["Ed25519"]


def verified_payload(token: str, jwks: Mapping[str, Any]) -> bytes:
    """Return the payload of `token` once its signature holds under the key that its `kid` names in `jwks`.

    Raises:
        Unverified: form, type, algorithm, key or signature are not right.

    """
    if len(token) > MAX_TOKEN_CHARACTERS or not token.isascii():
        raise Unverified("the token is malformed")
    registry = _Ed25519Only(algorithms=sorted(ALGORITHMS))
    try:
        signed = extract_compact(token.encode(), registry=registry)
        key = OKPKey.import_key(_published_key(jwks, _key_id(signed)))
        sound = validate_compact(signed, key, registry=registry)
    except (JoseError, ValueError, TypeError) as fault:
        raise Unverified("the token is malformed") from fault
    if not sound or signed.payload is None:
        raise Unverified("the token's signature does not hold")
    return signed.payload


def _key_id(signed: CompactSignature) -> str:
    header = signed.headers()
    if header.keys() != {"typ", "alg", "kid"}:
        raise Unverified("the token's header holds other fields than typ, alg and kid")
    if header["typ"] != TOKEN_TYPE:
        raise Unverified("the token is of another type")
    if header["alg"] not in ALGORITHMS:
        raise Unverified("the token is signed with another algorithm")
    if not isinstance(header["kid"], str) or not header["kid"]:
        raise Unverified("the token names no key")
    return header["kid"]


def _published_key(jwks: Mapping[str, Any], key_id: str) -> dict[str, Any]:
    named = [key for key in jwks.get("keys") or () if isinstance(key, Mapping) and key.get("kid") == key_id]
    if len(named) != 1:
        raise Unverified("the token is signed with a key that the broker does not publish")
    key = named[0]
    if key.get("kty") != "OKP" or key.get("crv") != "Ed25519" or key.get("use", "sig") != "sig":
        raise Unverified("the token names a key that is not for signing grants")
    return {name: key[name] for name in ("kty", "crv", "x") if name in key}
