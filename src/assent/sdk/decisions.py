"""What the broker answered, as values; and the only place where its bytes become such values.

Rules kept here: an answer that is not JSON, not of the media type, or lacks what decides is an UntrustedAnswer; a
word that this SDK does not know is a deny; fields it does not know are ignored.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, TypeVar

from assent.core.actions import ActionState, RedeemedBy, Runs
from assent.core.canonical import BadJson, Json, canonical, parse
from assent.core.characters import visible
from assent.core.decisions import Answer
from assent.core.errors import AssentError
from assent.core.reasons import Reason
from assent.core.refusals import REFUSALS
from assent.sdk.errors import (
    ActionDenied,
    AlreadyExecuted,
    BreakerNotice,
    BreakerOpen,
    BrokerUnavailable,
    ConfigurationError,
    UntrustedAnswer,
)
from assent.sdk.http import Response

UNRECOGNISED: Final = "unrecognised_answer"
MEDIA_TYPES: Final = frozenset({"application/json", "application/problem+json"})
OK: Final = 200
NOT_NOW: Final = frozenset({408, 425, 429})  # asking again later may help
_UNAUTHENTICATED: Final = 401
_MALFORMED: Final = frozenset({400, 413, 415, 422})
_CONFLICT: Final = "idempotency_conflict"  # a request that could be read, and meant something else before
_ANOTHER_KEY: Final = (
    "set ASSENT_AGENT_KEY (a tool's own service: ASSENT_SERVICE_KEY) to a key that lives; "
    "an operator issues one with `assent agents key issue`"
)
ENDED_BY_RUNNING: Final = frozenset({ActionState.SUCCEEDED, ActionState.FAILED, ActionState.UNKNOWN})

_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_MAX_TEXT: Final = 500
_MAX_DEPTH: Final = 80  # the broker takes arguments 64 deep and wraps them

_Word = TypeVar("_Word", bound=StrEnum)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantOffer:
    """Permission to run once; `token` is for the tool's side, `redeemed_by` says who may use it."""

    id: str
    redeemed_by: RedeemedBy
    token: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalNotice:
    """The human answer that is being waited for: its short code, who can give it, and where.

    `asked_in` are the surfaces where people are told of it or find it; `notice` says which of them is away.
    """

    id: str
    code: str
    expires_at: datetime | None = None
    needs: Json = None
    who: Json = None
    asked_in: Json = None
    url: str | None = None
    notice: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the broker answers to an ask: allow, pending or deny, with reasons, and where the action is in its life.

    `digest` binds what was judged; `outcome` is `succeeded`, `failed` or `unknown` once the action ran; `arguments` are
    canonical bytes where the broker tells them, `command` the argument vector that the catalogue made of them. `run_id`
    and `call_id` are those that it was asked with.
    """

    action_id: str
    decision: Answer
    state: ActionState
    revision: int = 0
    reasons: tuple[Reason, ...] = ()
    digest: str = ""
    tool: str | None = None
    resource: str | None = None
    environment: str | None = None
    policy_version: str | None = None
    record_id: str | None = None
    grant: GrantOffer | None = None
    lease_expires_at: datetime | None = None
    approval: ApprovalNotice | None = None
    retry_after: float | None = None
    outcome: str | None = None
    breaker: BreakerNotice | None = None
    arguments: bytes | None = field(default=None, repr=False)
    command: tuple[str, ...] = field(default=(), repr=False)
    run_id: str | None = None
    call_id: str | None = None

    @property
    def is_pending(self) -> bool:
        """Whether a human has yet to answer."""
        return self.decision is Answer.PENDING and self.state is ActionState.PENDING


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """One page of what was decided; pass `cursor` on to hear what comes after it."""

    items: tuple[Decision, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolNotice:
    """One tool that this agent may use; `arguments` are its argument names, None when the broker does not tell them.

    `waits` says that even the best case waits for a human; `runs` that the tool is a program, and whether the catalogue
    makes its argument vector (`command`) or the vector itself is what is judged (`argv`).
    """

    name: str
    arguments: frozenset[str] | None
    impact: str | None = None
    waits: bool = False
    runs: Runs | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Redemption:
    """The grant is spent and this attempt holds the action: run these arguments and no others."""

    action_id: str
    arguments: dict[str, Json] = field(repr=False)
    lease_expires_at: datetime | None = None
    command: tuple[str, ...] = field(default=(), repr=False)


def parse_decision(response: Response) -> Decision:
    """Return the decision of an answer about one action. Raises what `refusal` makes of anything but a 200."""
    return _decision(_object(response))


def parse_decided(response: Response, *, since: str | None) -> Decided:
    """Return one page of decided actions; without a next cursor the one we came with stays good."""
    body = _object(response)
    items = tuple(_decision(_mapping(item, "items")) for item in _list(body.get("items"), "items"))
    return Decided(items=items, cursor=_text(body.get("next_cursor")) or since)


def parse_redemption(response: Response) -> Redemption:
    """Return what may run now, as the broker froze it."""
    body = _object(response)
    return Redemption(
        action_id=_id(body.get("action_id"), "action_id"),
        arguments=dict(_mapping(body.get("arguments"), "arguments")),
        lease_expires_at=_time(body.get("lease_expires_at")),
        command=_command(body.get("command")),
    )


def parse_tools(response: Response) -> tuple[ToolNotice, ...]:
    """Return the tools that this agent may use."""
    return tuple(_tool(_mapping(item, "tools")) for item in _list(_object(response).get("tools"), "tools"))


def parse_key_set(response: Response) -> dict[str, Json]:
    """Return the broker's published keys (RFC 7517)."""
    return _object(response)


def parse_accepted(response: Response) -> None:
    """Check that the broker took what was reported."""
    _object(response)


def refusal(response: Response) -> AssentError:
    """Return the error that an answer other than 200 stands for; whatever it is, nothing runs."""
    if response.is_redirection:
        return UntrustedAnswer("the broker redirects elsewhere; the key goes to no other place", hint="check the url")
    try:
        problem = _json(response)
    except UntrustedAnswer as unreadable:
        return unreadable
    code = _text(problem.get("code")) or ""
    said = _text(problem.get("detail")) or _text(problem.get("title")) or f"the broker answered {response.status}"
    if not response.is_client_error or not code or code == BrokerUnavailable.code or response.status in NOT_NOW:
        return BrokerUnavailable(said, hint=f"the broker answered {response.status}")
    if response.status == _UNAUTHENTICATED:
        return ConfigurationError(f"the broker does not take this key: {said}", hint=_ANOTHER_KEY)
    if response.status in _MALFORMED and code != _CONFLICT:
        told = _text(problem.get("hint")) or "correct the call; no retry helps"
        return ConfigurationError(f"the broker cannot read this request: {said}", hint=f"{told} (`{code}`)")
    return denial(code, said, reasons=(Reason(code, said),), breaker=_breaker(problem.get("breaker")))


def denial(
    code: str,
    message: str,
    *,
    reasons: tuple[Reason, ...] = (),
    tool: str | None = None,
    action_id: str | None = None,
    breaker: BreakerNotice | None = None,
) -> AssentError:
    """Return the error for one refusal code."""
    if code in {"grant_spent", AlreadyExecuted.code}:
        return AlreadyExecuted(message, action_id=action_id or "", tool=tool)
    row = REFUSALS.get(code)
    hint = row.next_step if row else None
    if code == BreakerOpen.code:
        return BreakerOpen(message, breaker=breaker, reasons=reasons, tool=tool, action_id=action_id, hint=hint)
    return ActionDenied(message, code=code, reasons=reasons, tool=tool, action_id=action_id, hint=hint)


def _decision(body: Mapping[str, Json]) -> Decision:
    answer, state = _word(Answer, body.get("decision")), _word(ActionState, body.get("state"))
    reasons = tuple(_reasons(body.get("reasons")))
    if answer is None or state is None or (answer is Answer.PENDING) != (state is ActionState.PENDING):
        words = f"`{_shown(body.get('decision'))}` in state `{_shown(body.get('state'))}`"
        reasons = (*reasons, Reason(UNRECOGNISED, f"the broker's answer {words} is not understood; update assent"))
        answer, state = Answer.DENY, ActionState.DENIED
    return Decision(
        action_id=_id(body.get("action_id"), "action_id"),
        decision=answer,
        state=state,
        revision=_whole(body.get("revision")),
        reasons=reasons,
        digest=_verbatim(body.get("digest")) or "",
        tool=_text(body.get("tool")),
        resource=_text(body.get("resource")),
        environment=_text(body.get("environment")),
        policy_version=_text(body.get("policy_version")),
        record_id=_text(body.get("record_id")),
        grant=_grant(body.get("grant")),
        lease_expires_at=_time(body.get("lease_expires_at")),
        approval=_approval(body.get("approval")),
        retry_after=_number(body.get("retry_after")),
        outcome=_outcome(body.get("outcome"), state),
        breaker=_breaker(body.get("breaker")),
        arguments=_arguments(body.get("arguments")),
        command=_command(body.get("command")),
        run_id=_verbatim(body.get("run_id")),
        call_id=_verbatim(body.get("call_id")),
    )


def _grant(value: Json) -> GrantOffer | None:
    if value is None:
        return None
    body = _mapping(value, "grant")
    redeemed_by = _word(RedeemedBy, body.get("redeemed_by", RedeemedBy.AGENT))
    if redeemed_by is None:
        raise UntrustedAnswer("the broker's answer does not say who may redeem the grant")
    return GrantOffer(
        id=_id(body.get("id"), "grant.id"),
        token=_verbatim(body.get("token")),
        expires_at=_time(body.get("expires_at")),
        redeemed_by=redeemed_by,
    )


def _approval(value: Json) -> ApprovalNotice | None:
    if value is None:
        return None
    body = _mapping(value, "approval")
    url = _text(body.get("url"))
    return ApprovalNotice(
        id=_text(body.get("id")) or "",
        code=_text(body.get("code")) or "",
        expires_at=_time(body.get("expires_at")),
        needs=body.get("needs"),
        who=body.get("who"),
        asked_in=body.get("asked_in"),
        url=url if url and url.startswith(("https://", "http://")) else None,
        notice=_text(body.get("notice")),
    )


def _breaker(value: Json) -> BreakerNotice | None:
    # It explains a denial that stands without it, so what cannot be read of it is left out.
    if not isinstance(value, dict):
        return None
    scope = value.get("scope")
    named = {key: _text(name) for key, name in scope.items()} if isinstance(scope, dict) else {}
    return BreakerNotice(
        covers=_text(value.get("covers")) or "this action",
        scope={key: name for key, name in named.items() if name is not None},
        who=_text(value.get("who")) or "somebody",
        since=_time(value.get("since")),
        reason=_text(value.get("reason")) or "",
        state=_text(value.get("state")) or "",
        retry_after=_number(value.get("retry_after")),
    )


def _tool(body: Mapping[str, Json]) -> ToolNotice:
    arguments = body.get("arguments")
    return ToolNotice(
        name=_verbatim(body.get("name")) or "",
        arguments=frozenset(arguments) if isinstance(arguments, dict) else None,
        impact=_text(body.get("impact")),
        waits=body.get("decision") == Answer.PENDING,
        runs=_word(Runs, body.get("runs")),
    )


def _outcome(value: Json, state: ActionState) -> str | None:
    status = value.get("status") if isinstance(value, dict) else value
    if isinstance(status, str) and status in ENDED_BY_RUNNING:
        return status
    return state.value if state in ENDED_BY_RUNNING else None


def _arguments(value: Json) -> bytes | None:
    return canonical(value) if isinstance(value, dict) else None


def _command(value: Json) -> tuple[str, ...]:
    if value is None:
        return ()
    words = _list(value, "command")
    if not words or not all(isinstance(word, str) for word in words):
        raise UntrustedAnswer("`command` in the broker's answer is no argument vector")
    return tuple(map(str, words))


def _reasons(value: Json) -> list[Reason]:
    items = value if isinstance(value, list) else []
    told = [item for item in items if isinstance(item, dict)]
    return [Reason(_text(item.get("code")) or "", _text(item.get("message")) or "") for item in told]


def _object(response: Response) -> dict[str, Json]:
    if response.status != OK:
        raise refusal(response)
    return _json(response)


def _json(response: Response) -> dict[str, Json]:
    media = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in MEDIA_TYPES:
        raise UntrustedAnswer(f"the answer ({response.status}) is not JSON: is this the url of a broker?")
    try:
        value = parse(response.body, max_bytes=len(response.body), max_depth=_MAX_DEPTH)
    except BadJson as fault:
        raise UntrustedAnswer(f"the answer ({response.status}) cannot be read: {fault.message}") from None
    return dict(_mapping(value, "the answer"))


def _mapping(value: Json, name: str) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise UntrustedAnswer(f"`{name}` in the broker's answer is not an object")
    return value


def _list(value: Json, name: str) -> list[Json]:
    if not isinstance(value, list):
        raise UntrustedAnswer(f"`{name}` in the broker's answer is not a list")
    return value


def _id(value: Json, name: str) -> str:
    # Ids come back to the broker in paths, so nothing else may stand in them.
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise UntrustedAnswer(f"`{name}` in the broker's answer is no id")
    return value


def _word(kind: type[_Word], value: Json) -> _Word | None:
    return kind(value) if isinstance(value, str) and value in set(kind) else None


def _whole(value: Json) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _number(value: Json) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _verbatim(value: Json) -> str | None:
    return value if isinstance(value, str) and value else None


def _text(value: Json) -> str | None:
    """Return text for people: nothing in it can play tricks on a terminal, and it has an end."""
    return visible(value[:_MAX_TEXT]) if isinstance(value, str) and value else None


def _shown(value: Json) -> str:
    return _text(value) or "?"


def _time(value: Json) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else None
