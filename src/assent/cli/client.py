"""HTTP as an operator: one request at a time, credentials from where only their owner can read them.

A problem document becomes a `Refused` with its code; a broker that gives no answer becomes `Unreachable`, which names
the URL that was tried.
"""

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from assent.core.canonical import BadJson, Json, parse
from assent.core.credentials import PREFIXES, Kind
from assent.core.errors import AssentError
from assent.sdk.endpoint import Endpoint, Limits, endpoint
from assent.sdk.http import Lost, Request, Response
from assent.sdk.sockets import SocketDriver

URL_VARIABLE: Final = "ASSENT_URL"
TOKEN_VARIABLE: Final = "ASSENT_OPERATOR_TOKEN"
DEFAULT_URL: Final = "http://127.0.0.1:8420"
CREDENTIALS_FILE: Final = Path(".config/assent/credentials")
FIRST_BAD_STATUS: Final = 400
MAX_DEPTH: Final = 96
LIMITS: Final = Limits(connect_seconds=3.0, answer_seconds=10.0, answer_bytes=64 * 1024 * 1024)


class Unreachable(AssentError):
    """No broker answered."""

    code = "unreachable"


class Refused(AssentError):
    """The broker said no: `code` is the problem's, `document` the whole problem."""

    def __init__(self, code: str, message: str, *, hint: str | None, document: Mapping[str, Any]) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.document = document


class NoCredential(AssentError):
    """There is no operator token, or it lies where others can read it."""

    code = "no_credential"


@dataclass(frozen=True, slots=True)
class Heard:
    """A successful answer: its status, its JSON as sent, and as values."""

    status: int
    raw: bytes
    body: Any


class Client:
    """Speaks to one broker with one operator token."""

    def __init__(self, where: Endpoint, limits: Limits = LIMITS) -> None:
        self._where = where
        self._driver = SocketDriver(where, limits)

    @property
    def url(self) -> str:
        """The address that requests go to."""
        return f"{'https' if self._where.tls else 'http'}://{self._where.authority}{self._where.prefix}"

    def get(self, *path: str, **query: str | int | list[str] | None) -> Heard:
        """Return the answer to GET; each of `path` is one segment, None in `query` is left out.

        Raises:
            Refused: the broker said no.
            Unreachable: it said nothing.

        """
        given = {name: value for name, value in query.items() if value is not None}
        asked = f"?{urlencode(given, doseq=True)}" if given else ""
        return self._heard(Request(method="GET", path=_path(path) + asked))

    def post(self, *path: str, body: Mapping[str, Json]) -> Heard:
        """Return the answer to POST; None in `body` is left out. Raises as `get`."""
        given = {name: value for name, value in body.items() if value is not None}
        return self._heard(Request(method="POST", path=_path(path), body=json.dumps(given).encode()))

    def _heard(self, request: Request) -> Heard:
        answer = self._driver.perform(request)
        if not isinstance(answer, Response):
            why = answer.why if isinstance(answer, Lost) else "no answer"
            raise Unreachable(
                f"no broker answers at `{self.url}`: {why}",
                hint=f"start it with `assent serve`, or set {URL_VARIABLE} to where it is",
            )
        body = self._values(answer)
        if answer.status >= FIRST_BAD_STATUS:
            raise _refused(body)
        return Heard(answer.status, answer.body, body)

    def _values(self, answer: Response) -> Any:  # noqa: ANN401  # bytes enter here
        try:
            return parse(answer.body, max_bytes=LIMITS.answer_bytes, max_depth=MAX_DEPTH)
        except BadJson:
            raise Unreachable(
                f"what answers at `{self.url}` is no broker (HTTP {answer.status}, no JSON)",
                hint=f"check {URL_VARIABLE}",
            ) from None


def connect(limits: Limits = LIMITS) -> Client:
    """Return a client for the broker and the operator that environment or credentials file name.

    Raises:
        NoCredential: neither names an operator token, or the file can be read by others.

    """
    url = os.environ.get(URL_VARIABLE) or _kept().get("url") or DEFAULT_URL
    token = operator_token()
    if not token.startswith(PREFIXES[Kind.OPERATOR]) or not token.isascii() or not token.isprintable():
        raise NoCredential(
            f"{token_source()} holds no operator token",
            hint=f"one begins with `{PREFIXES[Kind.OPERATOR]}` and has no line break; `assent init` printed it",
        )
    return Client(endpoint(url, token, kind=Kind.OPERATOR), limits)


def token_source() -> str:
    """Return what the operator token is taken from."""
    return TOKEN_VARIABLE if os.environ.get(TOKEN_VARIABLE) else f"`operator_token` in ~/{CREDENTIALS_FILE}"


def operator_token() -> str:
    """Return the operator token that environment or credentials file name. Raises NoCredential as `connect`."""
    token = os.environ.get(TOKEN_VARIABLE) or _kept().get("operator_token")
    if not token:
        raise NoCredential(
            "no operator token is set",
            hint=f"set {TOKEN_VARIABLE} to the token that `assent init` printed, or keep it in ~/{CREDENTIALS_FILE}",
        )
    return token


def _kept() -> dict[str, str]:
    file = Path.home() / CREDENTIALS_FILE
    if not file.is_file():
        return {}
    if file.stat().st_mode & 0o077:
        raise NoCredential(f"`{file}` can be read by others", hint=f"run `chmod 600 {file}` and issue a new token")
    try:
        kept = tomllib.loads(file.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise NoCredential(f"`{file}` is not TOML", hint='write `operator_token = "aso_…"` and `url = "…"`') from None
    return {name: value for name, value in kept.items() if isinstance(value, str)}


def _path(segments: tuple[str, ...]) -> str:
    return "/" + "/".join(quote(segment, safe="") for segment in segments)


def _refused(problem: object) -> Refused:
    document = problem if isinstance(problem, dict) else {}
    code = str(document.get("code", "bad_answer"))
    message = str(document.get("detail") or document.get("title") or "the broker refused and did not say why")
    told = document.get("hint") or document.get("next_step")
    if code == "unauthenticated":
        told = f"{token_source()} is not a token that this broker knows; take the one that its `assent init` printed"
    return Refused(code, message, hint=str(told) if told else None, document=document)
