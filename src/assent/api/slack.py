"""What Slack sends over HTTP: clicks, dialogs, commands, events. Its signature is the credential, and the only one."""

import json
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from assent.api.dependencies import ApiOf
from assent.api.documentation import answers
from assent.api.replies import Replied, Reply
from assent.api.requests import head_of, read_bytes
from assent.core.errors import Unauthenticated

router = APIRouter(tags=["slack"])

MAX_BODY_BYTES: Final = 1_048_576
_UNAUTHORIZED: Final = 401
_TIMESTAMP: Final = b"x-slack-request-timestamp"
_SIGNATURE: Final = b"x-slack-signature"


@router.post(
    "/slack/interactions",
    operation_id="hearSlack",
    summary="Take what Slack signed",
    responses=answers(None, 401, 413),
    openapi_extra={"security": []},
)
async def hear(request: Request, api: ApiOf) -> Response:
    """Answer once it is stored what was pressed; 401 for whatever Slack did not sign within the last five minutes."""
    head = head_of(request.scope)
    body = await read_bytes(request.receive, head, max_bytes=MAX_BODY_BYTES)
    if api.slack is None:
        raise Unauthenticated("this broker takes nothing from Slack over HTTP", hint="set `slack_signing_secret`")
    status, payload = await api.slack.receive(
        body,
        timestamp=_once(request, _TIMESTAMP),
        signature=_once(request, _SIGNATURE),
        media_type=head.content_type,
    )
    if status == _UNAUTHORIZED:
        raise Unauthenticated("this was not signed by Slack, or was seen before")
    return Replied(Reply(status, json.dumps(dict(payload)).encode() if payload else b""))


def _once(request: Request, name: bytes) -> bytes | None:
    # A header that stands there twice is none: two readers could take different ones.
    found = [value for key, value in request.scope["headers"] if key == name]
    return found[0] if len(found) == 1 else None
