"""`POST /v1/actions` and the wait for one action without the framework: the same functions in the same order.

Routing and dependency resolution of the framework cost more than deciding does, and every tool call comes through
here; what the framework keeps of a request that waits is half of what a waiting agent takes. A wait in any other form
than the usual one is the framework's. `api/agents.py` has the same routes for reading and for OpenAPI; a contract test
compares them byte for byte.
"""

import re
from typing import Final

from starlette.types import Receive, Scope, Send

from assent.api.answering import Watched, answer_ask, answer_watch
from assent.api.authentication import agent_from, catch_up
from assent.api.failures import reply_to
from assent.api.given import Api
from assent.api.replies import Reply, send_reply
from assent.api.requests import attempt, bearer, head_of, idempotency_key, read_json
from assent.core.actions import ActionId
from assent.wire.agents import AskBody

PATH = "/v1/actions"
RAW_PATH = PATH.encode()
_WATCHED: Final = re.compile(rb"/v1/actions/([A-Za-z0-9_-]{1,255})")
_WAITING: Final = re.compile(rb"wait=([0-9]{1,4})&after=([0-9]{1,9})")


def watched(raw_path: bytes, query: bytes) -> Watched | None:
    """Return what a GET waits for, None where it is no wait in the form that the SDK sends."""
    path, waiting = _WATCHED.fullmatch(raw_path), _WAITING.fullmatch(query)
    if path is None or waiting is None:
        return None
    return Watched(ActionId(path[1].decode("ascii")), float(waiting[1]), int(waiting[2]))


async def serve_watch(api: Api, wanted: Watched, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one wait."""
    await send_reply(send, await _watch_reply(api, wanted, scope, receive))


async def _watch_reply(api: Api, wanted: Watched, scope: Scope, receive: Receive) -> Reply:
    try:
        head = head_of(scope)
        caller = await agent_from(api, scope, bearer(head))
        await catch_up(api, head)
        return await answer_watch(api, caller, wanted, attempt(head), receive)
    except Exception as fault:  # noqa: BLE001  # fail closed at the edge: logged and answered, never passed on
        return reply_to(fault, api, scope["path"])


async def serve_ask(api: Api, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one ask."""
    await send_reply(send, await _reply(api, scope, receive))


async def _reply(api: Api, scope: Scope, receive: Receive) -> Reply:
    try:
        head = head_of(scope)
        caller = await agent_from(api, scope, bearer(head))
        await catch_up(api, head)
        key = idempotency_key(head)
        body = await read_json(receive, head, AskBody, max_bytes=api.settings.max_body_bytes)
        return await answer_ask(api, caller, body, key)
    except Exception as fault:  # noqa: BLE001  # fail closed at the edge: logged and answered, never passed on
        return reply_to(fault, api, PATH)
