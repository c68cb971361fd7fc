"""JSON over HTTP to the broker, one call at a time: for people who answer, and for the agent that goes past the SDK."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from assent.core.errors import AssentError

ANSWER_SECONDS: Final = 30.0


class NoAnswer(AssentError):
    """The broker said nothing, or nothing that is JSON."""

    code = "unreachable"


@dataclass(frozen=True, slots=True)
class Reply:
    """What the broker answered: the HTTP status and the JSON object."""

    status: int
    body: dict[str, Any]

    @property
    def code(self) -> str:
        """The stable code of a problem; empty when it is none."""
        return str(self.body.get("code", ""))


def call(
    url: str, token: str | None, method: str, path: str, body: Mapping[str, Any] | None = None, **headers: str
) -> Reply:
    """Return the answer to one request; `headers` are named with underscores.

    Raises:
        NoAnswer: nobody answered within ANSWER_SECONDS, or the answer is no JSON object.

    """
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if token is not None:
        sent["Authorization"] = f"Bearer {token}"
    if body is not None:
        sent["Content-Type"] = "application/json"
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=ANSWER_SECONDS)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), sent)
        answer = connection.getresponse()
        value = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError) as fault:
        raise NoAnswer(f"`{method} {path}` had no answer: {type(fault).__name__}") from None
    finally:
        connection.close()
    return Reply(answer.status, value if isinstance(value, dict) else {})
