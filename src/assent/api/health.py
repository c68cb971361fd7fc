"""What machines ask without a credential: does the broker live, can it decide, with which keys does it sign."""

from fastapi import APIRouter
from starlette.responses import Response

from assent.api.dependencies import ApiOf
from assent.api.documentation import answers
from assent.api.replies import Replied, Reply
from assent.core.canonical import canonical

router = APIRouter(tags=["health"])

_OK = 200
_UNAVAILABLE = 503


@router.get(
    "/healthz",
    operation_id="isAlive",
    summary="Whether the process answers",
    responses=answers(None),
    openapi_extra={"security": []},
)
async def alive() -> Response:
    """Answer; nothing is looked at."""
    return Replied(Reply(_OK, b'{"alive":true}'))


@router.get(
    "/readyz",
    operation_id="isReady",
    summary="Whether the broker can decide",
    responses=answers(None),
    openapi_extra={"security": []},
)
async def ready(api: ApiOf) -> Response:
    """Answer 200 when the ledger takes writes and a policy is loaded, else 503; in both cases say which."""
    found = await api.readiness()
    body = canonical(
        {
            "ready": found.ready,
            "ledger_writable": found.ledger_writable,
            "policy_loaded": found.policy_loaded,
            "signals": found.signals,
            "notes": list(found.notes),
        }
    )
    return Replied(Reply(_OK if found.ready else _UNAVAILABLE, body))


@router.get(
    "/.well-known/jwks.json",
    operation_id="readKeySet",
    summary="The public keys that grant tokens are signed with",
    responses=answers(None),
    openapi_extra={"security": []},
)
async def key_set(api: ApiOf) -> Response:
    """Return the key set. Source: RFC 7517."""
    return Replied(Reply(_OK, canonical(dict(api.key_set()))))
