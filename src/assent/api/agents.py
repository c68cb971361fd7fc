"""What agents call: ask, look, wait, cancel, report, and who am I. Another agent's ids are not found."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from assent.api.agent_views import action_answer, decided_page, me_answer
from assent.api.answering import Watched, agent_reply, answer_ask, answer_watch
from assent.api.dependencies import AgentOf, AgentOrServiceOf, ApiOf
from assent.api.documentation import AGENT, SERVICE, answers, described
from assent.api.grants import report_reply
from assent.api.long_poll import look_for
from assent.api.replies import Replied
from assent.api.requests import attempt_of, body_of, idempotency_key_of
from assent.core.actions import ActionId, ActionState
from assent.flows.answers import Answered
from assent.flows.authenticate import AgentCaller
from assent.flows.describe_agent import describe_agent
from assent.flows.end_action import cancel_action
from assent.flows.run_action import Report, report_outcome, report_outcome_as_tool
from assent.flows.watch_actions import watch_decided
from assent.wire.agents import (
    ActionAnswer,
    ActionPage,
    AskBody,
    CancelBody,
    DecidedQuery,
    MeAnswer,
    OutcomeBody,
    ReportedAnswer,
    WatchQuery,
)
from assent.wire.shapes import PlainId

router = APIRouter(tags=["agents"])

IdempotencyKeyOf = Annotated[str | None, Depends(idempotency_key_of)]
AttemptOf = Annotated[str | None, Depends(attempt_of)]
ActionIdOf = Annotated[PlainId, Path()]


@router.post(
    "/v1/actions",
    operation_id="requestAction",
    summary="Ask whether an action may run",
    responses=answers(ActionAnswer, 401, 413, 415, 422),
    openapi_extra=described(
        AGENT, takes=AskBody, headers={"Idempotency-Key": "for transport retries, unique per agent"}
    ),
)
async def request_action(
    api: ApiOf, caller: AgentOf, key: IdempotencyKeyOf, body: Annotated[AskBody, Depends(body_of(AskBody))]
) -> Response:
    """Decide, record and answer: allow, pending or deny. A policy deny is 200; "could not decide" is 503."""
    return Replied(await answer_ask(api, caller, body, key))


@router.get(
    "/v1/actions",
    operation_id="listDecidedActions",
    summary="List what humans decided for this agent, oldest first",
    responses=answers(ActionPage, 401),
    openapi_extra=described(AGENT),
)
async def list_decided(
    request: Request, api: ApiOf, caller: AgentOf, query: Annotated[DecidedQuery, Query()]
) -> Response:
    """Wait up to `wait` seconds for something behind `cursor`; the answer's `next_cursor` goes on from there."""

    async def look(wait_seconds: float) -> list[Answered]:
        found = await watch_decided(
            api.broker, caller, after=query.cursor, limit=query.limit, wait_seconds=wait_seconds
        )
        return list(found)

    found = await look_for(request.receive, api, look, wait_seconds=query.wait)
    return Replied(agent_reply(api, decided_page(api, found, query.cursor)))


@router.get(
    "/v1/actions/{action_id}",
    operation_id="watchAction",
    summary="Look at one action, or wait until it moves",
    responses=answers(ActionAnswer, 401, 404),
    openapi_extra=described(AGENT, headers={"Assent-Attempt": "the attempt that may hold the action"}),
)
async def watch(
    request: Request,
    api: ApiOf,
    caller: AgentOf,
    action_id: ActionIdOf,
    *,
    attempt: AttemptOf,
    query: Annotated[WatchQuery, Query()],
) -> Response:
    """Answer once the revision is above `after`, or `wait` seconds are over; without `after` at once."""
    wanted = Watched(action=ActionId(action_id), wait_seconds=query.wait, after=query.after)
    return Replied(await answer_watch(api, caller, wanted, attempt, request.receive))


@router.post(
    "/v1/actions/{action_id}/cancel",
    operation_id="cancelAction",
    summary="Withdraw an action that has not started",
    responses=answers(ActionAnswer, 401, 404, 409, 413, 415),
    openapi_extra=described(AGENT, takes=CancelBody),
)
async def cancel(
    api: ApiOf, caller: AgentOf, action_id: ActionIdOf, body: Annotated[CancelBody, Depends(body_of(CancelBody))]
) -> Response:
    """Cancel; doing it twice says the same. An action that is running cannot be cancelled: 409 `illegal_move`."""
    answered = await cancel_action(api.broker, caller, ActionId(action_id), body.reason or "")
    return Replied(agent_reply(api, action_answer(api, answered)))


@router.post(
    "/v1/actions/{action_id}/outcome",
    operation_id="reportOutcome",
    summary="Report what became of a run",
    responses=answers(ReportedAnswer, 401, 404, 409, 413, 415),
    openapi_extra=described(AGENT, SERVICE, takes=OutcomeBody),
)
async def report(
    api: ApiOf,
    caller: AgentOrServiceOf,
    action_id: ActionIdOf,
    body: Annotated[OutcomeBody, Depends(body_of(OutcomeBody))],
) -> Response:
    """Store the outcome, told by the attempt that holds the action; the same report again changes nothing."""
    told = Report(
        attempt=body.attempt,
        status=ActionState(body.status),
        duration_ms=body.duration_ms,
        error=body.error,
        result_digest=body.result_digest,
    )
    if isinstance(caller, AgentCaller):
        reported = await report_outcome(api.broker, caller, ActionId(action_id), told)
    else:
        reported = await report_outcome_as_tool(api.broker, caller, ActionId(action_id), told)
    return report_reply(api, reported)


@router.get(
    "/v1/me",
    operation_id="describeMe",
    summary="Who am I, and which tools may I use",
    responses=answers(MeAnswer, 401),
    openapi_extra=described(AGENT),
)
async def me(api: ApiOf, caller: AgentOf) -> Response:
    """Describe the caller; a tool's `decision` is the best that asking for it can come to."""
    return Replied(agent_reply(api, me_answer(await describe_agent(api.broker, caller))))
