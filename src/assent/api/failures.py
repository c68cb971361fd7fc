"""What went wrong becomes a problem document, once, at the edge; what nobody foresaw is logged and answered 503.

The log gets the kind of failure, where it was raised and an incident number: never the message of a foreign error, it
may quote a payload.
"""

import traceback
from collections.abc import Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assent.api import problems, replies
from assent.api.given import Api
from assent.api.problems import RequestRefused
from assent.api.replies import Replied, Reply, send_reply
from assent.api.requests import refused_shape
from assent.core.errors import AssentError, NotFound

log = structlog.get_logger("assent.api")

_NOT_FOUND = 404
_METHOD_NOT_ALLOWED = 405
_CLIENT_ERRORS = range(400, 500)


def reply_to(fault: Exception, api: Api, path: str) -> Reply:
    """Return what the caller hears of a fault, and log it where the operator must know more than the caller."""
    if not isinstance(fault, AssentError):
        return _unforeseen(fault, api, path)
    problem = problems.of_error(fault)
    if problem.code == problems.UNAVAILABLE:
        log.error("not_decided", path=path, code=fault.code, message=fault.message, hint=fault.hint)
    return replies.of_problem(problem)


def _unforeseen(fault: Exception, api: Api, path: str) -> Reply:
    incident = api.broker.new_id("inc")
    last = traceback.extract_tb(fault.__traceback__)[-1:]
    place = f"{last[0].filename}:{last[0].lineno}" if last else "unknown"
    log.error("request_failed", path=path, incident=incident, kind=type(fault).__name__, at=place)
    return replies.of_problem(problems.of_failure(incident))


def install(app: FastAPI, api: Api) -> None:
    """Let `app` answer every fault with a problem document, also those of the framework itself."""

    async def assent_error(request: Request, fault: Exception) -> Response:
        return Replied(reply_to(fault, api, request.url.path))

    async def bad_shape(request: Request, fault: Exception) -> Response:
        found: Sequence[Any] = fault.errors() if isinstance(fault, RequestValidationError) else ()
        return Replied(reply_to(_refused(found), api, request.url.path))

    async def framework(request: Request, fault: Exception) -> Response:
        status = fault.status_code if isinstance(fault, HTTPException) else _NOT_FOUND
        return Replied(reply_to(_of_status(status), api, request.url.path))

    app.add_exception_handler(AssentError, assent_error)
    app.add_exception_handler(RequestValidationError, bad_shape)
    app.add_exception_handler(HTTPException, framework)
    app.add_middleware(FailClosed, api=api)


def _refused(found: Sequence[Any]) -> AssentError:
    """Return the fault of query or path; what is wrong in a path names nothing that exists."""
    if any(error["loc"][0] == "path" for error in found):
        return NotFound("no such thing")
    return refused_shape([{**error, "loc": error["loc"][1:]} for error in found])


def _of_status(status: int) -> AssentError:
    if status == _METHOD_NOT_ALLOWED:
        return RequestRefused("method_not_allowed", "this path does not take this method", hint="see `/openapi.json`")
    if status == _NOT_FOUND:
        return NotFound("no such path", hint="see `/openapi.json`")
    return RequestRefused(
        "bad_request" if status in _CLIENT_ERRORS else problems.UNAVAILABLE, "the request was refused"
    )


class FailClosed:
    """The last handler: whatever escapes a route is a 503, and its words stay inside."""

    def __init__(self, app: ASGIApp, api: Api) -> None:
        self._app = app
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and answer what comes back as an exception unless the answer has begun."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as fault:
            # fail closed at the edge: logged and answered, never passed on
            if scope["type"] != "http":
                raise
            reply = reply_to(fault, self._api, scope["path"])
            if not begun:
                await send_reply(send, reply)
