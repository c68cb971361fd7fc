"""Grant tokens made by hand, so that tests can make wrong ones too."""

import base64
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from assent.core.canonical import canonical, sha256_hex

SIGNER = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
STRANGER = Ed25519PrivateKey.from_private_bytes(b"\x02" * 32)
NOW = 1_795_000_000
HEADER = {"alg": "Ed25519", "kid": "g1", "typ": "assent-grant+jwt"}


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def jwk(key: Ed25519PrivateKey, kid: str = "g1", **more: object) -> dict[str, Any]:
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "x": b64(public), "kid": kid, "use": "sig", "alg": "Ed25519"} | more


def claims(tool: str, arguments: dict[str, Any], **more: object) -> dict[str, Any]:
    return {
        "iss": "https://broker.example",
        "aud": tool,
        "sub": "deploy-bot",
        "jti": "gr_1",
        "iat": NOW,
        "nbf": NOW,
        "exp": NOW + 300,
        "act": "d" * 64,
        "nonce": "00" * 16,
        "args": sha256_hex(canonical(arguments)),
        "res": "prod/payments",
        "env": "production",
        "pol": "v1",
    } | more


def token(payload: dict[str, Any] | bytes, *, header: object = HEADER, key: Ed25519PrivateKey = SIGNER) -> str:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    signed = f"{b64(json.dumps(header).encode())}.{b64(raw)}"
    return f"{signed}.{b64(key.sign(signed.encode()))}"
