"""The guard in front of every page: which name was called, from where, and what a browser may do with the answer.

None of it needs a session, so it holds for every path:
- `Host` is one of ours, so that no foreign name can be pointed at a broker on loopback;
- what changes something comes from our own pages, by `Origin` and `Sec-Fetch-Site`, before a cookie is looked at;
- a browser runs our script and our style from our origin alone, sends forms nowhere else, and shows us in no frame;
- what nobody foresaw is a 503 that tells nothing.
"""

import traceback
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assent.console.given import ConsoleSettings
from assent.logs import EventLog

log = EventLog("assent.console")

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not `no-referrer`: a browser then sends `Origin: null` with our own forms too, and nobody could tell them apart.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
_HARMLESS: Final = frozenset({"GET", "HEAD"})
_OWN_SITES: Final = frozenset({"same-origin", "none"})


class Guard:
    """Wraps the console's application."""

    def __init__(self, app: ASGIApp, settings: ConsoleSettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on; answer what comes back as an exception unless the answer has begun."""
        begun = False

        async def guarded(message: Message) -> None:
            nonlocal begun
            begun = True
            if message["type"] == "http.response.start":
                _put_headers(message)
            await send(message)

        if (refused := self._why_not(scope)) is not None:
            await refused(scope, receive, guarded)
            return
        try:
            await self._app(scope, receive, guarded)
        except Exception as fault:  # noqa: BLE001  # fail closed at the edge: logged and answered, never passed on
            _log(fault, scope["path"])
            if not begun:
                await PlainTextResponse("the broker could not answer; nothing was changed", 503)(
                    scope, receive, guarded
                )

    def _why_not(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        # (1) the name that was called
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._settings.hosts:
            return PlainTextResponse("this console is not reached by this name: see `public_url`", 421)
        if scope["method"] in _HARMLESS:
            return None
        # (2) from where, as the browser itself says; it lets no page write these headers
        scheme = "https" if self._settings.has_tls else "http"
        origins = headers.getlist("origin")
        if len(origins) > 1 or (origins and origins[0].lower() != f"{scheme}://{hosts[0].lower()}"):
            return PlainTextResponse("this was not sent from a page of this console", 403)
        if headers.get("sec-fetch-site", "none") not in _OWN_SITES:
            return PlainTextResponse("this was not sent from a page of this console", 403)
        return None


def _put_headers(message: Message) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in _HEADERS.items():
        headers[name] = value
    headers.setdefault("cache-control", "no-store")


def _log(fault: Exception, path: str) -> None:
    last = traceback.extract_tb(fault.__traceback__)[-1:]
    place = f"{last[0].filename}:{last[0].lineno}" if last else "unknown"
    log.error("request_failed", path=path, kind=type(fault).__name__, at=place)
