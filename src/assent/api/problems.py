"""The one table from errors and refusal codes to HTTP, and the problem documents they become. Source: RFC 9457.

A code that the table does not know is answered 503: nobody is let through by an answer that nobody thought of. What an
error says is sent only where it was written for the caller; the rest is told in the broker's own log.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus

from assent.core.errors import AssentError, PolicyBehind, RateLimited
from assent.core.reasons import Reason
from assent.core.refusals import REFUSALS
from assent.wire.problems import TYPE_PREFIX, BreakerNotice, FieldFault, Problem

UNAVAILABLE = "broker_unavailable"
RETRY_AFTER_SECONDS = 1


class RequestRefused(AssentError):
    """A request that cannot be read: `code` is one of the table's, `faults` are the places that are wrong."""

    def __init__(self, code: str, message: str, *, faults: Sequence[FieldFault] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Row:
    """How one code is answered; `tells` is False where the error's own words are not for the caller."""

    status: HTTPStatus
    title: str
    tells: bool = True


_S = HTTPStatus
_AWAY = REFUSALS[UNAVAILABLE].sentence

# Codes of errors: the caller asked for what cannot be, or the broker could not find out.
ERRORS: dict[str, Row] = {
    "bad_json": Row(_S.BAD_REQUEST, "the body is not JSON with a single meaning"),
    "bad_request": Row(_S.BAD_REQUEST, "the request does not have the shape that the contract names"),
    "unauthenticated": Row(_S.UNAUTHORIZED, "no valid credential of the right kind"),
    "forbidden": Row(_S.FORBIDDEN, "the caller may not do this"),
    "not_found": Row(_S.NOT_FOUND, "nothing here that this caller can see"),
    "method_not_allowed": Row(_S.METHOD_NOT_ALLOWED, "this path takes other methods"),
    "illegal_move": Row(_S.CONFLICT, "the thing is in a state that does not allow this"),
    "payload_too_large": Row(_S.REQUEST_ENTITY_TOO_LARGE, "the body is larger than the broker takes"),
    "unsupported_media_type": Row(_S.UNSUPPORTED_MEDIA_TYPE, "the body must be JSON"),
    "idempotency_conflict": Row(_S.UNPROCESSABLE_ENTITY, "the same key came back with other content"),
    "policy_refused": Row(_S.UNPROCESSABLE_ENTITY, "the policy has findings and is not taken up"),
    "rate_limited": Row(_S.TOO_MANY_REQUESTS, "too many requests"),
    "held_not_durable": Row(_S.SERVICE_UNAVAILABLE, "the trip holds in memory only"),
    # what the caller hears of these is only that nothing was decided
    "error": Row(_S.SERVICE_UNAVAILABLE, _AWAY, tells=False),
    "stale": Row(_S.SERVICE_UNAVAILABLE, _AWAY, tells=False),
    "row_forged": Row(_S.SERVICE_UNAVAILABLE, _AWAY, tells=False),
    "foreign_await": Row(_S.SERVICE_UNAVAILABLE, _AWAY, tells=False),
    "keys_invalid": Row(_S.SERVICE_UNAVAILABLE, _AWAY, tells=False),
    "config_invalid": Row(_S.SERVICE_UNAVAILABLE, _AWAY, tells=False),
    "verification_failed": Row(_S.SERVICE_UNAVAILABLE, _AWAY, tells=False),
    "delivery_failed": Row(_S.SERVICE_UNAVAILABLE, _AWAY, tells=False),
}

# Codes of refusals that are not answered 409.
_REFUSED: dict[str, HTTPStatus] = {
    UNAVAILABLE: _S.SERVICE_UNAVAILABLE,
    "policy_error": _S.SERVICE_UNAVAILABLE,
    "approval_expired": _S.GONE,
    "not_eligible": _S.FORBIDDEN,
    "step_up_required": _S.FORBIDDEN,
    "not_shown": _S.FORBIDDEN,
}

TABLE: dict[str, Row] = ERRORS | {
    code: Row(_REFUSED.get(code, _S.CONFLICT), refusal.sentence) for code, refusal in REFUSALS.items()
}


def of_error(error: AssentError) -> Problem:
    """Return the problem document of an error that reached the edge."""
    row = TABLE.get(error.code)
    if row is None or not row.tells:
        return _problem(UNAVAILABLE, _AWAY)
    if isinstance(error, PolicyBehind):
        return replace(_problem(UNAVAILABLE, error.message), hint=error.hint)
    if row.status is _S.SERVICE_UNAVAILABLE and error.code != "held_not_durable":
        # The store's own words (paths, errno) are for the operator's log.
        return _problem(UNAVAILABLE, _AWAY)
    problem = replace(_problem(error.code, error.message), hint=error.hint)
    if isinstance(error, RateLimited):
        return replace(problem, retry_after=error.retry_after_seconds)
    if isinstance(error, RequestRefused) and error.faults:
        return replace(problem, errors=error.faults)
    return problem


def of_refusal(
    reason: Reason,
    *,
    state: str | None = None,
    decided_by: str | None = None,
    decided_at: str | None = None,
    who: tuple[str, ...] | None = None,
    breaker: BreakerNotice | None = None,
) -> Problem:
    """Return the problem document of a "no" that a flow answered, with what holds instead and who could do it."""
    problem = _problem(reason.code, reason.message)
    return replace(problem, state=state, decided_by=decided_by, decided_at=decided_at, who=who, breaker=breaker)


def of_failure(incident: str) -> Problem:
    """Return what is said when something failed that nobody foresaw: nothing was decided, and where to look."""
    return replace(_problem(UNAVAILABLE, _AWAY), incident=incident)


def _problem(code: str, detail: str) -> Problem:
    row = TABLE[code] if code in TABLE else TABLE[UNAVAILABLE]
    known = REFUSALS.get(code)
    return Problem(
        type=TYPE_PREFIX + code,
        title=row.title,
        status=row.status.value,
        detail=detail,
        code=code,
        next_step=None if known is None else known.next_step,
        retry_after=RETRY_AFTER_SECONDS if row.status is _S.SERVICE_UNAVAILABLE else None,
    )
