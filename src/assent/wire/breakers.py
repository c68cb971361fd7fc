"""What operators send and are shown about breakers. Agents hear of the one that stops them, in `BreakerNotice`."""

from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from assent.wire.operators import AffectedAction, Reason
from assent.wire.problems import ScopeView
from assent.wire.shapes import MAX_TTL_SECONDS, Body, Count, Id, Text

MAX_REPLICAS = 100


class ScopeBody(Body):
    """What a breaker covers: an agent, a tool (pattern), an environment, or any combination."""

    agent: Id | None = None
    tool: Id | None = None
    environment: Id | None = None


class TripBody(Body):
    """What to stop: a scope, or everything with `all`. After `ttl_seconds` somebody is asked again; nothing closes."""

    scope: ScopeBody | None = None
    all: Literal[True] | None = None
    reason: Text | None = None
    ttl_seconds: Annotated[int, Field(ge=1, le=MAX_TTL_SECONDS)] | None = None

    @model_validator(mode="after")
    def _names_what_to_stop(self) -> Self:
        named = self.scope is not None and any((self.scope.agent, self.scope.tool, self.scope.environment))
        if named == bool(self.all):
            raise ValueError("name an agent, a tool or an environment in `scope`, or send `all: true`, one of them")
        return self


class ResetBody(Body):
    """Why a breaker may close."""

    reason: Reason


class DrillBody(Body):
    """What to stop in order to try out the stop: something in an environment that is marked nonproduction."""

    scope: ScopeBody


class DrilledBody(Body):
    """What a drill measured, from Enter on, in milliseconds, and the replicas that were asked."""

    acknowledged_ms: Count
    first_denial_ms: Count
    replicas: Annotated[list[Id], Field(min_length=1, max_length=MAX_REPLICAS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetAskedView:
    """The first person's wish to let something go on, on a surface of `assurance`; a second has until `expires_at`."""

    by: str
    at: str
    expires_at: str
    reason: str
    assurance: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeView:
    """One action that a half-open breaker let through; `by_human`: a human was asked about it."""

    action_id: str
    agent: str
    by_human: bool
    succeeded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerView:
    """One breaker; all but `closed` deny. `covers` is its scope in words.

    `tripped_by` and `tripped_at` tell of its last trip: an operator, or `rule:ID`. `half_open_at` is when it lets
    probes through, `probes` are those that it let through.
    """

    id: str
    scope: ScopeView
    covers: str
    state: str
    changed_by: str
    changed_at: str
    revision: int
    reason: str
    ask_again_at: str | None = None
    reset_asked: ResetAskedView | None = None
    tripped_by: str | None = None
    tripped_at: str | None = None
    rule: str | None = None
    half_open_at: str | None = None
    probes: tuple[ProbeView, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPage:
    """All breakers, newest change first."""

    items: tuple[BreakerView, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownName:
    """A name of a scope that nobody declared, and declared ones that are near."""

    dimension: str
    name: str
    near: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrippedAnswer:
    """A trip that is durable: what it cut off, what was running already, and how to cut the agent off elsewhere.

    `unknown` are names of the scope that nobody declared: the trip holds over whoever comes to bear them.
    """

    breaker: BreakerView
    cut_off: tuple[AffectedAction, ...]
    running: tuple[AffectedAction, ...]
    cut_off_elsewhere: str | None = None
    unknown: tuple[UnknownName, ...] | None = None
    runbook: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetAnswer:
    """What became of a reset; while `closed` is false, `who` may be the second person.

    `assurance` is the least that their surface must have, where not any will do.
    """

    breaker: BreakerView
    closed: bool
    who: tuple[str, ...]
    assurance: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeAnswer:
    """What this replica would decide on an action in the scope of a breaker; `code` says why where it would deny."""

    breaker: str
    denied: bool
    replica: str
    code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DrilledAnswer:
    """The drill is on record."""

    breaker: BreakerView
