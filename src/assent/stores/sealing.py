"""What the ledger's two secret keys do: MACs over rows, blinded lookups, payloads sealed with AES-256-GCM.

Every use has a subkey of its own (HKDF with a label), so that no output of one can be passed off as another's. A
sealed payload is bound to its place (table and id): moved to another row it does not open.
"""

from hashlib import sha256
from hmac import compare_digest
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from assent.core.errors import Forged
from assent.stores.packing import Value, pack, unpack
from assent.stores.randomness import Randomness

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12  # random; NIST SP 800-38D allows 2^32 payloads under one key
_SEALED_V1: Final = b"\x01"


def derive(key: bytes, label: str) -> bytes:
    """Return the 32-byte subkey of `key` for `label` (HKDF-SHA256, RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=label.encode()).derive(key)


class _Mac:
    """HMAC-SHA256 (RFC 2104) with the key hashed once: a third of the cost of starting from the key each time."""

    def __init__(self, key: bytes) -> None:
        block = key.ljust(sha256().block_size, b"\x00")
        self._inner = sha256(bytes(byte ^ _INNER_PAD for byte in block))
        self._outer = sha256(bytes(byte ^ _OUTER_PAD for byte in block))

    def of(self, message: bytes) -> bytes:
        """Return the MAC of `message`, 32 bytes."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()


_INNER_PAD: Final = 0x36
_OUTER_PAD: Final = 0x5C


class LedgerKeys:
    """The subkeys that a ledger works with; none of them is ever stored in it."""

    def __init__(self, *, ledger_key: bytes, payload_key: bytes) -> None:
        self._rows = _Mac(derive(ledger_key, "assent/rows/v1"))
        self._blinds = _Mac(derive(ledger_key, "assent/blinds/v1"))
        self._random = Randomness()
        self._payloads = AESGCM(derive(payload_key, "assent/payloads/v1"))

    def mac(self, table: str, values: tuple[Value, ...]) -> bytes:
        """Return the MAC of a row: HMAC-SHA256 over the table's name and every stored column, 32 bytes."""
        return self._rows.of(pack((table, *values)))

    def check(self, table: str, values: tuple[Value, ...], mac: Value) -> None:
        """Believe a row, or refuse it.

        Raises:
            Forged: it does not carry the MAC of these values.

        """
        if not isinstance(mac, bytes) or not compare_digest(mac, self.mac(table, values)):
            raise Forged(
                f"a row of `{table}` was not written by a broker with this ledger key",
                hint="somebody changed the database: run `assent audit verify`, keep a copy, restore a backup",
            )

    def blind(self, purpose: str, value: bytes) -> bytes:
        """Return a MAC of `value` that says nothing about it and compares only within `purpose`, 32 bytes."""
        if "\x00" in purpose:
            raise ValueError("a purpose cannot hold NUL")
        return self._blinds.of(purpose.encode() + b"\x00" + value)

    def seal(self, table: str, key: str, values: tuple[Value, ...]) -> bytes:
        """Return `values` encrypted, and bound to the row `key` of `table`."""
        nonce = self._random(_NONCE_BYTES)
        return _SEALED_V1 + nonce + self._payloads.encrypt(nonce, pack(values), _place(table, key))

    def unseal(self, table: str, key: str, sealed: Value) -> tuple[Value, ...]:
        """Return what was sealed for this row; None holds nothing.

        Raises:
            Forged: it was sealed under another key, for another row, or changed.

        """
        if sealed is None:
            return ()
        if not isinstance(sealed, bytes) or sealed[:1] != _SEALED_V1:
            raise Forged(f"a payload of `{table}` is not in a form that was ever written")
        nonce, box = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return unpack(self._payloads.decrypt(nonce, box, _place(table, key)))
        except (InvalidTag, ValueError):
            raise Forged(
                f"a payload of `{table}` does not open with this payload key",
                hint="check that `payload_key` is the one this ledger was written with",
            ) from None


def _place(table: str, key: str) -> bytes:
    # No table's name holds NUL, so no two places read alike.
    return f"{table}\x00{key}".encode()
