"""What came from Slack, read strictly: a press, a filled-in dialog, a command, a home tab that was opened. Or nothing.

Slack adds fields as it likes, so what we do not use is not looked at; what we use must be exactly there. Who it was is
told by ids alone: never by a name or an e-mail address, which people choose.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from assent.core.approvals import ApprovalId
from assent.core.canonical import BadJson, parse
from assent.core.errors import AssentError
from assent.slack.view import Form, More, Press

MAX_PAYLOAD_BYTES: Final = 1_048_576
_KeyId: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{2,32}$")]
_Text: TypeAlias = Annotated[str, StringConstraints(max_length=4_000)]
_Url: TypeAlias = Annotated[str, StringConstraints(max_length=1_000)]
_Digest: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]


class Unreadable(AssentError):
    """What came is none of the things that our cards can send."""

    code = "bad_request"


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """An account: its user, the workspace it belongs to, and the organisation of that, where there is one."""

    user: str
    team: str
    enterprise: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What a button carried: the approval, the revision that was shown, the beginning of the digest that was shown.

    `text` is how it carried that, to be carried on by a dialog.
    """

    approval: ApprovalId
    revision: int
    digest: str
    text: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """A button of a card, or a choice from its menu (`more`); `carried` is None where it stands for no approval."""

    who: Who
    press: Press
    carried: Carried | None
    more: More | None = None
    channel: str | None = None
    message_ts: str | None = None
    trigger: str = ""
    response_url: str = ""
    app: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """A dialog that was filled in: which, about which approval, and what was entered by question."""

    who: Who
    form: Form
    carried: Carried | None
    answers: Mapping[str, str] = field(default_factory=dict)
    app: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """A slash command."""

    who: Who
    words: tuple[str, ...]
    channel: str
    trigger: str = ""
    response_url: str = ""
    app: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeOpened:
    """Somebody looks at their home tab."""

    who: Who
    app: str = ""


Heard: TypeAlias = Pressed | Submitted | Typed | HomeOpened


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, hide_input_in_errors=True)


class _User(_Part):
    id: _KeyId
    team_id: _KeyId | None = None


class _Place(_Part):
    id: _KeyId


class _Container(_Part):
    message_ts: str | None = None


class _Option(_Part):
    value: _Text


class _Action(_Part):
    action_id: _Text
    value: _Text | None = None
    selected_option: _Option | None = None


class _Answer(_Part):
    value: _Text | None = None
    selected_option: _Option | None = None


class _State(_Part):
    values: dict[str, dict[str, _Answer]] = {}


class _View(_Part):
    callback_id: _Text
    private_metadata: _Text = ""
    state: _State = _State()


class _Common(_Part):
    user: _User
    team: _Place | None = None
    enterprise: _Place | None = None
    api_app_id: _Text = ""


class _Actions(_Common):
    type: Literal["block_actions"]
    actions: Annotated[list[_Action], ...]
    channel: _Place | None = None
    container: _Container = _Container()
    trigger_id: _Text = ""
    response_url: _Url = ""


class _Submission(_Common):
    type: Literal["view_submission"]
    view: _View


class _Command(_Part):
    user_id: _KeyId
    team_id: _KeyId
    enterprise_id: _KeyId | None = None
    channel_id: _KeyId
    text: _Text = ""
    trigger_id: _Text = ""
    response_url: _Url = ""
    api_app_id: _Text = ""


class _Event(_Part):
    type: _Text
    user: _KeyId | None = None


class _Events(_Part):
    team_id: _KeyId
    api_app_id: _Text = ""
    event: _Event


class _Carried(_Part):
    a: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$")]
    r: int
    d: _Digest


def interaction(payload: Mapping[str, Any]) -> Pressed | Submitted:
    """Return what somebody did with a card or a dialog.

    Raises:
        Unreadable: it is nothing that our cards and dialogs can send.

    """
    try:
        if payload.get("type") == "view_submission":
            return _submitted(_Submission.model_validate(payload))
        return _pressed(_Actions.model_validate(payload))
    except (ValidationError, ValueError) as fault:
        raise Unreadable(f"not an interaction of ours: {_where(fault)}") from None


def command(form: Mapping[str, Any]) -> Typed:
    """Return what somebody typed. Raises Unreadable."""
    try:
        typed = _Command.model_validate(dict(form))
    except ValidationError as fault:
        raise Unreadable(f"not a command of ours: {_where(fault)}") from None
    who = Who(user=typed.user_id, team=typed.team_id, enterprise=typed.enterprise_id)
    return Typed(
        who=who,
        words=tuple(typed.text.split()),
        channel=typed.channel_id,
        trigger=typed.trigger_id,
        response_url=typed.response_url,
        app=typed.api_app_id,
    )


def event(payload: Mapping[str, Any]) -> HomeOpened | None:
    """Return what happened, or None for what we do not care about. Raises Unreadable."""
    try:
        found = _Events.model_validate(payload)
    except ValidationError as fault:
        raise Unreadable(f"not an event of ours: {_where(fault)}") from None
    if found.event.type != "app_home_opened" or found.event.user is None:
        return None
    return HomeOpened(who=Who(user=found.event.user, team=found.team_id), app=found.api_app_id)


def payload_of(raw: bytes) -> Mapping[str, Any]:
    """Return the JSON object that came in a form or over a socket. Raises Unreadable."""
    try:
        found = parse(raw, max_bytes=MAX_PAYLOAD_BYTES)
    except BadJson as fault:
        raise Unreadable(fault.message) from None
    if not isinstance(found, dict):
        raise Unreadable("this is no JSON object")
    return found


def _pressed(found: _Actions) -> Pressed:
    (action,) = found.actions
    press = Press(action.action_id)
    chosen = None if action.selected_option is None else action.selected_option.value
    more, _, value = (chosen or "").partition(":")
    carried = value if chosen is not None else action.value
    return Pressed(
        who=_who(found),
        press=press,
        more=More(more) if chosen is not None else None,
        carried=None if not carried or press is Press.OPEN else carried_in(carried),
        channel=None if found.channel is None else found.channel.id,
        message_ts=found.container.message_ts,
        trigger=found.trigger_id,
        response_url=found.response_url,
        app=found.api_app_id,
    )


def _submitted(found: _Submission) -> Submitted:
    view = found.view
    entered = {question: answer for question, parts in view.state.values.items() for answer in parts.values()}
    answers = {
        question: answer.value or "" if answer.selected_option is None else answer.selected_option.value
        for question, answer in entered.items()
    }
    return Submitted(
        who=_who(found),
        form=Form(view.callback_id),
        carried=carried_in(view.private_metadata) if view.private_metadata else None,
        answers=answers,
        app=found.api_app_id,
    )


def carried_in(text: str) -> Carried:
    """Return what a button or dialog carries. Raises ValueError."""
    found = _Carried.model_validate(json.loads(text))
    return Carried(approval=ApprovalId(found.a), revision=found.r, digest=found.d, text=text)


def _who(found: _Common) -> Who:
    # On an organisation's grid the user's own team stands beside the workspace that the app is installed in.
    team = found.user.team_id or (found.team.id if found.team is not None else "")
    return Who(user=found.user.id, team=team, enterprise=None if found.enterprise is None else found.enterprise.id)


def _where(fault: Exception) -> str:
    if isinstance(fault, ValidationError):
        return ", ".join(".".join(map(str, error["loc"])) or str(error["msg"]) for error in fault.errors()[:3])
    return "it names something that no card of ours has"
