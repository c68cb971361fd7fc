"""What auditors call: records, without payload; values are only committed to."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from assent.api.dependencies import ApiOf, OperatorOf
from assent.api.documentation import OPERATOR, answers, described
from assent.api.operator_views import record_view, records_page
from assent.api.replies import Replied, Reply
from assent.core.looking import RecordFilter
from assent.core.operators import Permission
from assent.core.records import RecordId
from assent.flows.read_records import list_records, show_record
from assent.wire.operators import RecordPage, RecordsQuery, RecordView
from assent.wire.shapes import PlainId

router = APIRouter(tags=["records"])


@router.get(
    "/v1/records",
    operation_id="listRecords",
    summary="List records, newest first",
    responses=answers(RecordPage, 401, 403),
    openapi_extra=described(OPERATOR, permission=Permission.AUDIT_READ),
)
async def list_all(api: ApiOf, caller: OperatorOf, query: Annotated[RecordsQuery, Query()]) -> Response:
    """List records that match every filter; a page may hold fewer than `limit`, even none, while `next_cursor` goes on.

    What is asked by `action`, or by `kind` alone, is found at once; anything else is looked for step by step.
    """
    which = RecordFilter(
        agent=query.agent,
        operator=query.operator,
        tool=query.tool,
        kind=query.kind,
        decision=query.decision,
        action=query.action,
        approval=query.approval,
        since=query.since,
        until=query.until,
        oldest_first=query.order == "oldest",
    )
    looking = which if query.cursor is None else which.going_on(query.cursor)
    found = await list_records(api.broker, caller, looking, limit=query.limit)
    return Replied(Reply(200, records_page(found)))


@router.get(
    "/v1/records/{record_id}",
    operation_id="showRecord",
    summary="Show one record",
    responses=answers(RecordView, 401, 403, 404),
    openapi_extra=described(OPERATOR, permission=Permission.AUDIT_READ),
)
async def show(api: ApiOf, caller: OperatorOf, record_id: Annotated[PlainId, Path()]) -> Response:
    """Show one record as the tree hashes it, without payload."""
    return Replied(Reply(200, record_view(await show_record(api.broker, caller, RecordId(record_id)))))
