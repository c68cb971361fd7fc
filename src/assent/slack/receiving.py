"""Interactions over HTTP: believed by their signature, taken once, then heard like those that come over a socket."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

from assent.ports import Signals
from assent.slack import hearing
from assent.slack.heard import MAX_PAYLOAD_BYTES, Unreadable, payload_of
from assent.slack.hearing import Hearing
from assent.slack.signed import WINDOW_SECONDS, fingerprint, is_from_slack

_FORM: Final = b"application/x-www-form-urlencoded"
_JSON: Final = b"application/json"
MAX_FIELDS: Final = 50
# A signature is good for five minutes on either side of its moment; it is remembered for longer than that.
_REMEMBERED_SECONDS: Final = 2 * WINDOW_SECONDS + 60


@dataclass(frozen=True, slots=True)
class Received:
    """How a request is answered; `payload` is the JSON of the body, nothing when it is empty."""

    status: HTTPStatus
    payload: Mapping[str, Any] = field(default_factory=dict)


class Receiver:
    """Takes requests that claim to come from Slack; `secrets` are two while one is being replaced."""

    def __init__(
        self, hearing: Hearing, signals: Signals, *, secrets: Sequence[bytes], now_seconds: Callable[[], float]
    ) -> None:
        self._hearing = hearing
        self._signals = signals
        self._secrets = tuple(secrets)
        self._now_seconds = now_seconds

    async def receive(
        self, body: bytes, *, timestamp: bytes | None, signature: bytes | None, media_type: bytes | None
    ) -> Received:
        """Return the answer to one request; everything that Slack did not sign, or was seen before, is 401."""
        believed = is_from_slack(
            body, timestamp=timestamp, signature=signature, secrets=self._secrets, now_seconds=self._now_seconds()
        )
        if not believed or signature is None:
            return Received(HTTPStatus.UNAUTHORIZED)
        is_first = await self._signals.claim(f"slack:{fingerprint(signature)}", seconds=_REMEMBERED_SECONDS)
        if is_first is None:
            # Nobody can tell whether it was taken before: whoever pressed is told to press again.
            return Received(HTTPStatus.SERVICE_UNAVAILABLE)
        if not is_first:
            return Received(HTTPStatus.UNAUTHORIZED)
        try:
            kind, payload = _read(body, (media_type or b"").partition(b";")[0].strip().lower())
        except Unreadable:
            return Received(HTTPStatus.BAD_REQUEST)
        if payload.get("type") == "url_verification":
            return Received(HTTPStatus.OK, {"challenge": str(payload.get("challenge", ""))})
        heeded = await self._hearing.hear(kind, payload)
        return Received(HTTPStatus.OK if heeded.taken else HTTPStatus.SERVICE_UNAVAILABLE, heeded.payload)


def _read(body: bytes, media_type: bytes) -> tuple[str, Mapping[str, Any]]:
    if media_type == _JSON:
        return hearing.EVENT, payload_of(body)
    if media_type != _FORM or len(body) > MAX_PAYLOAD_BYTES:
        raise Unreadable("neither a form nor JSON")
    try:
        form = dict(parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=MAX_FIELDS))
    except ValueError:
        raise Unreadable("this is no form") from None
    if "payload" in form:
        return hearing.INTERACTION, payload_of(form["payload"].encode("utf-8", "surrogatepass"))
    if "command" not in form:
        raise Unreadable("this form is none of ours")
    return hearing.COMMAND, form
