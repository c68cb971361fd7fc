"""Requests that claim to come from Slack: signed over the raw bytes, no older and no newer than five minutes.

Whatever is wrong with a request, however odd, the answer is no; nothing of it is parsed before. A request that was seen
before is refused by whoever keeps count (`fingerprint`): the signature alone lets it through again for five minutes.
"""

import hmac
import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

WINDOW_SECONDS: Final = 300
_VERSION: Final = b"v0"
_TIMESTAMP: Final = re.compile(rb"[0-9]{1,12}")


def is_from_slack(
    body: bytes, *, timestamp: bytes | None, signature: bytes | None, secrets: Sequence[bytes], now_seconds: float
) -> bool:
    """Whether Slack signed `body` with one of `secrets` within five minutes of now.

    `timestamp` and `signature` are the headers as they came; there are two secrets while one is being replaced.
    Source: Slack's documentation on verifying requests, `v0`.
    """
    if timestamp is None or signature is None or _TIMESTAMP.fullmatch(timestamp) is None:
        return False
    if abs(now_seconds - int(timestamp)) > WINDOW_SECONDS:
        return False
    signed = b":".join((_VERSION, timestamp, body))
    # All of them are tried, so that how long it takes does not say which one fits.
    fits = [hmac.compare_digest(_signature(secret, signed), signature) for secret in secrets if secret]
    return any(fits)


def _signature(secret: bytes, signed: bytes) -> bytes:
    return b"v0=" + hmac.new(secret, signed, sha256).hexdigest().encode()


def fingerprint(signature: bytes) -> str:
    """Return what tells one request from every other, to be claimed once within the window."""
    return sha256(signature).hexdigest()
