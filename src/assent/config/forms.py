"""What single settings are made of: kinds to choose from, and the forms that addresses and names must have."""

import ipaddress
import re
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Final
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ConfigDict, field_validator

URL: Final = re.compile(r"https?://[^\s/?#@\\]+(/[^\s?#\\]*)?")
TO_A_WEBHOOK: Final = re.compile(
    r"https://[A-Za-z0-9.\-\[\]:]+(/[!-~]*)?|http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?(/[!-~]*)?"
)
WRITE_WEBHOOK: Final = "write it as https://HOST[:PORT]/PATH; plain http only to this machine"
ON_THIS_MACHINE: Final = re.compile(r"http://127\.0\.0\.1:[0-9]{1,5}/[a-z/]*")
SLACK_CHANNEL: Final = re.compile(r"[CG][A-Z0-9]{2,30}")
ORIGIN: Final = re.compile(r"[!-*,-~]{1,128}")
NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
LOOPBACK: Final = ("127.0.0.1", "::1")
ISSUER: Final = re.compile(
    r"https://[A-Za-z0-9.\-\[\]:]+(/[^\s?#\\]*)?|http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?(/[^\s?#\\]*)?"
)
SENDER: Final = re.compile(r"[!-?A-~]{1,64}@[A-Za-z0-9.-]{1,190}")


class LogFormat(StrEnum):
    """How the operational log is written."""

    AUTO = "auto"
    JSON = "json"
    PRETTY = "pretty"


class LogLevel(StrEnum):
    """The least important event that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class WebhookKind(StrEnum):
    """What the other side of a webhook understands."""

    SIGNED = "signed"
    PAGERDUTY = "pagerduty"


class MailSecurity(StrEnum):
    """How the connection to the mail server is protected."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


class WebhookSettings(BaseModel):
    """Where approvals are told to a program: `secret_file` holds what signs them, or PagerDuty's integration key."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)

    url: str
    kind: WebhookKind = WebhookKind.SIGNED
    secret_file: Path

    @field_validator("url")
    @classmethod
    def _is_safe_to_tell(cls, value: str) -> str:
        if not TO_A_WEBHOOK.fullmatch(value):
            raise ValueError(WRITE_WEBHOOK)
        return value


def refuse_unsafe_database(url: str) -> None:
    """Return only for the URL of a PostgreSQL database that holds no secret, and is not read on the way to it.

    Raises:
        ValueError: it is none, a password stands in it, or it leads to another machine without checking who answers.

    """
    try:
        parts = urlsplit(url)
        asked, named = parse_qs(parts.query), parts.hostname
    except ValueError:
        raise ValueError("write it as postgresql://ROLE@HOST/DATABASE?sslmode=verify-full") from None
    if parts.scheme not in {"postgresql", "postgres"} or not parts.path.strip("/"):
        raise ValueError("write it as postgresql://ROLE@HOST/DATABASE?sslmode=verify-full")
    if parts.password is not None or "password" in asked:
        raise ValueError("a password stands in it: put that into `ledger_password_file`")
    hosts = [host for given in (named or "", *asked.get("host", ())) for host in given.split(",") if host]
    is_here = all(host.startswith("/") or is_loopback(host) for host in hosts)
    if not is_here and asked.get("sslmode") != ["verify-full"]:
        raise ValueError("it leads to another machine, and nobody checks which one answers: add `?sslmode=verify-full`")


def is_loopback(host: str) -> bool:
    """Return whether only this machine is meant by `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def network(written: str) -> str:
    """Return an address, or a network such as 10.0.4.0/24, as it is compared.

    Raises:
        ValueError: it is none, or means everybody.

    """
    try:
        found = ipaddress.ip_network(written)
    except ValueError:
        raise ValueError("write addresses, or networks such as 10.0.4.0/24 without bits behind the mask") from None
    if found.prefixlen == 0:
        raise ValueError("that is everybody, and everybody could say that they are somebody else")
    return str(found.network_address) if found.num_addresses == 1 else str(found)


def is_address(place: str) -> bool:
    """Return whether a place is meant as an address, and not as a file."""
    return "://" in place or place.startswith("slack:")
