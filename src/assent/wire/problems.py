"""The one shape of every answer that is not a success: a problem document. Source: RFC 9457."""

from dataclasses import dataclass

TYPE_PREFIX = "urn:assent:problem:"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldFault:
    """One place in a request that is wrong: a JSON pointer (RFC 6901) or a name, and what is wrong there."""

    at: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What went wrong: branch on `code`, show `detail`.

    `who` names people who can do what the caller could not; `state`, `decided_by` and `decided_at` say what holds
    instead; `retry_after` is seconds; `incident` finds the event in the broker's own log.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str | None = None
    next_step: str | None = None
    errors: tuple[FieldFault, ...] | None = None
    state: str | None = None
    decided_by: str | None = None
    decided_at: str | None = None
    who: tuple[str, ...] | None = None
    retry_after: int | None = None
    incident: str | None = None
