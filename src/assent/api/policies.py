"""What operators call about the policy: which version serves and why it says what, reading it again, confirming it."""

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from assent.api.dependencies import ApiOf, OperatorOf, PolicyKeeperOf
from assent.api.documentation import OPERATOR, answers, described
from assent.api.policy_views import MAX_TOLD, activated_answer, offer_of, policy_view, published_answer
from assent.api.problems import RequestRefused
from assent.api.replies import Replied, Reply, encoded
from assent.api.requests import body_of, large_body_of
from assent.core.errors import PolicyInvalid
from assent.core.explanations import Asking, DocumentFormat
from assent.core.operators import Permission
from assent.core.privileges import widening
from assent.core.publications import MAX_OFFER_BYTES
from assent.flows.activate_policy import TakenUp, activate_policy
from assent.flows.publish_policy import publish_policy
from assent.flows.read_policy import explain_question, read_document, show_policy
from assent.flows.reload_policy import reload_policy
from assent.wire.policies import (
    ActivateBody,
    ActivatedAnswer,
    DocumentQuery,
    DocumentView,
    ExplainBody,
    ExplanationView,
    PolicyPublished,
    PolicyReloaded,
    PolicyView,
    PublishBody,
    explanation_view,
)
from assent.wire.problems import FieldFault

router = APIRouter(tags=["policy"])

_FINDING = re.compile(r"(?P<at>[^\s:]+(?::\d+)*): (?P<message>.*)", re.DOTALL)
_OK = 200
_READ = Permission.APPROVALS_READ


@router.get(
    "/v1/policy",
    operation_id="showPolicy",
    summary="Show which policy serves and what waits",
    responses=answers(PolicyView, 401, 403, 404),
    openapi_extra=described(OPERATOR, permission=_READ),
)
async def show(api: ApiOf, caller: OperatorOf) -> Response:
    """Show the version that serves, whether its files are others by now, and what waits to be confirmed."""
    return Replied(Reply(_OK, encoded(policy_view(await show_policy(api.broker, caller)))))


@router.get(
    "/v1/policy/document",
    operation_id="readPolicyDocument",
    summary="Read the policy as a document, or as Casbin's files",
    responses=answers(DocumentView, 401, 403, 404),
    openapi_extra=described(OPERATOR, permission=_READ),
)
async def document(api: ApiOf, caller: OperatorOf, query: Annotated[DocumentQuery, Query()]) -> Response:
    """Return the access-policy document of the version that serves, whole or of one agent or role."""
    kind = DocumentFormat(query.format)
    version, text = await read_document(api.broker, caller, kind, agent=query.agent, role=query.role)
    return Replied(Reply(_OK, encoded(DocumentView(policy_version=version, format=kind.value, text=text))))


@router.post(
    "/v1/policy/explain",
    operation_id="explainQuestion",
    summary="Explain what a question would come to",
    responses=answers(ExplanationView, 401, 403, 404, 413, 415),
    openapi_extra=described(OPERATOR, takes=ExplainBody, permission=_READ),
)
async def explain(
    api: ApiOf, caller: OperatorOf, body: Annotated[ExplainBody, Depends(body_of(ExplainBody))]
) -> Response:
    """Say which rules match, which nearly do and what fails, and whom a question would reach. Nothing is asked."""
    asking = Asking(
        agent=body.agent, tool=body.tool, arguments=body.arguments, on_behalf_of=tuple(body.on_behalf_of or ())
    )
    explained = await explain_question(api.broker, caller, asking)
    return Replied(Reply(_OK, encoded(explanation_view(explained.explanation, explained.files_version))))


@router.post(
    "/v1/policy/activate",
    operation_id="activatePolicy",
    summary="Confirm the version that waits",
    responses=answers(ActivatedAnswer, 401, 403, 404, 409, 413, 415),
    openapi_extra=described(OPERATOR, takes=ActivateBody, permission=Permission.POLICY_ACTIVATE),
)
async def activate(
    api: ApiOf, caller: OperatorOf, body: Annotated[ActivateBody, Depends(body_of(ActivateBody))]
) -> Response:
    """Let the version with this digest serve; 409 `digest_changed` when another one waits."""
    return Replied(Reply(_OK, encoded(activated_answer(await activate_policy(api.broker, caller, body.digest)))))


@router.post(
    "/v1/policy/reload",
    operation_id="reloadPolicy",
    summary="Read the policy directory again",
    responses=answers(PolicyReloaded, 401, 403, 404, 409, 422),
    openapi_extra=described(OPERATOR, permission=Permission.POLICY_ACTIVATE),
)
async def reload(api: ApiOf, caller: OperatorOf) -> Response:
    """Let what it holds serve, or wait to be confirmed; 422 `policy_refused` with the findings when it is refused."""
    try:
        taken = await reload_policy(api.broker, caller)
    except PolicyInvalid as refused:
        raise _refused(refused, api.broker.policy().version) from refused
    return Replied(Reply(200, encoded(_reloaded(taken))))


@router.post(
    "/v1/policy/publish",
    operation_id="publishPolicy",
    summary="Publish a policy version to every broker of the ledger",
    responses=answers(PolicyPublished, 400, 401, 403, 404, 413, 415, 422),
    openapi_extra=described(OPERATOR, takes=PublishBody, permission=Permission.POLICY_ACTIVATE),
)
async def publish(
    api: ApiOf,
    caller: PolicyKeeperOf,
    body: Annotated[PublishBody, Depends(large_body_of(PublishBody, max_bytes=MAX_OFFER_BYTES))],
) -> Response:
    """Put a version that was reviewed and tested into the ledger; it is active, or waits to be confirmed."""
    try:
        taken = await publish_policy(api.broker, caller, offer_of(body))
    except PolicyInvalid as refused:
        raise _refused(refused, api.broker.policy().version) from refused
    return Replied(Reply(_OK, encoded(published_answer(taken))))


def _reloaded(taken: TakenUp) -> PolicyReloaded:
    return PolicyReloaded(
        version=taken.version,
        serving=taken.serving,
        uptake=taken.uptake.value,
        widens=tuple(str(change) for change in widening(taken.changes)[:MAX_TOLD]),
        changes=len(taken.changes),
        ended=len(taken.ended),
        vouched_by=() if taken.vouched is None else taken.vouched.keys,
        unvouched=taken.unvouched,
    )


def _refused(refused: PolicyInvalid, serving: str) -> RequestRefused:
    found = (_FINDING.fullmatch(finding) for finding in refused.findings[:MAX_TOLD])
    return RequestRefused(
        "policy_refused",
        f"the policy has {len(refused.findings)} findings; version `{serving[:12]}` goes on serving",
        faults=[FieldFault(at=one["at"], message=one["message"]) for one in found if one is not None],
        hint="correct what `errors` names and try again",
    )
