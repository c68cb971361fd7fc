"""What operators call about each other: who there is, what they may, their tokens; and who am I."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from assent.api.dependencies import ApiOf, OperatorOf
from assent.api.documentation import EVERYBODY, OPERATOR, answers, described
from assent.api.principal_views import (
    link_code,
    operator_me,
    operator_view,
    operators_page,
    revoked_answer,
    token_issued,
    unlinked_answer,
)
from assent.api.replies import Replied, Reply
from assent.api.requests import body_of
from assent.core.credentials import CredentialId, Kind
from assent.core.operators import OperatorId, Permission
from assent.flows.issue_credentials import issue_operator_token, revoke
from assent.flows.link_account import ask_for_code, unlink
from assent.flows.read_principals import list_operators, show_operator
from assent.logs import EventLog
from assent.wire.principals import (
    IssueTokenBody,
    LinkCode,
    OperatorMe,
    OperatorPage,
    OperatorView,
    PrincipalsQuery,
    RevokedAnswer,
    TokenIssued,
    UnlinkedAnswer,
)
from assent.wire.shapes import PlainId

router = APIRouter(tags=["principals"])
log = EventLog("assent.api")

_OK = 200
_MANAGE = Permission.OPERATORS_MANAGE
OperatorIdOf = Annotated[PlainId, Path()]


@router.get(
    "/v1/operators",
    operation_id="listOperators",
    summary="List operators by id",
    responses=answers(OperatorPage, 401, 403),
    openapi_extra=described(OPERATOR, permission=_MANAGE),
)
async def list_all(api: ApiOf, caller: OperatorOf, query: Annotated[PrincipalsQuery, Query()]) -> Response:
    """List them with their live tokens; whoever may read the audit log may see them too."""
    found = await list_operators(api.broker, caller, limit=query.limit, after=query.cursor)
    return Replied(Reply(_OK, operators_page(found, limit=query.limit)))


@router.get(
    "/v1/operators/me",
    operation_id="describeOperatorMe",
    summary="Who am I, and what may I do",
    responses=answers(OperatorMe, 401),
    openapi_extra=described(OPERATOR, permission=EVERYBODY),
)
async def me(api: ApiOf, caller: OperatorOf) -> Response:
    """Describe the caller; no permission is needed."""
    seen = await show_operator(api.broker, caller, caller.operator.id)
    return Replied(Reply(_OK, operator_me(seen, caller, api.broker.policy().version)))


@router.get(
    "/v1/operators/{operator_id}",
    operation_id="showOperator",
    summary="Show one operator and all their tokens",
    responses=answers(OperatorView, 401, 403, 404),
    openapi_extra=described(OPERATOR, permission=_MANAGE),
)
async def show(api: ApiOf, caller: OperatorOf, operator_id: OperatorIdOf) -> Response:
    """Show them; whoever may read the audit log may see them too, and everybody themselves."""
    return Replied(Reply(_OK, operator_view(await show_operator(api.broker, caller, OperatorId(operator_id)))))


@router.post(
    "/v1/operators/{operator_id}/tokens",
    operation_id="issueOperatorToken",
    summary="Issue a token for an operator",
    responses=answers(TokenIssued, 401, 403, 404, 409, 413, 415),
    openapi_extra=described(OPERATOR, takes=IssueTokenBody, permission=_MANAGE),
)
async def issue(
    api: ApiOf,
    caller: OperatorOf,
    operator_id: OperatorIdOf,
    body: Annotated[IssueTokenBody, Depends(body_of(IssueTokenBody))],
) -> Response:
    """Issue it and tell it once. 403: the other one may do what the caller may not. 409: they have 20 live ones."""
    seconds = body.valid_for_seconds
    valid_for = None if seconds is None else timedelta(seconds=seconds)
    issued = await issue_operator_token(api.broker, caller, operator_id, valid_for=valid_for)
    # Whoever issues a token could use it, so it is announced where whoever runs the broker looks.
    log.warning("operator_credential_issued", operator=operator_id, by=caller.operator.id, key_id=issued.credential.id)
    return Replied(Reply(_OK, token_issued(issued)))


@router.post(
    "/v1/operators/me/link",
    operation_id="askForLinkCode",
    summary="Ask for a code that links one's own Slack account",
    responses=answers(LinkCode, 401, 409),
    openapi_extra=described(OPERATOR, permission=EVERYBODY),
)
async def ask_to_link(api: ApiOf, caller: OperatorOf) -> Response:
    """Tell a code once; typed at the declared account within ten minutes, it makes votes from there `linked`."""
    return Replied(Reply(_OK, link_code(caller.operator.id, await ask_for_code(api.broker, caller))))


@router.delete(
    "/v1/operators/{operator_id}/link",
    operation_id="unlinkOperator",
    summary="Unlink an operator's Slack account, at once",
    responses=answers(UnlinkedAnswer, 401, 403, 404),
    openapi_extra=described(OPERATOR, permission=_MANAGE),
)
async def end_link(api: ApiOf, caller: OperatorOf, operator_id: OperatorIdOf) -> Response:
    """Unlink it; everybody may unlink their own. 404: none is linked."""
    await unlink(api.broker, caller, operator_id)
    return Replied(Reply(_OK, unlinked_answer(operator_id)))


@router.delete(
    "/v1/operators/{operator_id}/tokens/{token_id}",
    operation_id="revokeOperatorToken",
    summary="Revoke a token of an operator, at once",
    responses=answers(RevokedAnswer, 401, 403, 404),
    openapi_extra=described(OPERATOR, permission=_MANAGE),
)
async def revoke_token(
    api: ApiOf, caller: OperatorOf, operator_id: OperatorIdOf, token_id: Annotated[PlainId, Path()]
) -> Response:
    """Revoke it; everybody may revoke their own. Doing it twice says the same."""
    revoked = await revoke(api.broker, caller, Kind.OPERATOR, operator_id, CredentialId(token_id))
    return Replied(Reply(_OK, revoked_answer(revoked)))
