"""What operators call about agents and tools' services: who there is, their keys, suspended or not."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from assent.api import problems, replies
from assent.api.dependencies import ApiOf, OperatorOf
from assent.api.documentation import OPERATOR, answers, described
from assent.api.principal_views import (
    agent_view,
    agents_page,
    key_issued,
    resumed_answer,
    revoked_answer,
    service_key_issued,
    services_page,
    suspended_answer,
)
from assent.api.replies import Replied, Reply
from assent.api.requests import body_of
from assent.core.agents import AgentId, AgentState
from assent.core.credentials import CredentialId, Kind
from assent.core.operators import Permission
from assent.flows.issue_credentials import issue_agent_key, issue_service_key, revoke
from assent.flows.read_principals import list_agents, list_services, show_agent
from assent.flows.resume_agent import resume_agent
from assent.flows.suspend_agent import suspend_agent
from assent.wire.principals import (
    AgentPage,
    AgentView,
    IssueKeyBody,
    IssueServiceKeyBody,
    KeyIssued,
    PrincipalsQuery,
    ResumedAnswer,
    RevokedAnswer,
    ServiceKeyIssued,
    ServicePage,
    SuspendBody,
    SuspendedAnswer,
)
from assent.wire.shapes import PlainId

router = APIRouter(tags=["principals"])

_OK = 200
_WAITS_FOR_A_SECOND = 202
_MANAGE = Permission.AGENTS_MANAGE
AgentIdOf = Annotated[PlainId, Path()]
KeyIdOf = Annotated[PlainId, Path()]
ServiceIdOf = Annotated[PlainId, Path()]
SuspendBodyOf = Annotated[SuspendBody, Depends(body_of(SuspendBody))]


@router.get(
    "/v1/agents",
    operation_id="listAgents",
    summary="List agents by id",
    responses=answers(AgentPage, 401, 403),
    openapi_extra=described(OPERATOR, permission=_MANAGE),
)
async def list_all(api: ApiOf, caller: OperatorOf, query: Annotated[PrincipalsQuery, Query()]) -> Response:
    """List them with their live keys; whoever may read the audit log may see them too."""
    found = await list_agents(api.broker, caller, limit=query.limit, after=query.cursor)
    return Replied(Reply(_OK, agents_page(found, caller.operator, limit=query.limit)))


@router.get(
    "/v1/agents/{agent_id}",
    operation_id="showAgent",
    summary="Show one agent and all its keys",
    responses=answers(AgentView, 401, 403, 404),
    openapi_extra=described(OPERATOR, permission=_MANAGE),
)
async def show(api: ApiOf, caller: OperatorOf, agent_id: AgentIdOf) -> Response:
    """Show it; whoever may read the audit log may see it too, without the words of who suspended it."""
    return Replied(Reply(_OK, agent_view(await show_agent(api.broker, caller, AgentId(agent_id)), caller.operator)))


@router.post(
    "/v1/agents/{agent_id}/keys",
    operation_id="issueAgentKey",
    summary="Issue a key for an agent",
    responses=answers(KeyIssued, 401, 403, 404, 409, 413, 415),
    openapi_extra=described(OPERATOR, takes=IssueKeyBody, permission=_MANAGE),
)
async def issue_key(
    api: ApiOf, caller: OperatorOf, agent_id: AgentIdOf, body: Annotated[IssueKeyBody, Depends(body_of(IssueKeyBody))]
) -> Response:
    """Issue it and tell it once; the caller may not approve what is asked with it. 409: it has 20 live ones."""
    made = await issue_agent_key(api.broker, caller, agent_id, valid_for=_span(body.valid_for_seconds))
    return Replied(Reply(_OK, key_issued(made)))


@router.delete(
    "/v1/agents/{agent_id}/keys/{key_id}",
    operation_id="revokeAgentKey",
    summary="Revoke a key of an agent, at once",
    responses=answers(RevokedAnswer, 401, 403, 404),
    openapi_extra=described(OPERATOR, permission=_MANAGE),
)
async def revoke_key(api: ApiOf, caller: OperatorOf, agent_id: AgentIdOf, key_id: KeyIdOf) -> Response:
    """Revoke it; what was asked with it and waits ends too. Doing it twice says the same."""
    revoked = await revoke(api.broker, caller, Kind.AGENT, agent_id, CredentialId(key_id))
    return Replied(Reply(_OK, revoked_answer(revoked)))


@router.post(
    "/v1/agents/{agent_id}/suspend",
    operation_id="suspendAgent",
    summary="Suspend an agent, now",
    responses=answers(SuspendedAnswer, 401, 403, 404, 413, 415),
    openapi_extra=described(OPERATOR, takes=SuspendBody, permission=_MANAGE),
)
async def suspend(api: ApiOf, caller: OperatorOf, agent_id: AgentIdOf, body: SuspendBodyOf) -> Response:
    """Suspend it; from this answer on nothing is decided or redeemed for it, or for others on its behalf."""
    suspended = await suspend_agent(api.broker, caller, AgentId(agent_id), reason=body.reason)
    return Replied(Reply(_OK, suspended_answer(suspended)))


@router.post(
    "/v1/agents/{agent_id}/resume",
    operation_id="resumeAgent",
    summary="Let a suspended agent go on, with a second person",
    responses={**answers(ResumedAnswer, 401, 403, 404, 413, 415), 202: answers(ResumedAnswer, success=202)[202]},
    openapi_extra=described(OPERATOR, takes=SuspendBody, permission=_MANAGE),
)
async def resume(api: ApiOf, caller: OperatorOf, agent_id: AgentIdOf, body: SuspendBodyOf) -> Response:
    """Resume it, or 202 while a second, different person is needed; `who` may be that person, its owner never."""
    answer = await resume_agent(api.broker, caller, AgentId(agent_id), reason=body.reason)
    if answer.refused is not None:
        problem = problems.of_refusal(answer.refused, state=AgentState.SUSPENDED.value, who=answer.who or None)
        return Replied(replies.of_problem(problem))
    return Replied(Reply(_OK if answer.goes_on else _WAITS_FOR_A_SECOND, resumed_answer(answer)))


@router.get(
    "/v1/services",
    operation_id="listServices",
    summary="List tools' services that hold a key",
    responses=answers(ServicePage, 401, 403),
    openapi_extra=described(OPERATOR, permission=_MANAGE),
)
async def list_all_services(api: ApiOf, caller: OperatorOf, query: Annotated[PrincipalsQuery, Query()]) -> Response:
    """List them with their live keys; whoever may read the audit log may see them too."""
    found = await list_services(api.broker, caller, limit=query.limit, after=query.cursor)
    return Replied(Reply(_OK, services_page(found, limit=query.limit)))


@router.post(
    "/v1/services/{service_id}/keys",
    operation_id="issueServiceKey",
    summary="Issue a key for a tool's own service",
    responses=answers(ServiceKeyIssued, 401, 403, 404, 409, 413, 415),
    openapi_extra=described(OPERATOR, takes=IssueServiceKeyBody, permission=_MANAGE),
)
async def issue_for_service(
    api: ApiOf,
    caller: OperatorOf,
    service_id: ServiceIdOf,
    body: Annotated[IssueServiceKeyBody, Depends(body_of(IssueServiceKeyBody))],
) -> Response:
    """Issue it and tell it once; it redeems grants for the tools named, and nothing else."""
    valid_for = _span(body.valid_for_seconds)
    issued = await issue_service_key(api.broker, caller, service_id, tools=tuple(body.tools), valid_for=valid_for)
    return Replied(Reply(_OK, service_key_issued(issued)))


@router.delete(
    "/v1/services/{service_id}/keys/{key_id}",
    operation_id="revokeServiceKey",
    summary="Revoke a key of a tool's service, at once",
    responses=answers(RevokedAnswer, 401, 403, 404),
    openapi_extra=described(OPERATOR, permission=_MANAGE),
)
async def revoke_for_service(api: ApiOf, caller: OperatorOf, service_id: ServiceIdOf, key_id: KeyIdOf) -> Response:
    """Revoke it. Doing it twice says the same."""
    revoked = await revoke(api.broker, caller, Kind.SERVICE, service_id, CredentialId(key_id))
    return Replied(Reply(_OK, revoked_answer(revoked)))


def _span(seconds: int | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)
