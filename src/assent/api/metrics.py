"""What a scraper reads: counts and gauges without payload and without names, for this machine or for an auditor.

Behind a proxy every caller comes from this machine, so there everybody needs a credential.
"""

import asyncio
import ipaddress
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from assent.api.authentication import operator_from
from assent.api.dependencies import ApiOf
from assent.api.documentation import OPERATOR, answers, described
from assent.api.replies import Replied, Reply
from assent.api.requests import bearer, head_of
from assent.core.operators import Permission
from assent.flows.authenticate import require
from assent.metrics import CONTENT_TYPE, render

router = APIRouter(tags=["health"])


async def _may_scrape(request: Request, api: ApiOf) -> None:
    if api.settings.metrics_on_loopback and _is_this_machine(request):
        return
    caller = await operator_from(api, request.scope, bearer(head_of(request.scope)))
    require(caller, Permission.AUDIT_READ)


def _is_this_machine(request: Request) -> bool:
    client = request.scope.get("client")
    try:
        return client is not None and ipaddress.ip_address(client[0]).is_loopback
    except ValueError:
        return False


@router.get(
    "/metrics",
    operation_id="readMetrics",
    summary="Counts and gauges in the text form of Prometheus",
    responses=answers(None, 401, 403, media_type="text/plain"),
    openapi_extra=described(OPERATOR, permission=Permission.AUDIT_READ),
)
async def metrics(api: ApiOf, _: Annotated[None, Depends(_may_scrape)]) -> Response:
    """Return them; on loopback, and not behind a proxy, without a credential."""
    measured = await api.measure()
    text = await asyncio.to_thread(render, api.tally.copy(), measured)
    return Replied(Reply(200, text, media_type=CONTENT_TYPE))
