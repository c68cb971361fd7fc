"""HTTP as an operator: one request at a time, credentials from where only their owner can read them.

A problem document becomes a `Refused` with its code; a broker that gives no answer becomes `Unreachable`, which names
the URL that was tried.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from assent.cli.credentials import NoCredential, kept, shown_file
from assent.core.canonical import BadJson, Json, parse
from assent.core.credentials import PREFIXES, Kind
from assent.core.errors import AssentError
from assent.sdk.endpoint import Endpoint, Limits, endpoint
from assent.sdk.http import Lost, Request, Response
from assent.sdk.sockets import SocketDriver

URL_VARIABLE: Final = "ASSENT_URL"
TOKEN_VARIABLE: Final = "ASSENT_OPERATOR_TOKEN"
DEFAULT_URL: Final = "http://127.0.0.1:8420"
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


@dataclass(frozen=True, slots=True)
class Heard:
    """A successful answer: its status, its JSON as sent, and as values."""

    status: int
    raw: bytes
    body: Any


class Client:
    """Speaks to one broker with one operator token; `source` says where that came from."""

    def __init__(self, where: Endpoint, limits: Limits = LIMITS, *, source: str) -> None:
        self._where = where
        self._source = source
        self._driver = SocketDriver(where, limits)

    @property
    def url(self) -> str:
        """The address that requests go to, as it was given or is meant."""
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

    def delete(self, *path: str) -> Heard:
        """Return the answer to DELETE. Raises as `get`."""
        return self._heard(Request(method="DELETE", path=_path(path)))

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
            raise _refused(body, self._source)
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
    return client_for(broker_url(), operator_token(), source=token_source(), limits=limits)


def client_for(url: str, token: str, *, source: str, limits: Limits = LIMITS) -> Client:
    """Return a client for the broker at `url` and the operator that `token` belongs to.

    Raises:
        NoCredential: that is no operator token. ConfigurationError: `url` is no address, or not a safe one.

    """
    if not token.startswith(PREFIXES[Kind.OPERATOR]) or not token.isascii() or not token.isprintable():
        raise NoCredential(
            f"{source} holds no operator token",
            hint=f"one begins with `{PREFIXES[Kind.OPERATOR]}` and has no line break",
        )
    return Client(endpoint(url, token, kind=Kind.OPERATOR), limits, source=source)


def broker_url() -> str:
    """Return where the broker is, as environment or credentials file say."""
    return os.environ.get(URL_VARIABLE) or kept().get("url") or DEFAULT_URL


def token_source() -> str:
    """Return what the operator token is taken from."""
    return TOKEN_VARIABLE if os.environ.get(TOKEN_VARIABLE) else f"`operator_token` in {shown_file()}"


def operator_token() -> str:
    """Return the operator token that environment or credentials file name. Raises NoCredential as `connect`."""
    token = os.environ.get(TOKEN_VARIABLE) or kept().get("operator_token")
    if not token:
        raise NoCredential(
            "no operator token is set", hint=f"keep yours with `assent login`, or set {TOKEN_VARIABLE} to it"
        )
    return token


def _path(segments: tuple[str, ...]) -> str:
    return "/" + "/".join(quote(segment, safe="") for segment in segments)


def _refused(problem: object, source: str) -> Refused:
    document = problem if isinstance(problem, dict) else {}
    code = str(document.get("code", "bad_answer"))
    message = str(document.get("detail") or document.get("title") or "the broker refused and did not say why")
    told = str(document.get("hint") or document.get("next_step") or "") or None
    if code == "unauthenticated":
        told = f"the token came from {source}; {told or 'check it'}, and keep yours with `assent login`"
    who = document.get("who")
    if isinstance(who, list):
        told = f"{told or 'ask somebody who can'}: {', '.join(map(str, who)) or 'there is nobody'}"
    return Refused(code, message, hint=told, document=document)
