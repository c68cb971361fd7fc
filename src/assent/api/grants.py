"""Grants are redeemed: by the agent itself, or by the tool's own service that was handed the token."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.responses import Response

from assent.api import problems, replies
from assent.api.agent_views import redeemed_answer, reported_answer
from assent.api.answering import agent_reply
from assent.api.breaker_notices import breaker_notice
from assent.api.dependencies import AgentOf, ApiOf, ServiceOf
from assent.api.documentation import AGENT, SERVICE, answers, described
from assent.api.given import Api
from assent.api.replies import Replied
from assent.api.requests import body_of
from assent.core.grants import GrantId
from assent.flows.run_action import Redemption, redeem_as_agent, redeem_as_tool
from assent.wire.agents import RedeemBody, RedeemedAnswer, RedeemTokenBody
from assent.wire.shapes import PlainId

router = APIRouter(tags=["grants"])


@router.post(
    "/v1/grants/redeem",
    operation_id="redeemToken",
    summary="Redeem a grant on the tool's side",
    responses=answers(RedeemedAnswer, 401, 403, 404, 409, 413, 415),
    openapi_extra=described(SERVICE, takes=RedeemTokenBody),
)
async def redeem_token(
    api: ApiOf, caller: ServiceOf, body: Annotated[RedeemTokenBody, Depends(body_of(RedeemTokenBody))]
) -> Response:
    """Spend the grant that the token names for `attempt`, if `arguments` are what was granted."""
    redemption = await redeem_as_tool(
        api.broker, caller, token=body.token, attempt=body.attempt, arguments=body.arguments
    )
    return redemption_reply(api, redemption)


@router.post(
    "/v1/grants/{grant_id}/redeem",
    operation_id="redeemGrant",
    summary="Redeem a grant as the agent it was issued to",
    responses=answers(RedeemedAnswer, 401, 404, 409, 413, 415),
    openapi_extra=described(AGENT, takes=RedeemBody),
)
async def redeem_grant(
    api: ApiOf,
    caller: AgentOf,
    grant_id: Annotated[PlainId, Path()],
    body: Annotated[RedeemBody, Depends(body_of(RedeemBody))],
) -> Response:
    """Spend the grant for `attempt`; the same attempt hears the same again, everybody else 409 `grant_spent`."""
    redemption = await redeem_as_agent(
        api.broker, caller, GrantId(grant_id), attempt=body.attempt, digest=body.digest, arguments=body.arguments
    )
    return redemption_reply(api, redemption)


def redemption_reply(api: Api, redemption: Redemption) -> Response:
    """Return what the redeemer hears: what to run now, or why not."""
    if api.tracing is not None:
        api.tracing.heard(redemption.action)
    api.tally.redeemed(None if redemption.refused is None else redemption.refused.code)
    if redemption.refused is not None:
        breaker, again = redemption.breaker, redemption.retry_after
        notice = None if breaker is None else breaker_notice(breaker, again)
        return Replied(replies.of_problem(problems.of_refusal(redemption.refused, breaker=notice)))
    return Replied(agent_reply(api, redeemed_answer(redemption.action)))


def report_reply(api: Api, reported: Redemption) -> Response:
    """Return what the reporter hears: the action's state and outcome, or why the report does not count."""
    if api.tracing is not None:
        api.tracing.ended(reported.action)
    if reported.refused is not None:
        return Replied(replies.of_problem(problems.of_refusal(reported.refused)))
    return Replied(agent_reply(api, reported_answer(reported.action)))
