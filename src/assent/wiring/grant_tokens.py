"""Opens grant tokens that this very broker signed; nothing that a token says about itself is believed before that.

Source: RFC 7515 §5.2, RFC 8032.
"""

from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from assent.core.canonical import BadJson, Json, parse
from assent.stores.keys import token_header

OpenGrant = Callable[[str], Mapping[str, Json] | None]

MAX_TOKEN_CHARACTERS: Final = 16_384
_PARTS: Final = 3


def grant_opener(public_key: bytes) -> OpenGrant:
    """Return the function that gives the claims of a token that this key of ours signed, or None for anything else."""
    public = Ed25519PublicKey.from_public_bytes(public_key)
    # The header of every such token is the same text: type, algorithm and key id are compared, never read.
    header = token_header(public_key)

    def open_grant(token: str) -> Mapping[str, Json] | None:
        parts = token.split(".")
        # (1) form and header
        if len(token) > MAX_TOKEN_CHARACTERS or len(parts) != _PARTS or parts[0] != header:
            return None
        try:
            # (2) signature, over the text as it was sent
            public.verify(_decoded(parts[2]), f"{parts[0]}.{parts[1]}".encode())
            # (3) claims
            claims = parse(_decoded(parts[1]))
        except (InvalidSignature, BadJson, ValueError):
            return None
        return claims if isinstance(claims, dict) else None

    return open_grant


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))
