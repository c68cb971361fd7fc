"""What operators call about approvals: list, show, approve, deny, revoke, let again. A refused act is recorded too."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from assent.api import problems, replies
from assent.api.dependencies import ApiOf, ApprovalKeyOf, DeciderOf, OperatorOf
from assent.api.documentation import OPERATOR, answers, described
from assent.api.given import Api
from assent.api.operator_views import approval_view_for, approvals_page, asked_numbers, resolved_answer
from assent.api.replies import Replied, Reply
from assent.api.requests import body_of
from assent.core.approvals import OPEN, ApprovalId, ApprovalState, DenialCategory
from assent.core.operators import Permission
from assent.core.records import rfc3339
from assent.flows.count_asks import count_asks
from assent.flows.resolve_approval import (
    Resolved,
    approve_action,
    deny_action,
    find_approval,
    let_ask_again,
    list_approvals,
    list_mine,
    revoke_approval,
    show_approval,
)
from assent.wire.operators import (
    ApprovalPage,
    ApprovalsQuery,
    ApprovalView,
    ApproveBody,
    AskedNumbers,
    AskedQuery,
    DenyBody,
    LetAgainBody,
    ResolvedAnswer,
    RevokeBody,
)

router = APIRouter(tags=["approvals"])


@router.get(
    "/v1/approvals",
    operation_id="listApprovals",
    summary="List approvals, newest first",
    responses=answers(ApprovalPage, 401, 403),
    openapi_extra=described(OPERATOR, permission=Permission.APPROVALS_READ),
)
async def list_all(api: ApiOf, caller: OperatorOf, query: Annotated[ApprovalsQuery, Query()]) -> Response:
    """List the open ones, or those in the states named (repeat `state`), or the newest with a `code`.

    With `mine` only those that wait for the caller's own vote; a page may then hold fewer than `limit`.
    """
    if query.code is not None:
        found = await find_approval(api.broker, caller, query.code.upper())
        return Replied(Reply(200, approvals_page(found, caller.operator, _notice(api))))
    look = list_mine if query.mine else list_approvals
    found = await look(
        api.broker,
        caller,
        tuple(ApprovalState(name) for name in query.state) or tuple(sorted(OPEN)),
        limit=query.limit,
        before=None if query.cursor is None else ApprovalId(query.cursor),
    )
    return Replied(Reply(200, approvals_page(found, caller.operator, _notice(api))))


@router.get(
    "/v1/approvals/stats",
    operation_id="countAsks",
    summary="Count how people are asked",
    responses=answers(AskedNumbers, 401, 403),
    openapi_extra=described(OPERATOR, permission=Permission.APPROVALS_READ),
)
async def stats(api: ApiOf, caller: OperatorOf, query: Annotated[AskedQuery, Query()]) -> Response:
    """Count questions and answers by person and agent, how fast they were, and the rules nobody ever says no to."""
    return Replied(Reply(200, asked_numbers(await count_asks(api.broker, caller, timedelta(days=query.days)))))


@router.get(
    "/v1/approvals/{approval}",
    operation_id="showApproval",
    summary="Show one approval: everything that will run",
    responses=answers(ApprovalView, 401, 403, 404),
    openapi_extra=described(OPERATOR, permission=Permission.APPROVALS_READ),
)
async def show(api: ApiOf, caller: OperatorOf, approval: ApprovalKeyOf) -> Response:
    """Show the whole action, who could still vote, and why the caller cannot.

    Who holds neither `approvals.decide` nor `audit.payloads` hears `masked: true`, and kinds and lengths for values.
    """
    seen = await show_approval(api.broker, caller, approval)
    return Replied(Reply(200, approval_view_for(caller.operator)(seen)))


@router.post(
    "/v1/approvals/{approval}/approve",
    operation_id="approve",
    summary="Say yes to what was shown",
    responses=answers(ResolvedAnswer, 401, 403, 404, 409, 410, 413, 415),
    openapi_extra=described(OPERATOR, takes=ApproveBody, permission=Permission.APPROVALS_DECIDE),
)
async def approve(
    api: ApiOf,
    caller: DeciderOf,
    approval: ApprovalKeyOf,
    body: Annotated[ApproveBody, Depends(body_of(ApproveBody))],
) -> Response:
    """Count the caller's yes; repeating one's own vote is 200 as well."""
    prefix = body.digest_prefix.lower()
    resolved = await approve_action(api.broker, caller, approval, digest_prefix=prefix, comment=body.comment or "")
    return _answer(resolved)


@router.post(
    "/v1/approvals/{approval}/deny",
    operation_id="deny",
    summary="Say no: nothing will be run",
    responses=answers(ResolvedAnswer, 401, 403, 404, 409, 410, 413, 415),
    openapi_extra=described(OPERATOR, takes=DenyBody, permission=Permission.APPROVALS_DECIDE),
)
async def deny(
    api: ApiOf, caller: DeciderOf, approval: ApprovalKeyOf, body: Annotated[DenyBody, Depends(body_of(DenyBody))]
) -> Response:
    """Deny; the agent's owner and security admins may do so too, without the permission to approve."""
    category = DenialCategory(body.category)
    return _answer(await deny_action(api.broker, caller, approval, category=category, comment=body.reason))


@router.post(
    "/v1/approvals/{approval}/revoke",
    operation_id="revoke",
    summary="Take an approval back before the action runs",
    responses=answers(ResolvedAnswer, 401, 403, 404, 409, 410, 413, 415),
    openapi_extra=described(OPERATOR, takes=RevokeBody, permission=Permission.APPROVALS_DECIDE),
)
async def revoke(
    api: ApiOf, caller: DeciderOf, approval: ApprovalKeyOf, body: Annotated[RevokeBody, Depends(body_of(RevokeBody))]
) -> Response:
    """Revoke; the agent's owner and security admins may do so too. Once it runs, 409 says that it is too late."""
    return _answer(await revoke_approval(api.broker, caller, approval, reason=body.reason))


@router.post(
    "/v1/approvals/{approval}/let-again",
    operation_id="letAgain",
    summary="Let what was denied be asked again",
    responses=answers(ResolvedAnswer, 401, 403, 404, 409, 413, 415),
    openapi_extra=described(OPERATOR, takes=LetAgainBody, permission=Permission.APPROVALS_DECIDE),
)
async def let_again(
    api: ApiOf,
    caller: DeciderOf,
    approval: ApprovalKeyOf,
    body: Annotated[LetAgainBody, Depends(body_of(LetAgainBody))],
) -> Response:
    """Lift what a denial left behind, for whoever denied it and those who could approve it. It approves nothing."""
    return _answer(await let_ask_again(api.broker, caller, approval, reason=body.reason or ""))


def _notice(api: Api) -> str | None:
    return None if api.slack is None else api.slack.notice


def _answer(resolved: Resolved) -> Response:
    if resolved.refused is None:
        return Replied(Reply(200, resolved_answer(resolved)))
    approval = resolved.approval
    problem = problems.of_refusal(
        resolved.refused,
        state=approval.state.value,
        decided_by=approval.decided_by,
        decided_at=None if approval.decided_at is None else rfc3339(approval.decided_at),
        who=resolved.who or None,
    )
    return Replied(replies.of_problem(problem))
