"""One message to one address over HTTP: sent once, and taken where the answer is one from 200 to 299.

A redirection is not followed: the address that was configured is the one that was meant.
"""

import http.client
import ssl
from collections.abc import Mapping
from contextlib import closing
from typing import Final
from urllib.parse import urlsplit

TIMEOUT_SECONDS: Final = 4.0
_TAKEN: Final = range(200, 300)
_HTTPS: Final = "https"


def post(url: str, body: bytes, headers: Mapping[str, str]) -> bool:
    """Return whether the other side took `body`; what goes wrong on the way is a no."""
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        with closing(_connection(parts.scheme, parts.hostname or "", parts.port)) as connection:
            connection.request("POST", path, body=body, headers=dict(headers))
            return connection.getresponse().status in _TAKEN
    except (OSError, http.client.HTTPException):
        return False


def _connection(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme == _HTTPS:
        verified = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_SECONDS, context=verified)
    return http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
