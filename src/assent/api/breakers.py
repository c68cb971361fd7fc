"""What operators call about breakers: list, trip at once and alone, reset by two. No agent reads or changes them."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.responses import Response

from assent.api import problems, replies
from assent.api.dependencies import ApiOf, OperatorOf
from assent.api.documentation import OPERATOR, answers, described
from assent.api.operator_views import breakers_page, reset_answer, tripped_answer
from assent.api.replies import Replied, Reply
from assent.api.requests import body_of
from assent.core.breakers import BreakerId, Scope
from assent.core.operators import Permission
from assent.flows import trip_breaker
from assent.wire.operators import BreakerPage, ResetAnswer, ResetBody, TripBody, TrippedAnswer
from assent.wire.shapes import PlainId

router = APIRouter(tags=["breakers"])

_OK = 200
_WAITS_FOR_A_SECOND = 202


@router.get(
    "/v1/breakers",
    operation_id="listBreakers",
    summary="List all breakers, newest change first",
    responses=answers(BreakerPage, 401, 403),
    openapi_extra=described(OPERATOR, permission=Permission.BREAKERS_TRIP),
)
async def list_all(api: ApiOf, caller: OperatorOf) -> Response:
    """List them; whoever may read the audit log may see them too, without the words of who tripped them."""
    found = await trip_breaker.list_breakers(api.broker, caller)
    return Replied(Reply(_OK, breakers_page(found, caller.operator)))


@router.post(
    "/v1/breakers/trip",
    operation_id="tripBreaker",
    summary="Stop everything in a scope, now",
    responses=answers(TrippedAnswer, 401, 403, 413, 415),
    openapi_extra=described(OPERATOR, takes=TripBody, permission=Permission.BREAKERS_TRIP),
)
async def trip(api: ApiOf, caller: OperatorOf, body: Annotated[TripBody, Depends(body_of(TripBody))]) -> Response:
    """Trip; from this answer on nothing in the scope is decided or redeemed. A reason is welcome, never required."""
    named = body.scope
    scope = Scope() if named is None else Scope(agent=named.agent, tool=named.tool, environment=named.environment)
    ttl = None if body.ttl_seconds is None else timedelta(seconds=body.ttl_seconds)
    tripped = await trip_breaker.trip(api.broker, caller, scope, reason=body.reason or "", ttl=ttl)
    return Replied(Reply(_OK, tripped_answer(tripped)))


@router.post(
    "/v1/breakers/{breaker_id}/reset",
    operation_id="resetBreaker",
    summary="Close a breaker, with a second person",
    responses={**answers(ResetAnswer, 401, 403, 404, 409, 413, 415), 202: answers(ResetAnswer, success=202)[202]},
    openapi_extra=described(OPERATOR, takes=ResetBody, permission=Permission.BREAKERS_RESET),
)
async def reset(
    api: ApiOf,
    caller: OperatorOf,
    breaker_id: Annotated[PlainId, Path()],
    body: Annotated[ResetBody, Depends(body_of(ResetBody))],
) -> Response:
    """Close it, or 202 while a second, different person is needed; `who` may be that person."""
    answer = await trip_breaker.reset(api.broker, caller, BreakerId(breaker_id), reason=body.reason)
    if answer.refused is not None:
        problem = problems.of_refusal(answer.refused, state=answer.breaker.state.value, who=answer.who or None)
        return Replied(replies.of_problem(problem))
    return Replied(Reply(_OK if answer.closed else _WAITS_FOR_A_SECOND, reset_answer(answer)))
