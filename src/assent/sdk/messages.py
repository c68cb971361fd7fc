"""The requests of the contract, built from values: pure functions, shared by the sync and the async client."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from assent.core.canonical import Json
from assent.sdk.http import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One ask as it goes to the broker.

    `arguments` are canonical bytes. `attempt` is given when this process means to run the action itself; without it
    the broker hands out a grant and nobody holds the action yet. `idempotency_key` is for lost answers only. `trace` is
    the asking span, as W3C Trace Context writes it.
    """

    tool: str
    arguments: bytes = field(repr=False)
    idempotency_key: str
    attempt: str | None = field(default=None, repr=False)
    reason: str | None = None
    run_id: str | None = None
    call_id: str | None = None
    on_behalf_of: tuple[str, ...] = ()
    model: tuple[str, str] | None = None
    trace: str | None = None

    @property
    def content(self) -> tuple[str, ...] | None:
        """What makes two asks the same to the broker; None when nothing is found again by content."""
        if self.run_id is None or self.call_id is not None:
            return None
        return (self.run_id, self.tool, self.arguments.decode(), *self.on_behalf_of)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeReport:
    """What became of one run, as its holder reports it; `error` is a type name: a message may hold secrets."""

    action_id: str
    attempt: str = field(repr=False)
    status: str
    duration_ms: int | None = None
    error: str | None = None
    result_digest: str | None = None


def build_ask(ask: Ask, *, in_flight: Sequence[str] = ()) -> Request:
    """Return POST /v1/actions; `in_flight` names actions of the same content that this process holds already."""
    body = _without_none(
        {
            "tool": ask.tool,
            "attempt": ask.attempt,
            "reason": ask.reason,
            "run_id": ask.run_id,
            "call_id": ask.call_id,
            "on_behalf_of": list(ask.on_behalf_of) or None,
            "in_flight": list(in_flight) or None,
            "context": _context(ask),
        }
    )
    # The arguments go in as the very bytes that were frozen, not as a second spelling of them.
    raw = b'{"arguments":' + ask.arguments + b"," + _bytes(body)[1:]
    return Request(method="POST", path="/v1/actions", body=raw, idempotency_key=ask.idempotency_key)


def build_look(action_id: str, *, wait_seconds: int, after: int) -> Request:
    """Return GET /v1/actions/{id}, held by the broker until the revision moves beyond `after` or the wait is over."""
    query = urlencode({"wait": wait_seconds, "after": after})
    return Request(method="GET", path=f"/v1/actions/{quote(action_id, safe='')}?{query}", waits_seconds=wait_seconds)


def build_decided(*, since: str | None, wait_seconds: int) -> Request:
    """Return GET /v1/actions?state=decided, from the cursor `since` on."""
    query = urlencode(_strings({"state": "decided", "cursor": since, "wait": wait_seconds or None}))
    return Request(method="GET", path=f"/v1/actions?{query}", waits_seconds=wait_seconds)


def build_cancel(action_id: str, reason: str | None) -> Request:
    """Return POST /v1/actions/{id}/cancel."""
    body = _bytes(_without_none({"reason": reason}))
    return Request(method="POST", path=f"/v1/actions/{quote(action_id, safe='')}/cancel", body=body)


def build_redeem(grant_id: str, *, attempt: str, digest: str) -> Request:
    """Return POST /v1/grants/{id}/redeem; the same attempt may send it again."""
    body = _bytes({"attempt": attempt, "digest": digest})
    return Request(method="POST", path=f"/v1/grants/{quote(grant_id, safe='')}/redeem", body=body)


def build_redeem_token(token: str, *, arguments: bytes, attempt: str) -> Request:
    """Return POST /v1/grants/redeem, the tool's side; `arguments` are canonical bytes."""
    raw = b'{"arguments":' + arguments + b"," + _bytes({"token": token, "attempt": attempt})[1:]
    return Request(method="POST", path="/v1/grants/redeem", body=raw)


def build_outcome(report: OutcomeReport) -> Request:
    """Return POST /v1/actions/{id}/outcome; the same report may be sent again."""
    body = _without_none(
        {
            "attempt": report.attempt,
            "status": report.status,
            "duration_ms": report.duration_ms,
            "error": report.error,
            "result_digest": report.result_digest,
        }
    )
    return Request(method="POST", path=f"/v1/actions/{quote(report.action_id, safe='')}/outcome", body=_bytes(body))


def build_me() -> Request:
    """Return GET /v1/me."""
    return Request(method="GET", path="/v1/me")


def build_key_set() -> Request:
    """Return GET /.well-known/jwks.json."""
    return Request(method="GET", path="/.well-known/jwks.json")


def _context(ask: Ask) -> Json:
    said: dict[str, Json] = {}
    if ask.model is not None:
        said["model"] = {"name": ask.model[0], "version": ask.model[1]}
    if ask.trace is not None:
        said["trace"] = ask.trace
    return said or None


def _bytes(body: dict[str, Json]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def _without_none(body: dict[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in body.items() if value is not None}


def _strings(query: dict[str, str | int | None]) -> dict[str, str]:
    return {name: str(value) for name, value in query.items() if value is not None}
