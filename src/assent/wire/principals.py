"""What operators send and are shown about agents, services and each other: no secret but the one just issued."""

from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from assent.core.credentials import OPERATOR_TOKEN_MAX_AGE
from assent.wire.agents import ReasonView
from assent.wire.breakers import ResetAskedView
from assent.wire.operators import AffectedAction, Reason
from assent.wire.shapes import MAX_TTL_SECONDS, Body, Id, PageLimit, PlainId, Query

MIN_VALID_SECONDS: Final = 60
MAX_TOKEN_SECONDS: Final = int(OPERATOR_TOKEN_MAX_AGE.total_seconds())
MAX_TOOL_PATTERNS: Final = 50


class IssueKeyBody(Body):
    """How long an agent's key is to live; without a word as long as the agent."""

    valid_for_seconds: Annotated[int, Field(ge=MIN_VALID_SECONDS, le=MAX_TTL_SECONDS)] | None = None


class IssueServiceKeyBody(Body):
    """Which tools (patterns) a service may redeem grants for, and how long its key is to live."""

    tools: Annotated[list[Id], Field(min_length=1, max_length=MAX_TOOL_PATTERNS)]
    valid_for_seconds: Annotated[int, Field(ge=MIN_VALID_SECONDS, le=MAX_TTL_SECONDS)] | None = None


class IssueTokenBody(Body):
    """How long an operator's token is to live, at most and by default 90 days."""

    valid_for_seconds: Annotated[int, Field(ge=MIN_VALID_SECONDS, le=MAX_TOKEN_SECONDS)] | None = None


class SuspendBody(Body):
    """Why an agent is suspended, or may go on."""

    reason: Reason


class PrincipalsQuery(Query):
    """Which page, by id; `cursor` is the last id of the page before."""

    cursor: PlainId | None = None
    limit: PageLimit = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialView:
    """One key or token, never its secret. `state` is `live`, `expired` or `revoked`.

    `old` is true for an operator's token that ends within 14 days or has ended. `tools` stand with a service's key.
    """

    id: str
    state: str
    issued_by: str
    issued_at: str
    age_days: int
    expires_at: str | None = None
    revoked_at: str | None = None
    revoked_by: str | None = None
    old: bool | None = None
    tools: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentView:
    """One agent. `registered` says whether the loaded policy names it, `blocked` why it may not act now.

    `changed_by`, `changed_at` and `reason` tell of its last suspension or resumption, `resume_asked` of the first
    person's wish that it may go on. `last_asked_at` stands there when that is among the newest 1,000 decisions.
    """

    id: str
    registered: bool
    state: str
    roles: tuple[str, ...]
    interactive: bool
    keys: tuple[CredentialView, ...]
    owner: str | None = None
    expires_at: str | None = None
    cut_off: str | None = None
    blocked: ReasonView | None = None
    changed_by: str | None = None
    changed_at: str | None = None
    reason: str | None = None
    last_asked_at: str | None = None
    resume_asked: ResetAskedView | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentPage:
    """Agents by id, with their live keys."""

    items: tuple[AgentView, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceView:
    """One tool's own service: it is known by its keys alone."""

    id: str
    keys: tuple[CredentialView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePage:
    """Services that hold a live key, by name."""

    items: tuple[ServiceView, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SinglePersonView:
    """The open exception that lets somebody approve what their own agent asks."""

    reason: str
    until: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyView:
    """A passkey that signs for an operator: vouched for by a way to sign in, or by an older passkey, by its id.

    `synced`: its authenticator may keep copies elsewhere by design. `suspect_at`: a count came that had gone back.
    """

    id: str
    added_at: str
    vouched_by: str
    synced: bool
    last_used_at: str | None = None
    suspect_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorView:
    """One operator. `registered` says whether the loaded policy names them; `sets` are those that they hold whole.

    `identities` names the channels on which they are known, `owns` the agents they answer for; `linked` says that they
    confirmed that the declared Slack account is theirs.
    """

    id: str
    registered: bool
    sets: tuple[str, ...]
    permissions: tuple[str, ...]
    groups: tuple[str, ...]
    away: bool
    identities: tuple[str, ...]
    owns: tuple[str, ...]
    tokens: tuple[CredentialView, ...]
    linked: bool = False
    single_person: SinglePersonView | None = None
    passkeys: tuple[PasskeyView, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorPage:
    """Operators by id, with their live tokens."""

    items: tuple[OperatorView, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorMe:
    """Who the caller is taken for, with which token, and how sure that is."""

    operator: OperatorView
    token: CredentialView
    assurance: str
    policy_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyIssued:
    """An agent's new key, told this once. `approvers` may still decide what is asked with it; its issuer may not."""

    agent: str
    key_id: str
    key: str
    issued_by: str
    issued_at: str
    approvers: tuple[str, ...]
    expires_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceKeyIssued:
    """A service's new key, told this once."""

    service: str
    key_id: str
    key: str
    tools: tuple[str, ...]
    issued_by: str
    issued_at: str
    expires_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenIssued:
    """An operator's new token, told this once."""

    operator: str
    token_id: str
    token: str
    issued_by: str
    issued_at: str
    expires_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkCode:
    """A code to be typed in Slack, told this once: at which account, and until when."""

    operator: str
    code: str
    account: str
    expires_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlinkedAnswer:
    """An operator whose Slack account is linked no more."""

    operator: str
    linked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedAnswer:
    """A credential that is worth nothing any more, and the actions that waited and ended with it."""

    credential: CredentialView
    cut_off: tuple[AffectedAction, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspendedAnswer:
    """A suspension that is durable: what it cut off, what runs still, how to cut the agent off elsewhere."""

    agent: str
    state: str
    changed_by: str
    changed_at: str
    reason: str
    cut_off: tuple[AffectedAction, ...]
    running: tuple[AffectedAction, ...]
    cut_off_elsewhere: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumedAnswer:
    """An agent that may ask, or that stays suspended until a second person agrees; `who` may be that person.

    One that never was suspended has nobody who changed it. `assurance` is the least that the second person's surface
    must have, where not any will do.
    """

    agent: str
    state: str
    changed_by: str | None = None
    changed_at: str | None = None
    resume_asked: ResetAskedView | None = None
    who: tuple[str, ...] | None = None
    assurance: str | None = None
