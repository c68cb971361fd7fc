"""What agents and tools' services send, and what they hear.

Ids of rules and their words never stand in an answer to an agent.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from assent.core.values import made_quickly
from assent.wire.problems import BreakerNotice
from assent.wire.shapes import (
    MAX_ERROR_CHARACTERS,
    MAX_IN_FLIGHT,
    MAX_PRINCIPALS,
    MAX_TOKEN_CHARACTERS,
    MAX_TRACE_CHARACTERS,
    Attempt,
    Body,
    Count,
    HexDigest,
    Id,
    PageLimit,
    PlainId,
    Query,
    Text,
    WaitSeconds,
)


class ModelBody(Body):
    """Which language model the agent says it runs on: its own word."""

    name: Id
    version: Id


class ContextBody(Body):
    """What the agent says about its circumstances: its own word."""

    model: ModelBody | None = None
    trace: Annotated[str, StringConstraints(max_length=MAX_TRACE_CHARACTERS)] | None = None


class AskBody(Body):
    """One ask. `in_flight` names actions of the same content that the asking process holds already."""

    tool: Id
    arguments: dict[str, Any]
    reason: Text | None = None
    run_id: Id | None = None
    call_id: Id | None = None
    attempt: Attempt | None = None
    on_behalf_of: Annotated[list[Id], Field(max_length=MAX_PRINCIPALS)] | None = None
    in_flight: Annotated[list[PlainId], Field(max_length=MAX_IN_FLIGHT)] | None = None
    context: ContextBody | None = None


class CancelBody(Body):
    """Why the agent withdraws its action."""

    reason: Text | None = None


class RedeemBody(Body):
    """Who redeems (`attempt`) and what is about to run: the digest or the arguments, not both."""

    attempt: Attempt
    digest: HexDigest | None = None
    arguments: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _says_once_what_will_run(self) -> Self:
        if (self.digest is None) == (self.arguments is None):
            raise ValueError("say what is about to run by `digest` or by `arguments`, one of them")
        return self


class RedeemTokenBody(Body):
    """The tool's side: the token that the agent carried, and what is about to run."""

    token: Annotated[str, StringConstraints(min_length=1, max_length=MAX_TOKEN_CHARACTERS)]
    arguments: dict[str, Any]
    attempt: Attempt


class OutcomeBody(Body):
    """What became of a run, told by the attempt that holds it; `duration_ms` is milliseconds."""

    attempt: Attempt
    status: Literal["succeeded", "failed", "unknown"]
    duration_ms: Count | None = None
    error: Annotated[str, StringConstraints(max_length=MAX_ERROR_CHARACTERS)] | None = None
    result_digest: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9:+/=_.-]{1,255}$")] | None = None


class WatchQuery(Query):
    """How long to wait for a revision above `after`; seconds, at most 55 are waited."""

    wait: WaitSeconds = 0
    after: Count | None = None


class DecidedQuery(Query):
    """Which page of decided actions, and how long to wait for the first; seconds, at most 55 are waited."""

    state: Literal["decided"]
    cursor: Annotated[str, StringConstraints(pattern=r"^00[0-9]{18}\.[\x21-\x7e]{1,255}$")] | None = None
    limit: PageLimit = 50
    wait: WaitSeconds = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonView:
    """One reason: a stable code and a sentence."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantView:
    """Permission to run once; `token` is there when somebody but the agent must be able to check it."""

    id: str
    redeemed_by: str
    expires_at: str
    token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedView:
    """`count` different people of the group `of`, on a surface of at least `assurance`."""

    route: str
    of: str
    count: int
    assurance: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalNotice:
    """The human answer that is waited for: who can give it (`who`), by when, and its short code for people.

    `asked_in` are the surfaces where people are told of it or find it: `slack`, `email`, `webhook`, `console`, `cli`.
    What is away is not among them, and `notice` says so in words.
    """

    id: str
    code: str
    state: str
    expires_at: str
    needs: tuple[NeedView, ...]
    who: tuple[str, ...]
    asked_in: tuple[str, ...]
    url: str | None = None
    notice: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeView:
    """What became of the run; `reported` is false when the lease ran out and nobody said."""

    status: str
    at: str
    reported: bool
    duration_ms: int | None = None
    error: str | None = None
    result_digest: str | None = None


@made_quickly
@dataclass(frozen=True, slots=True, kw_only=True)
class ActionAnswer:
    """What the broker answers about one action now.

    `decision` is allow, pending or deny; anything else must be read as deny. `arguments` are the frozen ones, the very
    bytes that were judged, told while the action may still run; `command` is the argument vector that the catalogue
    made of them, where the tool is a program. `retry_after` is seconds. `breaker` is what stops the action; told of one
    that is executing, it means that somebody wants it to stop. `run_id` and `call_id` are those that it was asked with:
    whoever hears of it in another process goes on there.
    """

    action_id: str
    tool: str
    decision: str
    state: str
    revision: int
    reasons: tuple[ReasonView, ...]
    digest: str
    resource: str
    environment: str
    policy_version: str
    record_id: str
    grant: GrantView | None = None
    lease_expires_at: str | None = None
    approval: ApprovalNotice | None = None
    retry_after: int | None = None
    outcome: OutcomeView | None = None
    breaker: BreakerNotice | None = None
    arguments: dict[str, Any] | None = None
    command: tuple[str, ...] | None = None
    run_id: str | None = None
    call_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionPage:
    """Decided actions, oldest decision first; `next_cursor` goes on behind the last one."""

    items: tuple[ActionAnswer, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RedeemedAnswer:
    """The attempt holds the action: run these arguments and no others, before the lease ends.

    `command` is the argument vector that the catalogue made of them, where the tool is a program.
    """

    action_id: str
    lease_expires_at: str
    arguments: dict[str, Any] | None = None
    command: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedAnswer:
    """The outcome is on record; this is where the action is now."""

    action_id: str
    state: str
    revision: int
    outcome: OutcomeView | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolNotice:
    """One tool the agent may use: `arguments` maps names to declarations, `decision` is the best it can come to.

    `runs` says that the tool is a program: `command` that the catalogue makes its argument vector, `argv` that the
    vector itself is what is judged.
    """

    name: str
    description: str
    impact: str
    arguments: dict[str, Any]
    decision: str
    runs: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeAnswer:
    """Who the broker takes the caller for; `blocked` says why it may not act now."""

    agent: str
    key_id: str
    policy_version: str
    tools: tuple[ToolNotice, ...]
    owner: str | None = None
    expires_at: str | None = None
    blocked: ReasonView | None = None
