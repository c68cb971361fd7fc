"""The ASGI application: all routes around one broker, the hot route in front of them.

`create_app(broker, readiness=…, log=…, key_set=…, measure=…, closing=…, settings=…)` constructs nothing but the
application. Set `closing` before the server waits for its connections: it ends long waits with what is known then.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from threading import Lock
from typing import TYPE_CHECKING

from starlette.types import Receive, Scope, Send

from assent.api import hot, problems, replies
from assent.api.given import Api, ApiSettings, LogReader, Readiness, SlackInbox, Waits
from assent.api.replies import send_reply
from assent.api.tracing import Tracing
from assent.console.given import ConsoleSettings, is_of_console
from assent.core.canonical import Json
from assent.core.errors import NotFound
from assent.flows.broker import Broker
from assent.metrics import Measured

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.applications import Starlette


def create_app(
    broker: Broker,
    *,
    readiness: Callable[[], Awaitable[Readiness]],
    log: LogReader,
    key_set: Callable[[], Mapping[str, Json]],
    measure: Callable[[], Awaitable[Measured]],
    slack: SlackInbox | None = None,
    tracing: Tracing | None = None,
    closing: asyncio.Event | None = None,
    settings: ApiSettings | None = None,
    console: ConsoleSettings | None = None,
) -> "InFront":
    """Return the application.

    `key_set` returns the JSON Web Key Set of the grant keys (RFC 7517), `measure` what metrics show beside what the
    routes count. `closing` is set when the process begins to
    shut down; without one, waits end by themselves. Without `console` there is none.
    """
    api = Api(
        broker=broker,
        readiness=readiness,
        log=log,
        key_set=key_set,
        measure=measure,
        slack=slack,
        tracing=tracing,
        closing=closing or asyncio.Event(),
        waits=Waits((settings or ApiSettings()).max_waits),
        settings=settings or ApiSettings(),
    )
    return InFront(api, console)


# An encoded slash or NUL: a proxy that guards paths and a router may take such a path for different ones.
_AMBIGUOUS = re.compile(rb"%(?:2f|5c|00)", re.IGNORECASE)


def _raw_path(scope: Scope) -> bytes:
    """Return the path as it was sent; a server that keeps it to itself is given the decoded one's bytes."""
    raw: bytes | None = scope.get("raw_path")
    return scope["path"].encode() if raw is None else raw


class InFront:
    """Takes asks and waits for itself, in their usual forms; everything else is the framework's, which loads meanwhile.

    A process that was just started answers asks at once. `load` builds the rest, in whatever thread comes first.
    """

    def __init__(self, api: Api, console: ConsoleSettings | None = None) -> None:
        self._api = api
        self._settings_of_console = console
        self._building = Lock()
        self._framework: FastAPI | None = None
        self._console: Starlette | None = None

    @property
    def framework(self) -> "FastAPI":
        """The application with every route."""
        return self.load()

    @property
    def console(self) -> "Starlette | None":
        """The console with every page, None where there is none."""
        self.load()
        return self._console

    def load(self) -> "FastAPI":
        """Return the framework's application, built by whoever comes first; slow then, so not on the event loop."""
        with self._building:
            if self._framework is None:
                from assent.api.framework import create_framework_app  # noqa: PLC0415  # half of the time to start

                self._console = self._load_console()
                self._framework = create_framework_app(self._api)
            return self._framework

    def _load_console(self) -> "Starlette | None":
        if self._settings_of_console is None:
            return None
        from assent.console.app import create_console  # noqa: PLC0415  # its templates take as long as the framework

        return create_console(self._api.broker, self._settings_of_console, self._api.closing)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer an ask directly, pass anything else on."""
        if scope["type"] == "http":
            raw_path = _raw_path(scope)
            if raw_path == hot.RAW_PATH and scope["method"] == "POST":
                await hot.serve_ask(self._api, scope, receive, send)
                return
            if scope["method"] == "GET" and (watched := hot.watched(raw_path, scope["query_string"])) is not None:
                await hot.serve_watch(self._api, watched, scope, receive, send)
                return
            if _AMBIGUOUS.search(raw_path):
                await send_reply(send, replies.of_problem(problems.of_error(NotFound("no such path"))))
                return
        framework = self._framework
        if framework is None:
            framework = await asyncio.to_thread(self.load)
        if self._console is not None and scope["type"] == "http" and is_of_console(scope["path"]):
            await self._console(scope, receive, send)
            return
        await framework(scope, receive, send)
