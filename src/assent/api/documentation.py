"""What the OpenAPI document says of each route beyond its signature: credential, body, headers, errors.

Bodies and credentials are read by our own dependencies, which the framework cannot see into; here they are named.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from assent.core.operators import Permission
from assent.wire import agents, audit, breakers, operators, policies, principals
from assent.wire.problems import Problem
from assent.wire.shapes import Body

AGENT: Final = "agentKey"
SERVICE: Final = "serviceKey"
OPERATOR: Final = "operatorToken"
EVERY_KIND: Final = (AGENT, SERVICE, OPERATOR)

_REF: Final = "#/components/schemas/{model}"
_SCHEMES: Final = {
    AGENT: {"type": "http", "scheme": "bearer", "description": "an agent's key, `asn_…`"},
    SERVICE: {"type": "http", "scheme": "bearer", "description": "the key of a tool's own service, `ass_…`"},
    OPERATOR: {"type": "http", "scheme": "bearer", "description": "an operator's token, `aso_…`"},
}
BODIES: Final[tuple[type[Body], ...]] = (
    agents.AskBody,
    agents.CancelBody,
    agents.RedeemBody,
    agents.RedeemTokenBody,
    agents.OutcomeBody,
    operators.ApproveBody,
    operators.DenyBody,
    operators.RevokeBody,
    operators.LetAgainBody,
    breakers.TripBody,
    breakers.ResetBody,
    breakers.DrillBody,
    breakers.DrilledBody,
    policies.ExplainBody,
    policies.ActivateBody,
    policies.PublishBody,
    audit.RevealBody,
    audit.EraseBody,
    audit.ExportBody,
    principals.IssueKeyBody,
    principals.IssueServiceKeyBody,
    principals.IssueTokenBody,
    principals.SuspendBody,
)
# What stands in the place of a permission where every operator may call.
EVERYBODY: Final = "none"


def described(
    *security: str,
    takes: type[Body] | None = None,
    headers: Mapping[str, str] | None = None,
    permission: Permission | Literal["none"] | None = None,
) -> dict[str, Any]:
    """Return the extra OpenAPI members of a route; `headers` maps a request header to what it is for."""
    extra: dict[str, Any] = {"security": [{name: []} for name in security]}
    if takes is not None:
        schema = {"$ref": _REF.format(model=takes.__name__)}
        extra["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    if headers:
        extra["parameters"] = [
            {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
            for name, text in headers.items()
        ]
    if permission is not None:
        extra["x-assent-permission"] = str(permission)
    return extra


def answers(
    model: type | None, *statuses: int, success: int = 200, media_type: str = "application/json"
) -> dict[int | str, dict[str, Any]]:
    """Return the documented answers of a route: its success and the problem documents with these statuses."""
    content: dict[str, Any] = {} if model is not None else {"content": {media_type: {}}}
    found: dict[int | str, dict[str, Any]] = {success: {"description": "done", **content}}
    if model is not None:
        found[success]["model"] = model
    for status in (*statuses, 400, 429, 503):
        found[status] = {"description": _ERRORS.get(status, "refused"), "content": _PROBLEM}
    return found


_PROBLEM: Final = {"application/problem+json": {"schema": {"$ref": _REF.format(model="Problem")}}}
_ERRORS: Final = {
    400: "the request cannot be read: `bad_json`, `bad_request`",
    401: "no valid credential of the right kind",
    403: "known, but not allowed",
    404: "nothing of that id is visible to this caller",
    409: "refused; `code` says why",
    410: "the approval has expired; nobody denied it",
    413: "the body is too large",
    415: "the body is not `application/json`",
    422: "the idempotency key came back with other content",
    429: "too many requests; see `Retry-After`",
    503: "nothing was decided; see `Retry-After`",
}


def install(app: FastAPI, *, version: str) -> None:
    """Let `app` publish the whole document at `/openapi.json`."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, version)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # the way the framework names for this


def _document(app: FastAPI, version: str) -> dict[str, Any]:
    found = get_openapi(title="Assent", version=version, summary=app.summary, routes=app.routes)
    components = found.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas.update(_schemas())
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    components["securitySchemes"] = _SCHEMES
    for operation in _operations(found["paths"]):
        _drop_framework_error(operation)
    return found


def _schemas() -> dict[str, Any]:
    _, defined = models_json_schema([(body, "validation") for body in BODIES], ref_template=_REF)
    problem = TypeAdapter(Problem).json_schema(ref_template=_REF)
    return {**defined["$defs"], **problem.pop("$defs", {}), "Problem": problem}


def _operations(paths: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    return [operation for methods in paths.values() for operation in methods.values()]


def _drop_framework_error(operation: dict[str, Any]) -> None:
    # The framework announces its own 422 wherever there is a parameter; ours are 400, and 422 is something else.
    refused = operation["responses"].get("422")
    if refused is not None and "application/problem+json" not in refused.get("content", {}):
        del operation["responses"]["422"]
