"""Fresh values: ids that sort by time, codes that people can read out, secrets, nonces. Here is all our randomness."""

import secrets
import time
from typing import Final

from assent.stores.randomness import Randomness

SECRET_BYTES: Final = 32
NONCE_BYTES: Final = 32
_TIME_DIGITS: Final = 12
_RANDOM_BYTES: Final = 10
# Read out on the telephone: no vowels, so that no code is a word, and nothing that looks like something else.
_SPOKEN: Final = "BCDFGHJKMNPQRSTVWXZ23456789"
_randomness: Final = Randomness()


def new_id(prefix: str) -> str:
    """Return `prefix`, an underscore, and 32 hex digits: 48 bits of time in milliseconds, then 80 random bits."""
    return f"{prefix}_{time.time_ns() // 1_000_000:0{_TIME_DIGITS}x}{_randomness(_RANDOM_BYTES).hex()}"


def new_code() -> str:
    """Return a code for people, such as `K7Q-4MX`; it names an approval and proves nothing."""
    letters = "".join(secrets.choice(_SPOKEN) for _ in range(6))
    return f"{letters[:3]}-{letters[3:]}"


def new_secret() -> str:
    """Return the secret half of a credential, 256 random bits."""
    return secrets.token_urlsafe(SECRET_BYTES)


def new_nonce() -> bytes:
    """Return what makes the digest of an action unguessable, 256 random bits."""
    return _randomness(NONCE_BYTES)
