"""What operators send, and what they are shown: approvals whole, breakers, records.

Text of an agent stands under `agent_says` and is its own word. Values of sensitive arguments are never shown here.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from assent.core.approvals import MIN_DIGEST_PREFIX
from assent.wire.agents import NeedView, OutcomeView, ReasonView
from assent.wire.shapes import Body, Count, Id, Moment, PageLimit, PlainId, Query, Text

ApprovalStateName = Literal["pending", "partial", "approved", "denied", "expired", "cancelled"]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=4_000)]


class ApproveBody(Body):
    """A yes to what was shown: the first hex digits of its digest, at least 8."""

    digest_prefix: Annotated[str, StringConstraints(pattern=rf"^[0-9a-fA-F]{{{MIN_DIGEST_PREFIX},64}}$")]
    comment: Text | None = None


class DenyBody(Body):
    """A no, with its kind and its reason."""

    category: Literal["wrong_target", "wrong_time", "too_risky", "not_needed", "malicious", "other"]
    reason: Text


class RevokeBody(Body):
    """Why an approval is taken back."""

    reason: Reason


class LetAgainBody(Body):
    """Why something that was denied may be asked again."""

    reason: Text | None = None


class ApprovalsQuery(Query):
    """Which approvals, newest first; without `state` the open ones; with `mine` those that wait for my vote."""

    mine: bool = False
    state: list[ApprovalStateName] = Field(default_factory=list, max_length=6)
    code: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,32}$")] | None = None
    cursor: PlainId | None = None
    limit: PageLimit = 50


class AskedQuery(Query):
    """Over how many days to count, 1 to 90."""

    days: Annotated[int, Field(ge=1, le=90)] = 7


class RecordsQuery(Query):
    """Which records, newest first unless `order` is `oldest`; times are RFC 3339 with a zone."""

    agent: Id | None = None
    tool: Id | None = None
    kind: Id | None = None
    decision: Id | None = None
    operator: Id | None = None
    action: Id | None = None
    approval: Id | None = None
    since: Moment | None = None
    until: Moment | None = None
    order: Literal["newest", "oldest"] = "newest"
    cursor: Count | None = None
    limit: PageLimit = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteView:
    """One yes: who, when, on which surface, and how sure we were who it was."""

    operator: str
    at: str
    assurance: str
    surface: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSays:
    """The agent's own word, verified by nobody."""

    reason: str
    context: Any = None
    on_behalf_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SensitiveView:
    """One argument whose value stays in the payload store: its kind, and its characters, items or members."""

    name: str
    kind: str
    length: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InvisibleCounts:
    """How many characters a reader cannot see, by where they stand."""

    arguments: int
    reason: int
    resource: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalView:
    """One approval as an operator is shown it.

    `arguments_text` is the canonical text of `arguments`, what will run; sensitive values are replaced in both and
    listed in `sensitive`. `who` could still vote, `why_not_me` says why the caller cannot. `self_approved` is true when
    somebody involved voted under `single_person`. `masked` says that the caller may not see payloads: arguments, the
    agent's words, comment and a resource that is not public stand there by kind and length only. While a denial keeps
    people from being asked, `same_again_at` and `alike_again_at` say until when: the same, and under the same rules.
    `command` is the argument vector that the catalogue made of the arguments, where the tool is a program. `erased_by`
    is the record that says that the payload is gone.
    """

    id: str
    code: str
    state: str
    revision: int
    action_id: str
    action_state: str
    agent: str
    owner: str
    tool: str
    environment: str
    resource: str
    impact: str
    how_bad: str
    undo: str
    digest: str
    arguments_text: str
    arguments_bytes: int
    sensitive: tuple[SensitiveView, ...]
    invisible: InvisibleCounts
    agent_says: AgentSays
    drivers: tuple[str, ...]
    key_issuer: str
    needs: tuple[NeedView, ...]
    votes: tuple[VoteView, ...]
    who: tuple[str, ...]
    rules: tuple[str, ...]
    policy_version: str
    self_approved: bool
    asked_at: str
    expires_at: str
    run_id: str | None = None
    why_not_me: ReasonView | None = None
    decided_at: str | None = None
    decided_by: str | None = None
    category: str | None = None
    comment: str | None = None
    outcome: OutcomeView | None = None
    same_again_at: str | None = None
    alike_again_at: str | None = None
    masked: bool = False
    arguments: dict[str, Any] | None = None
    command: tuple[str, ...] | None = None
    erased_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalPage:
    """Approvals, newest first; `notice` says what keeps people from being told, such as a Slack that is away."""

    items: tuple[ApprovalView, ...]
    next_cursor: str | None
    notice: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedView:
    """Questions that reached `name` (a person, an agent, or everybody), and how they were answered.

    `quick_share` is the share of answers within three seconds, which nobody reads a card in.
    """

    name: str
    asked: int
    approved: int
    denied: int
    expired: int
    cancelled: int
    answered: int
    median_seconds: float | None = None
    quick_share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlwaysApproved:
    """A rule whose questions were all approved, five of them or more: perhaps it need not ask."""

    rule: str
    asked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedNumbers:
    """How people were asked since a moment; `is_whole` is false where only the newest 5,000 questions were counted."""

    since: str
    is_whole: bool
    all: AskedView
    people: tuple[AskedView, ...]
    agents: tuple[AskedView, ...]
    always_approved: tuple[AlwaysApproved, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedAnswer:
    """What became of an act on an approval: the new states, and who could still vote.

    While a denial keeps people from being asked, `same_again_at` and `alike_again_at` say until when: for the same, and
    under the same rules.
    """

    id: str
    code: str
    state: str
    revision: int
    action_id: str
    action_state: str
    votes: tuple[VoteView, ...]
    who: tuple[str, ...]
    self_approved: bool
    decided_at: str | None = None
    decided_by: str | None = None
    same_again_at: str | None = None
    alike_again_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AffectedAction:
    """One action that a trip cut off, or that was running already; without payload."""

    action_id: str
    agent: str
    tool: str
    environment: str
    state: str
    run_id: str | None = None
    resource: str | None = None
    lease_expires_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordView:
    """One record: its place in the log and its public leaf; payload is only committed to."""

    index: int | None
    leaf: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPage:
    """Records, newest first."""

    items: tuple[RecordView, ...]
    next_cursor: str | None
