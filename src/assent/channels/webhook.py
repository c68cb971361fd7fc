"""Webhook: alerts as signed JSON to one address, for a pager, a chat or a script. Source: standardwebhooks.com, 1.0.0.

`webhook-id` is the id of the alert's record and stays the same when it is sent again. `webhook-signature` is
`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.
"""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import datetime
from typing import Final

from assent.channels.posting import post
from assent.core.alerts import Alert
from assent.core.canonical import Json


class Webhook:
    """Tells alerts to one address; `now` is the wall clock that the receiver compares the signature's time with."""

    name: Final = "alerts:webhook"

    def __init__(self, url: str, secret: bytes, *, runbook: str, now: Callable[[], datetime]) -> None:
        self._url = url
        self._secret = secret
        self._runbook = runbook
        self._now = now

    async def alert(self, alert: Alert) -> bool:
        """Send `alert`; return whether the other side took it."""
        return await asyncio.to_thread(self._send, alert)

    def _send(self, alert: Alert) -> bool:
        body = json.dumps(body_of(alert, self._runbook), separators=(",", ":"), ensure_ascii=False).encode()
        headers = {"content-type": "application/json", **signed(alert.id, self._now(), body, self._secret)}
        return post(self._url, body, headers)


def body_of(alert: Alert, runbook: str) -> dict[str, Json]:
    """Return what is sent of an alert."""
    said: dict[str, Json] = {
        "type": alert.event,
        "id": alert.id,
        "at": alert.at,
        "severity": alert.severity.value,
        "text": alert.text,
        "policy": alert.policy,
        "breaker": alert.breaker,
        "state": alert.state,
        "scope": "" if alert.policy else dict(alert.scope.named()),
        "covers": alert.covers,
        "by": alert.by,
        "by_hand": alert.by_hand,
        "reason": alert.reason,
        "cut_off": alert.cancelled,
        "still_running": alert.running,
        "cut_off_elsewhere": alert.cut_off_elsewhere,
        "drill": alert.drill,
        "runbook": runbook,
    }
    return {name: value for name, value in said.items() if value != ""}


def signed(identifier: str, now: datetime, body: bytes, secret: bytes) -> dict[str, str]:
    """Return the headers by which the receiver believes `body`."""
    timestamp = str(int(now.timestamp()))
    over = b".".join((identifier.encode(), timestamp.encode(), body))
    mac = hmac.new(secret, over, hashlib.sha256).digest()
    return {
        "webhook-id": identifier,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
    }
