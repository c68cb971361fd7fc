"""What auditors call beyond plain records: the life of an action, payload with a record of it, exports, findings."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from assent.api.audit_views import erased_answer, export_answer, findings_page, revealed_page, story_page
from assent.api.dependencies import ApiOf, OperatorOf
from assent.api.documentation import OPERATOR, answers, described
from assent.api.replies import Replied, Reply
from assent.api.requests import body_of
from assent.core.operators import Permission
from assent.core.records import RecordId
from assent.flows.erase_payload import erase_action
from assent.flows.examine_log import examine
from assent.flows.export_log import begin_export
from assent.flows.reveal_payload import reveal_action, reveal_record
from assent.flows.tell_story import tell_story
from assent.wire.audit import (
    EraseBody,
    ErasedAnswer,
    ExportAnswer,
    ExportBody,
    FindingPage,
    RevealBody,
    RevealedPage,
    StoryPage,
    StoryQuery,
)
from assent.wire.shapes import PlainId

router = APIRouter(tags=["audit"])

ActionKeyOf = Annotated[PlainId, Path(description="the action's id, its approval's id, or the short code")]


@router.get(
    "/v1/actions/{action_id}/story",
    operation_id="tellStory",
    summary="Tell the life of an action from the log",
    responses=answers(StoryPage, 401, 403, 404),
    openapi_extra=described(OPERATOR, permission=Permission.AUDIT_READ),
)
async def story(
    api: ApiOf, caller: OperatorOf, action_id: ActionKeyOf, query: Annotated[StoryQuery, Query()]
) -> Response:
    """Tell who asked what, who was asked, who voted, when the grant was issued and redeemed, and how it ended.

    Breakers and suspensions that held over the action stand among its records, in the order of the log.
    """
    told = await tell_story(api.broker, caller, action_id, limit=query.limit, first=query.cursor)
    return Replied(Reply(200, story_page(told)))


@router.post(
    "/v1/actions/{action_id}/reveal",
    operation_id="revealAction",
    summary="Show the payload of an action's records",
    responses=answers(RevealedPage, 401, 403, 404, 413, 415),
    openapi_extra=described(OPERATOR, takes=RevealBody, permission=Permission.AUDIT_PAYLOADS),
)
async def reveal(
    api: ApiOf, caller: OperatorOf, action_id: ActionKeyOf, body: Annotated[RevealBody, Depends(body_of(RevealBody))]
) -> Response:
    """Show what was asked, with values of sensitive arguments; the record of it is durable before the answer leaves."""
    shown = await reveal_action(api.broker, caller, action_id, reason=body.reason or "", first=body.cursor)
    return Replied(Reply(200, revealed_page(shown)))


@router.post(
    "/v1/records/{record_id}/reveal",
    operation_id="revealRecord",
    summary="Show the payload of one record",
    responses=answers(RevealedPage, 401, 403, 404, 413, 415),
    openapi_extra=described(OPERATOR, takes=RevealBody, permission=Permission.AUDIT_PAYLOADS),
)
async def reveal_one(
    api: ApiOf,
    caller: OperatorOf,
    record_id: Annotated[PlainId, Path()],
    body: Annotated[RevealBody, Depends(body_of(RevealBody))],
) -> Response:
    """Show what one record commits to; the record of it is durable before the answer leaves."""
    shown = await reveal_record(api.broker, caller, RecordId(record_id), reason=body.reason or "")
    return Replied(Reply(200, revealed_page(shown)))


@router.post(
    "/v1/actions/{action_id}/erase",
    operation_id="erasePayload",
    summary="Erase the payload of an action that has ended",
    responses=answers(ErasedAnswer, 401, 403, 404, 409, 413, 415),
    openapi_extra=described(OPERATOR, takes=EraseBody, permission=Permission.AUDIT_ERASE),
)
async def erase(
    api: ApiOf, caller: OperatorOf, action_id: ActionKeyOf, body: Annotated[EraseBody, Depends(body_of(EraseBody))]
) -> Response:
    """Erase what was asked and said about an action, for ever: its records stay, and the log verifies as before."""
    erased = await erase_action(api.broker, caller, action_id, basis=body.basis, reason=body.reason or "")
    return Replied(Reply(200, erased_answer(erased)))


@router.post(
    "/v1/exports",
    operation_id="beginExport",
    summary="Begin an export of the log",
    responses=answers(ExportAnswer, 401, 403, 413, 415),
    openapi_extra=described(OPERATOR, takes=ExportBody, permission=Permission.AUDIT_READ),
)
async def export(api: ApiOf, caller: OperatorOf, body: Annotated[ExportBody, Depends(body_of(ExportBody))]) -> Response:
    """Fix which records an export holds, and record it; the records are then read in pages, oldest first."""
    begun = await begin_export(api.broker, caller, since=body.since, until=body.until)
    return Replied(Reply(200, export_answer(begun)))


@router.get(
    "/v1/findings",
    operation_id="listFindings",
    summary="What a human should look at",
    responses=answers(FindingPage, 401, 403),
    openapi_extra=described(OPERATOR, permission=Permission.AUDIT_READ),
)
async def findings(api: ApiOf, caller: OperatorOf) -> Response:
    """Answer each question about log and ledger: what holds, or what is wrong and what to do."""
    return Replied(Reply(200, findings_page(await examine(api.broker, caller))))
