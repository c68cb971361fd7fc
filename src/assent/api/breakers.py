"""What operators call about breakers: list, trip at once and alone, reset by two. No agent reads or changes them."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.responses import Response

from assent.api import problems, replies
from assent.api.breaker_views import breakers_page, drilled_answer, probe_answer, reset_answer, tripped_answer
from assent.api.dependencies import ApiOf, OperatorOf, StopperOf
from assent.api.documentation import OPERATOR, answers, described
from assent.api.replies import Replied, Reply
from assent.api.requests import body_of
from assent.core.breakers import BreakerId, Scope
from assent.core.operators import Permission
from assent.flows import drill_breaker, trip_breaker
from assent.flows.drill_breaker import Measured
from assent.wire.breakers import (
    BreakerPage,
    DrillBody,
    DrilledAnswer,
    DrilledBody,
    ProbeAnswer,
    ResetAnswer,
    ResetBody,
    ScopeBody,
    TripBody,
    TrippedAnswer,
)
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
async def trip(api: ApiOf, caller: StopperOf, body: Annotated[TripBody, Depends(body_of(TripBody))]) -> Response:
    """Trip; from this answer on nothing in the scope is decided or redeemed. A reason is welcome, never required."""
    scope = Scope() if body.scope is None else _scope(body.scope)
    ttl = None if body.ttl_seconds is None else timedelta(seconds=body.ttl_seconds)
    tripped = await trip_breaker.trip(api.broker, caller, scope, reason=body.reason or "", ttl=ttl)
    return Replied(Reply(_OK, tripped_answer(tripped, api.settings.runbook_url)))


def _scope(named: ScopeBody) -> Scope:
    return Scope(agent=named.agent, tool=named.tool, environment=named.environment)


@router.post(
    "/v1/breakers/drill",
    operation_id="drillBreaker",
    summary="Stop a scope that is not production, to try out the stop",
    responses=answers(TrippedAnswer, 401, 403, 409, 413, 415),
    openapi_extra=described(OPERATOR, takes=DrillBody, permission=Permission.BREAKERS_TRIP),
)
async def drill(api: ApiOf, caller: OperatorOf, body: Annotated[DrillBody, Depends(body_of(DrillBody))]) -> Response:
    """Trip as a drill; 409 where something is stopped already. Probe, reset and file it with the calls below."""
    tripped = await trip_breaker.drill_trip(api.broker, caller, _scope(body.scope))
    return Replied(Reply(_OK, tripped_answer(tripped, api.settings.runbook_url)))


@router.post(
    "/v1/breakers/{breaker_id}/probe",
    operation_id="probeBreaker",
    summary="Would an action in the scope of this breaker pass here, now",
    responses=answers(ProbeAnswer, 401, 403, 404),
    openapi_extra=described(OPERATOR, permission=Permission.BREAKERS_TRIP),
)
async def probe(api: ApiOf, caller: OperatorOf, breaker_id: Annotated[PlainId, Path()]) -> Response:
    """Decide as for a read that policy allows, and store nothing; `replica` is who answered."""
    probed = await drill_breaker.probe(api.broker, caller, BreakerId(breaker_id))
    return Replied(Reply(_OK, probe_answer(probed)))


@router.post(
    "/v1/breakers/{breaker_id}/drilled",
    operation_id="fileDrill",
    summary="File what a drill measured",
    responses=answers(DrilledAnswer, 401, 403, 404, 413, 415),
    openapi_extra=described(OPERATOR, takes=DrilledBody, permission=Permission.BREAKERS_TRIP),
)
async def drilled(
    api: ApiOf,
    caller: OperatorOf,
    breaker_id: Annotated[PlainId, Path()],
    body: Annotated[DrilledBody, Depends(body_of(DrilledBody))],
) -> Response:
    """Record the drill, with what the operator's side measured from Enter on."""
    measured = Measured(
        acknowledged_ms=body.acknowledged_ms, first_denial_ms=body.first_denial_ms, replicas=tuple(body.replicas)
    )
    breaker = await drill_breaker.file_drill(api.broker, caller, BreakerId(breaker_id), measured)
    return Replied(Reply(_OK, drilled_answer(breaker)))


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
