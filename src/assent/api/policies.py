"""What operators call about policies: the directory is read again, and its findings come back by file and line."""

import re
from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from assent.api.dependencies import ApiOf, OperatorOf
from assent.api.documentation import OPERATOR, answers, described
from assent.api.problems import RequestRefused
from assent.api.replies import Replied, Reply, encoded
from assent.core.errors import PolicyInvalid
from assent.core.operators import Permission
from assent.core.privileges import widening
from assent.flows.activate_policy import TakenUp
from assent.flows.reload_policy import reload_policy
from assent.wire.policies import PolicyReloaded
from assent.wire.problems import FieldFault

router = APIRouter(tags=["policy"])

MAX_TOLD: Final = 100
_FINDING = re.compile(r"(?P<at>[^\s:]+(?::\d+)*): (?P<message>.*)", re.DOTALL)


@router.post(
    "/v1/policy/reload",
    operation_id="reloadPolicy",
    summary="Read the policy directory again",
    responses=answers(PolicyReloaded, 401, 403, 404, 422),
    openapi_extra=described(OPERATOR, permission=Permission.POLICY_ACTIVATE),
)
async def reload(api: ApiOf, caller: OperatorOf) -> Response:
    """Let what it holds serve, or wait to be confirmed; 422 `policy_refused` with the findings when it is refused."""
    try:
        taken = await reload_policy(api.broker, caller)
    except PolicyInvalid as refused:
        raise _refused(refused, api.broker.policy().version) from refused
    return Replied(Reply(200, encoded(_reloaded(taken))))


def _reloaded(taken: TakenUp) -> PolicyReloaded:
    return PolicyReloaded(
        version=taken.version,
        serving=taken.serving,
        uptake=taken.uptake.value,
        widens=tuple(str(change) for change in widening(taken.changes)[:MAX_TOLD]),
        changes=len(taken.changes),
        ended=len(taken.ended),
    )


def _refused(refused: PolicyInvalid, serving: str) -> RequestRefused:
    found = (_FINDING.fullmatch(finding) for finding in refused.findings[:MAX_TOLD])
    return RequestRefused(
        "policy_refused",
        f"{refused.message}; version `{serving[:12]}` goes on serving",
        faults=[FieldFault(at=one["at"], message=one["message"]) for one in found if one is not None],
        hint="correct what `errors` names and reload again",
    )
