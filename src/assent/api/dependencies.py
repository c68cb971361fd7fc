"""What the framework's routes are given before they run: the broker, and who calls, one for each kind of credential."""

from typing import Annotated

from fastapi import Depends, Path, Request

from assent.api.authentication import (
    SURFACE,
    AnyCaller,
    agent_from,
    anybody_from,
    catch_up,
    operator_from,
    service_from,
    stopper_from,
)
from assent.api.given import Api
from assent.api.requests import bearer, head_of
from assent.core.credentials import Kind, take_apart
from assent.core.errors import Unauthenticated
from assent.core.operators import Permission
from assent.core.reasons import Reason
from assent.flows.authenticate import AgentCaller, ServiceCaller, TokenCaller, require
from assent.flows.refuse_stranger import refuse_credential
from assent.wire.shapes import PlainId


def api_of(request: Request) -> Api:
    """Return what the application was built with."""
    given: Api = request.app.state.api
    return given


ApiOf = Annotated[Api, Depends(api_of)]
ApprovalKeyOf = Annotated[PlainId, Path(description="the id or the short code")]


async def _agent(request: Request, api: ApiOf) -> AgentCaller:
    head = head_of(request.scope)
    caller = await agent_from(api, request.scope, bearer(head))
    await catch_up(api, head)
    return caller


async def _service(request: Request, api: ApiOf) -> ServiceCaller:
    head = head_of(request.scope)
    caller = await service_from(api, request.scope, bearer(head))
    await catch_up(api, head)
    return caller


async def _operator(request: Request, api: ApiOf) -> TokenCaller:
    return await operator_from(api, request.scope, bearer(head_of(request.scope)))


async def _decider(request: Request, api: ApiOf, approval: ApprovalKeyOf) -> TokenCaller:
    token = bearer(head_of(request.scope))
    try:
        return await operator_from(api, request.scope, token)
    except Unauthenticated as fault:
        act = request.url.path.rpartition("/")[2].replace("-", "_")
        why = Reason.of("not_eligible", fault.message)
        await refuse_credential(api.broker, token, approval, surface=SURFACE, act=act, reason=why)
        raise


async def _policy_keeper(request: Request, api: ApiOf) -> TokenCaller:
    # Before the body is read: it is larger than any other, and nobody else has a reason to send one.
    caller = await _operator(request, api)
    require(caller, Permission.POLICY_ACTIVATE)
    return caller


async def _stopper(request: Request, api: ApiOf) -> TokenCaller:
    return await stopper_from(api, bearer(head_of(request.scope)))


async def _agent_or_service(request: Request, api: ApiOf) -> AgentCaller | ServiceCaller:
    token = bearer(head_of(request.scope))
    presented = None if token is None else take_apart(token)
    if presented is not None and presented.kind is Kind.SERVICE:
        return await _service(request, api)
    return await _agent(request, api)


async def _reader_of_the_log(request: Request, api: ApiOf) -> AnyCaller | None:
    if api.settings.public_log:
        return None
    return await anybody_from(api, request.scope, bearer(head_of(request.scope)))


async def _reader_of_a_proof(request: Request, api: ApiOf) -> AgentCaller | TokenCaller | None:
    reader = await _reader_of_the_log(request, api)
    if isinstance(reader, ServiceCaller):
        raise Unauthenticated("this call needs the credential of an agent or an operator")
    return reader


AgentOf = Annotated[AgentCaller, Depends(_agent)]
ServiceOf = Annotated[ServiceCaller, Depends(_service)]
DeciderOf = Annotated[TokenCaller, Depends(_decider)]
OperatorOf = Annotated[TokenCaller, Depends(_operator)]
PolicyKeeperOf = Annotated[TokenCaller, Depends(_policy_keeper)]
StopperOf = Annotated[TokenCaller, Depends(_stopper)]
AgentOrServiceOf = Annotated[AgentCaller | ServiceCaller, Depends(_agent_or_service)]
LogReaderOf = Annotated[AnyCaller | None, Depends(_reader_of_the_log)]
ProofReaderOf = Annotated[AgentCaller | TokenCaller | None, Depends(_reader_of_a_proof)]
