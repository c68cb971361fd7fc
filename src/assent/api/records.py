"""What auditors call: the newest records, without payload; values are only committed to."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from assent.api.dependencies import ApiOf, OperatorOf
from assent.api.documentation import OPERATOR, answers, described
from assent.api.operator_views import records_page
from assent.api.replies import Replied, Reply
from assent.core.operators import Permission
from assent.flows.read_records import list_records
from assent.ports import RecordFilter
from assent.wire.operators import RecordPage, RecordsQuery

router = APIRouter(tags=["records"])


@router.get(
    "/v1/records",
    operation_id="listRecords",
    summary="List records, newest first",
    responses=answers(RecordPage, 401, 403),
    openapi_extra=described(OPERATOR, permission=Permission.AUDIT_READ),
)
async def list_all(api: ApiOf, caller: OperatorOf, query: Annotated[RecordsQuery, Query()]) -> Response:
    """List records that match every filter; `next_cursor` is the index of the last one, older ones come after it."""
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
        before=query.cursor,
    )
    found = await list_records(api.broker, caller, which, limit=query.limit)
    return Replied(Reply(200, records_page(found, limit=query.limit)))
