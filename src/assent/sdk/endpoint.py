"""Where the broker is, which key opens it, and how long and how much the SDK takes at most.

Rules kept here: a key goes to the one host it was given for; it never travels in the clear beyond this machine unless
the caller says why; everything unclear is refused before the first byte leaves.
"""

import hashlib
import os
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from assent.core.characters import visible
from assent.core.credentials import PREFIXES, Kind
from assent.sdk import given
from assent.sdk.errors import ConfigurationError

URL_VARIABLE: Final = "ASSENT_URL"
KEY_VARIABLES: Final = {Kind.AGENT: "ASSENT_AGENT_KEY", Kind.SERVICE: "ASSENT_SERVICE_KEY"}

_HOST = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*|[0-9A-Fa-f.]*:[0-9A-Fa-f:.]+")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*")
_VISIBLE = re.compile(r"[!-\[\]-~]+")  # no backslash: some readers take it for a slash
_SECRET = re.compile(r"[!-~]{8,512}")
_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long and how much at most; every unit is in the name.

    `answer_seconds` bounds one try from the first byte sent to the last byte read; `exchange_seconds` bounds all tries
    and pauses of one call; `outage_seconds` bounds how long a wait for a human survives a broker that is away.
    """

    connect_seconds: float = 3.0
    answer_seconds: float = 5.0
    exchange_seconds: float = 15.0
    outage_seconds: float = 120.0
    poll_seconds: int = 25
    longest_wait_seconds: float = 7 * 86_400.0
    tries: int = 3
    first_pause_seconds: float = 0.2
    longest_pause_seconds: float = 2.0
    answer_bytes: int = 4_194_304
    idle_connections: int = 8


DEFAULT_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One broker and the key for it."""

    host: str
    port: int
    tls: bool
    prefix: str
    key: str = field(repr=False)

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def name(self) -> str:
        """A short name for files of this endpoint and key that tells nothing about the key."""
        parts = f"assent/endpoint/v1\0{self.authority}\0{self.prefix}\0{self.key}"
        return hashlib.sha256(parts.encode()).hexdigest()[:16]


def endpoint(url: str | None, key: str | None, *, kind: Kind, unsafe_plain_http: str | None = None) -> Endpoint:
    """Return the checked endpoint; what is not given comes from the environment.

    Raises:
        ConfigurationError: something is missing, malformed, of the wrong kind, or would send the key in the clear.

    """
    url = given.text_or_none("url", url) or os.environ.get(URL_VARIABLE)
    if not url:
        raise ConfigurationError("no broker is named", hint=f"pass its url or set {URL_VARIABLE}")
    if key is not None and not isinstance(key, str):
        raise ConfigurationError(f"this is no {kind} key", hint=f"pass the text of one, or set {KEY_VARIABLES[kind]}")
    key = os.environ.get(KEY_VARIABLES[kind]) if key is None else key
    return _checked(url, _checked_key(key, kind), unsafe_plain_http)


def _checked(url: str, key: str, unsafe_plain_http: str | None) -> Endpoint:
    refused = ConfigurationError(
        f"`{visible(url[:200])}` is not the address of a broker", hint="write it as https://HOST[:PORT][/PREFIX]"
    )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise refused from None
    if (
        parts.scheme not in {"http", "https"}
        or "@" in parts.netloc
        or parts.query
        or parts.fragment
        or not _VISIBLE.fullmatch(url)
    ):
        raise refused
    prefix = parts.path.rstrip("/")
    if not _HOST.fullmatch(host) or not _PREFIX.fullmatch(prefix) or port == 0:
        raise refused
    tls = parts.scheme == "https"
    if not tls and not _LOOPBACK.fullmatch(host) and not unsafe_plain_http:
        raise ConfigurationError(
            f"a key would travel unencrypted to `{host}`",
            hint="use https, or say why not: unsafe_plain_http='the reason'",
        )
    return Endpoint(host=host, port=port or (443 if tls else 80), tls=tls, prefix=prefix, key=key)


def _checked_key(key: str | None, kind: Kind) -> str:
    if not key:
        raise ConfigurationError(f"no {kind} key is given", hint=f"pass key= or set {KEY_VARIABLES[kind]}")
    if not key.startswith(PREFIXES[kind]):
        raise ConfigurationError(f"this is no {kind} key", hint=f"keys of this kind begin with `{PREFIXES[kind]}`")
    if not _SECRET.fullmatch(key):
        raise ConfigurationError(
            "this is no whole key: it is cut off, or holds characters that no key has",
            hint="copy it again, whole and without line breaks",
        )
    return key
