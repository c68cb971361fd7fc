"""The one shape of every answer that is not a success: a problem document. Source: RFC 9457."""

from dataclasses import dataclass

TYPE_PREFIX = "urn:assent:problem:"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldFault:
    """One place in a request that is wrong: a JSON pointer (RFC 6901) or a name, and what is wrong there."""

    at: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeView:
    """What a breaker covers; naming nothing covers everything."""

    agent: str | None = None
    tool: str | None = None
    environment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerNotice:
    """The breaker that stops an action, as its agent hears of it: over what, since when, who tripped it and why.

    `retry_after` is in how many seconds it lets something through again; without it only people close it.
    """

    id: str
    scope: ScopeView
    covers: str
    state: str
    who: str
    since: str
    reason: str
    retry_after: int | None = None


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
    breaker: BreakerNotice | None = None
