"""`POST /v1/actions` without the framework: the same functions in the same order, called directly.

Routing and dependency resolution of the framework cost more than deciding does, and every tool call comes through
here. `api/agents.py` has the same route for reading and for OpenAPI; a contract test compares them byte for byte.
"""

from starlette.types import Receive, Scope, Send

from assent.api.answering import answer_ask
from assent.api.authentication import agent_from
from assent.api.failures import reply_to
from assent.api.given import Api
from assent.api.replies import Reply, send_reply
from assent.api.requests import bearer, head_of, idempotency_key, read_json
from assent.wire.agents import AskBody

PATH = "/v1/actions"
RAW_PATH = PATH.encode()


async def serve_ask(api: Api, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one ask."""
    await send_reply(send, await _reply(api, scope, receive))


async def _reply(api: Api, scope: Scope, receive: Receive) -> Reply:
    try:
        head = head_of(scope)
        caller = await agent_from(api, scope, bearer(head))
        key = idempotency_key(head)
        body = await read_json(receive, head, AskBody, max_bytes=api.settings.max_body_bytes)
        return await answer_ask(api, caller, body, key)
    except Exception as fault:  # noqa: BLE001  # fail closed at the edge: logged and answered, never passed on
        return reply_to(fault, api, PATH)
