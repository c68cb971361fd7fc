"""An authenticator in software: it makes credentials and signs challenges as a phone does, and lies where a story asks.

Source: Web Authentication Level 3, §6.1 (authenticator data), §6.5 (attestation), §5.8.1 (client data).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import encode_cbor

from assent.core.passkeys import decoded, encoded

SITE: Final = "console.test"
ORIGIN: Final = "http://console.test"
PRESENT: Final = 0x01
VERIFIED: Final = 0x04
SYNCED: Final = 0x08
ATTESTED: Final = 0x40


@dataclass(slots=True, kw_only=True)
class Authenticator:
    """Somebody's phone; `count` is None for one that does not count. `flags` say present, verified, synced.

    `handles` are whose the credentials are that it keeps, and offers where none is named.
    """

    site: str = SITE
    origin: str = ORIGIN
    flags: int = PRESENT | VERIFIED
    count: int | None = 0
    name: str = "phone"
    keys: dict[bytes, EllipticCurvePrivateKey] = field(default_factory=dict)
    handles: dict[bytes, bytes] = field(default_factory=dict)

    def make(self, options: Mapping[str, Any], **lies: Any) -> str:
        """Return a new credential as a browser tells it."""
        identifier = hashlib.sha256(f"{self.name} {len(self.keys)}".encode()).digest()
        self.keys[identifier] = generate_private_key(SECP256R1())
        if options.get("authenticatorSelection", {}).get("residentKey") == "required":
            self.handles[identifier] = decoded(options["user"]["id"]) or b""
        point = self.keys[identifier].public_key().public_numbers()
        key = encode_cbor({1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")})
        attested = bytes(16) + len(identifier).to_bytes(2, "big") + identifier + key
        data = self._data(ATTESTED, lies) + attested
        client = self._client_data("webauthn.create", options, lies)
        made = {"fmt": "none", "attStmt": {}, "authData": data}
        return told(identifier, clientDataJSON=client, attestationObject=encode_cbor(made))

    def sign(self, options: Mapping[str, Any], **lies: Any) -> str:
        """Return what is signed, as a browser tells it; by `credential`, else by the first that is known."""
        named = [decoded(one["id"]) for one in options["allowCredentials"]] or list(self.handles)
        identifier: bytes = lies.get("credential") or next(one for one in named if one in self.keys)
        data = self._data(0, lies)
        client = self._client_data("webauthn.get", options, lies)
        signed = data + hashlib.sha256(client).digest()
        signature = self.keys[lies.get("key", identifier)].sign(signed, ECDSA(SHA256()))
        parts = {"clientDataJSON": client, "authenticatorData": data, "signature": signature}
        if not options["allowCredentials"]:
            parts["userHandle"] = self.handles[identifier]
        return told(
            identifier, **(parts | {name: value for name, value in lies.items() if name in {*parts, "userHandle"}})
        )

    def _data(self, more: int, lies: Mapping[str, Any]) -> bytes:
        if self.count is not None:
            self.count += 1
        count = lies.get("count", self.count or 0)
        site = hashlib.sha256(lies.get("site", self.site).encode()).digest()
        return site + bytes([lies.get("flags", self.flags) | more]) + int(count).to_bytes(4, "big")

    def _client_data(self, kind: str, options: Mapping[str, Any], lies: Mapping[str, Any]) -> bytes:
        facts = {"type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": False}
        return json.dumps(facts | {name: lies[name] for name in (*facts, "topOrigin") if name in lies}).encode()


def told(identifier: bytes, **response: bytes) -> str:
    """Return an answer as the page's script sends it."""
    parts = {name: encoded(value) for name, value in response.items()}
    name = encoded(identifier)
    return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": parts})
