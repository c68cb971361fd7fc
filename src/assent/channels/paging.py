"""Approvals over webhooks: as signed JSON to a program of one's own, or to PagerDuty, which wakes whoever is on call.

Source: standardwebhooks.com, 1.0.0; PagerDuty Events API v2. Each message carries an id that names what it tells, so
that the other side takes what comes twice as one: telling it again is always safe, and nothing has to be looked for.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from http import HTTPStatus
from typing import Final

from assent.channels import told
from assent.channels.posting import Answered, ask
from assent.channels.webhook import signed
from assent.config import WebhookKind
from assent.core.approvals import OPEN
from assent.core.canonical import Json
from assent.core.deliveries import LockedOut, NobodyKnows, NotNow, Showing, Told, Undeliverable, shows

RETRY_SECONDS: Final = 10.0
MOST_AT_ONCE: Final = 8
_JSON: Final = {"content-type": "application/json"}
_NOT_LET_IN: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_LATER: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_MAX_SUMMARY: Final = 1_024


@dataclass(frozen=True, slots=True)
class Place:
    """One address; `secret` signs what is sent, or is the integration key of PagerDuty."""

    url: str
    kind: WebhookKind
    secret: bytes

    def __repr__(self) -> str:
        """Tell no secret."""
        return f"Place({self.url!r}, {self.kind})"


class PagingChannel:
    """A `Channel` to declared places; `page` is where an approval can be opened, `now` the wall clock."""

    def __init__(self, places: Mapping[str, Place], *, page: str | None, now: Callable[[], datetime]) -> None:
        self._places = places
        self._page = page
        self._now = now
        self._threads = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="webhooks")

    async def announce(self, where: str, showing: Showing) -> Told:
        """Tell of an approval at the place of that name."""
        return await self._in_thread(where, showing)

    async def update(self, where: str, place: str, showing: Showing) -> Told:
        """Tell how it stands now; who is on call is paged once, and told when it is over."""
        told_to = self._places.get(where)
        if told_to is not None and told_to.kind is WebhookKind.PAGERDUTY and showing.approval.state in OPEN:
            return Told(place=place, seen="", approvable=False)
        return await self._in_thread(where, showing)

    async def find(self, where: str, showing: Showing, since: datetime) -> str | None:
        """Return what it would be called there: whether it arrived nobody knows, and it is told again."""
        del where, since
        return showing.approval.id

    async def _in_thread(self, where: str, showing: Showing) -> Told:
        # Threads of its own: whoever answers slowly keeps nothing else of the process waiting.
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._tell, where, showing)

    def _tell(self, where: str, showing: Showing) -> Told:
        place = self._places.get(where)
        if place is None:
            raise not_now(f"this broker has no webhook `{where}` set up", None)
        event = _pagerduty(place, showing, self._page) if place.kind is WebhookKind.PAGERDUTY else None
        body = _bytes(told.body_of(showing, self._page) if event is None else event)
        require_taken(ask(place.url, body, {**_JSON, **self._signed(place, showing, body)}))
        return Told(place=showing.approval.id, seen=sha256(body).hexdigest(), approvable=False)

    def _signed(self, place: Place, showing: Showing, body: bytes) -> Mapping[str, str]:
        if place.kind is WebhookKind.PAGERDUTY:
            return {}
        name = f"{showing.approval.id}.{shows(showing.approval, showing.action)}"
        return signed(name, self._now(), body, place.secret)


def require_taken(answered: Answered) -> None:
    """Return only when the other side took it; else say what that means to whoever keeps deliveries."""
    if answered.is_taken:
        return
    if not answered.status:
        raise NobodyKnows("no answer came") if answered.is_sent else not_now("it cannot be reached", None)
    said = f"it answered {answered.status}"
    if answered.status in _NOT_LET_IN:
        raise LockedOut(said, hint="see to the secret of this webhook")
    if answered.status in _LATER or answered.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise not_now(said, answered.retry_after_seconds)
    raise Undeliverable(said)


def not_now(why: str, seconds: float | None) -> NotNow:
    """Return the fault that puts a message off."""
    fault = NotNow(why)
    fault.retry_after_seconds = RETRY_SECONDS if seconds is None else max(seconds, 1.0)
    return fault


def _pagerduty(place: Place, showing: Showing, page: str | None) -> dict[str, Json]:
    approval = showing.approval
    event: dict[str, Json] = {
        "routing_key": place.secret.decode(),
        "event_action": "trigger" if approval.state in OPEN else "resolve",
        "dedup_key": approval.id,
    }
    if approval.state not in OPEN:
        return event
    link = told.address(approval, page)
    links: list[Json] = [] if link is None else [{"href": link, "text": f"read all of it and answer ({approval.code})"}]
    event["payload"] = {
        "summary": told.headline(showing)[:_MAX_SUMMARY],
        "source": f"assent/{approval.environment}",
        "severity": "critical",
        "timestamp": approval.asked_at.isoformat(),
        "component": approval.tool,
        "group": approval.agent,
        "class": "approval needed",
        "custom_details": dict(told.facts(showing, page)),
    }
    return {**event, "client": "assent", "links": links}


def _bytes(body: Mapping[str, Json]) -> bytes:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
