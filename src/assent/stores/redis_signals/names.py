"""Under which names things lie in Redis: keyed hashes, since the name of a counter tells what was asked for.

All keys of one ledger's brokers share a hash tag, so in a cluster they lie in one slot and one call reaches them.
`SHAPE` is part of every key: who counts in another shape counts apart.
"""

import base64
from functools import lru_cache
from hashlib import blake2b
from typing import Final

SHAPE: Final = 1
_BYTES: Final = 15
_NAMES_REMEMBERED: Final = 4_096


class Names:
    """Makes names with a secret of 32 bytes that all brokers of a ledger have."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        own = f"assent-{self._hashed('the brokers of one ledger')[:10]}"
        self.counts = f"{{{own}}}:{SHAPE}:counts"
        self.channel = f"{own}:{SHAPE}:wake"
        self._prefix = f"{{{own}}}:{SHAPE}"
        self._hashed_lately = lru_cache(_NAMES_REMEMBERED)(self._hashed)

    def counter(self, name: str) -> str:
        """Return the field of a counter."""
        return f"#{self._hashed_lately(name)}"

    def bucket(self, name: str) -> str:
        """Return the key of a bucket."""
        return f"{self._prefix}:bucket:{self._hashed(name)}"

    def claim(self, name: str) -> str:
        """Return the key of something that is claimed."""
        return f"{self._prefix}:claim:{self._hashed(name)}"

    def _hashed(self, name: str) -> str:
        hashed = blake2b(name.encode("utf-8", "surrogatepass"), key=self._secret, digest_size=_BYTES).digest()
        return base64.urlsafe_b64encode(hashed).decode()
