"""The methods of the Web API that the app uses, each with its scope, its rate, and exactly the arguments it takes."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from assent.demo.workspace import rules
from assent.demo.workspace.state import APP, BOT, BOT_ID, Message, Opened, Refused, Workspace

Arguments: TypeAlias = dict[str, Any]
Answer: TypeAlias = dict[str, Any]
Handler: TypeAlias = Callable[[Workspace, Arguments], Answer]

MAX_TEXT_CHARACTERS: Final = 40_000
MAX_UPDATED_TEXT_CHARACTERS: Final = 4_000
MAX_METADATA_BYTES: Final = 16_000
T2, T3, T4 = 20, 50, 100  # calls a minute


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """What one method needs (`scopes`: any of them), takes (`must`, `may`), how often a minute, and whether as JSON."""

    handle: Handler
    must: frozenset[str] = frozenset()
    may: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    per_minute: int | None = None
    takes_json: bool = False
    app_token: bool = False


def check(method: Method, arguments: Mapping[str, Any]) -> None:
    """Refuse a call that lacks an argument, or brings one that the method does not know."""
    missing = sorted(name for name in method.must if name not in arguments)
    if missing:
        raise Refused("invalid_arguments", missing=missing)
    unknown = sorted(set(arguments) - method.must - method.may)
    if unknown:
        raise Refused("invalid_arguments", unknown=unknown)


def _post(slack: Workspace, arguments: Arguments) -> Answer:
    channel = slack.channel_of(arguments["channel"])
    _refuse_closed(channel)
    form = _form(arguments, most=MAX_TEXT_CHARACTERS)
    message = Message(channel=channel.id, ts=slack.new_ts(), forms=[form], thread=arguments.get("thread_ts"))
    slack.messages.append(message)
    slack.changed()
    return {"channel": channel.id, "ts": message.ts, "message": _shown(message)}


def _update(slack: Workspace, arguments: Arguments) -> Answer:
    message = slack.message(arguments["channel"], arguments["ts"])
    _refuse_closed(slack.channels[message.channel])
    before = message.now.get("blocks")
    message.forms.append(_form(arguments, most=MAX_UPDATED_TEXT_CHARACTERS, is_update_of=before))
    slack.changed()
    return {"channel": message.channel, "ts": message.ts, "text": message.now["text"]}


def _ephemeral(slack: Workspace, arguments: Arguments) -> Answer:
    channel = slack.channel_of(arguments["channel"])
    if arguments["user"] not in slack.people:
        raise Refused("user_not_in_channel")
    form = _form(arguments, most=MAX_TEXT_CHARACTERS)
    message = Message(channel=channel.id, ts=slack.new_ts(), forms=[form], only_for=arguments["user"])
    slack.messages.append(message)
    slack.changed()
    return {"message_ts": message.ts}


def _refuse_closed(channel: Any) -> None:  # noqa: ANN401  # a channel of the workspace
    if channel.is_archived:
        raise Refused("is_archived")
    if not channel.has_bot:
        raise Refused("not_in_channel")


def _form(arguments: Arguments, *, most: int, is_update_of: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    text, blocks = str(arguments.get("text", "")), arguments.get("blocks", [])
    if not text and not blocks:
        raise Refused("no_text")
    if len(text) > most:
        raise Refused("msg_too_long")
    if blocks and (faults := rules.faults_of_message(blocks, is_update_of=is_update_of)):
        raise Refused(faults[0] if "_" in faults[0] and " " not in faults[0] else "invalid_blocks", errors=faults)
    metadata = arguments.get("metadata")
    if metadata is not None and len(json.dumps(metadata)) > MAX_METADATA_BYTES:
        raise Refused("metadata_too_large")
    return {"text": text, "blocks": blocks, "metadata": metadata}


def _shown(message: Message) -> dict[str, Any]:
    return {"type": "message", "user": BOT.id, "bot_id": BOT_ID, "app_id": APP, "ts": message.ts, **message.now}


def _history(slack: Workspace, arguments: Arguments) -> Answer:
    channel = slack.channel_of(arguments["channel"])
    oldest = float(arguments.get("oldest", 0))
    found = [m for m in slack.messages if m.channel == channel.id and m.only_for is None and float(m.ts) >= oldest]
    limit = int(arguments.get("limit", 100))
    return {"messages": [_shown(message) for message in reversed(found)][:limit], "has_more": len(found) > limit}


def _open_view(slack: Workspace, arguments: Arguments) -> Answer:
    view = arguments["view"]
    if faults := rules.faults_of_view(view):
        raise Refused("invalid_arguments", errors=faults)
    trigger = slack.use_trigger(arguments["trigger_id"])
    opened = Opened(id=slack.new_id("V"), person=trigger.person, view=view, hash=slack.new_id("h"))
    slack.opened[opened.id] = opened
    slack.changed()
    return {"view": {"id": opened.id, "hash": opened.hash, **view}}


def _update_view(slack: Workspace, arguments: Arguments) -> Answer:
    view, opened = arguments["view"], slack.opened.get(arguments["view_id"])
    if opened is None:
        raise Refused("not_found")
    if faults := rules.faults_of_view(view):
        raise Refused("invalid_arguments", errors=faults)
    if arguments.get("hash") not in {None, opened.hash}:
        raise Refused("hash_conflict")
    opened.view, opened.hash = view, slack.new_id("h")
    slack.changed()
    return {"view": {"id": opened.id, "hash": opened.hash, **view}}


def _publish(slack: Workspace, arguments: Arguments) -> Answer:
    view, person = arguments["view"], arguments["user_id"]
    if person not in slack.people:
        raise Refused("user_not_found")
    if view.get("type") != "home":
        raise Refused("invalid_arguments", errors=["a home tab is of type home"])
    if faults := rules.faults_of_view(view):
        raise Refused("invalid_arguments", errors=faults)
    slack.homes[person] = Opened(id=slack.new_id("V"), person=person, view=view, hash=slack.new_id("h"))
    slack.changed()
    return {"view": {"id": slack.homes[person].id, **view}}


def _user(slack: Workspace, arguments: Arguments) -> Answer:
    person = slack.people.get(arguments["user"])
    if person is None:
        raise Refused("user_not_found")
    return {"user": person.info()}


def _group_members(slack: Workspace, arguments: Arguments) -> Answer:
    members = slack.groups.get(arguments["usergroup"])
    if members is None:
        raise Refused("no_such_subteam")
    return {"users": list(members)}


def _channel(slack: Workspace, arguments: Arguments) -> Answer:
    return {"channel": slack.channel_of(arguments["channel"]).info()}


def _open_direct(slack: Workspace, arguments: Arguments) -> Answer:
    return {"channel": {"id": slack.direct_to(arguments["users"]).id}}


def _who_am_i(slack: Workspace, _arguments: Arguments) -> Answer:
    who = {"user": BOT.name, "user_id": BOT.id, "bot_id": BOT_ID}
    return {"url": "https://town.slack.com/", "team": "Town", "team_id": slack.team, **who}


def _bot(_slack: Workspace, arguments: Arguments) -> Answer:
    if arguments["bot"] != BOT_ID:
        raise Refused("bot_not_found")
    return {"bot": {"id": BOT_ID, "app_id": APP, "user_id": BOT.id, "name": BOT.name, "deleted": False}}


def _upload_address(slack: Workspace, arguments: Arguments) -> Answer:
    key = slack.new_id("F")
    slack.files[key] = {"name": arguments["filename"], "length": int(arguments["length"]), "content": None}
    return {"file_id": key, "upload_url": f"{{base}}/upload/{key}"}


def _finish_upload(slack: Workspace, arguments: Arguments) -> Answer:
    for one in arguments["files"]:
        file = slack.files.get(one["id"])
        if file is None or file["content"] is None or len(file["content"]) != file["length"]:
            raise Refused("file_not_found")
        file |= {
            "channel": arguments.get("channel_id"),
            "thread": arguments.get("thread_ts"),
            "title": one.get("title"),
        }
    slack.changed()
    return {"files": [{"id": one["id"], "title": one.get("title")} for one in arguments["files"]]}


def _open_socket(slack: Workspace, _arguments: Arguments) -> Answer:
    return {"url": f"{{sockets}}/socket/{slack.new_id('ticket-')}"}


def _names(*names: str) -> frozenset[str]:
    return frozenset(names)


_BLOCKS = ("text", "blocks", "metadata", "thread_ts", "unfurl_links", "unfurl_media", "mrkdwn")

METHODS: Final[Mapping[str, Method]] = {
    "auth.test": Method(handle=_who_am_i, per_minute=T4),
    "bots.info": Method(handle=_bot, must=_names("bot"), scopes=_names("users:read"), per_minute=T3),
    "apps.connections.open": Method(handle=_open_socket, per_minute=T3, app_token=True),
    "chat.postMessage": Method(
        handle=_post, must=_names("channel"), may=_names(*_BLOCKS), scopes=_names("chat:write"), takes_json=True
    ),
    "chat.update": Method(
        handle=_update,
        must=_names("channel", "ts"),
        may=_names(*_BLOCKS),
        scopes=_names("chat:write"),
        per_minute=T3,
        takes_json=True,
    ),
    "chat.postEphemeral": Method(
        handle=_ephemeral,
        must=_names("channel", "user"),
        may=_names(*_BLOCKS),
        scopes=_names("chat:write"),
        per_minute=T4,
        takes_json=True,
    ),
    "conversations.history": Method(
        handle=_history,
        must=_names("channel"),
        may=_names("oldest", "latest", "limit", "inclusive", "include_all_metadata", "cursor"),
        scopes=_names("channels:history", "groups:history", "im:history"),
        per_minute=T3,
    ),
    "conversations.info": Method(
        handle=_channel, must=_names("channel"), scopes=_names("channels:read", "groups:read"), per_minute=T3
    ),
    "conversations.open": Method(
        handle=_open_direct, must=_names("users"), scopes=_names("im:write"), per_minute=T3, takes_json=True
    ),
    "files.getUploadURLExternal": Method(
        handle=_upload_address, must=_names("filename", "length"), scopes=_names("files:write"), per_minute=T4
    ),
    "files.completeUploadExternal": Method(
        handle=_finish_upload,
        must=_names("files"),
        may=_names("channel_id", "thread_ts", "initial_comment"),
        scopes=_names("files:write"),
        per_minute=T4,
        takes_json=True,
    ),
    "usergroups.users.list": Method(
        handle=_group_members, must=_names("usergroup"), scopes=_names("usergroups:read"), per_minute=T2
    ),
    "users.info": Method(handle=_user, must=_names("user"), scopes=_names("users:read"), per_minute=T4),
    "views.open": Method(handle=_open_view, must=_names("trigger_id", "view"), per_minute=T4, takes_json=True),
    "views.publish": Method(
        handle=_publish, must=_names("user_id", "view"), may=_names("hash"), per_minute=T4, takes_json=True
    ),
    "views.update": Method(
        handle=_update_view, must=_names("view_id", "view"), may=_names("hash"), per_minute=T4, takes_json=True
    ),
}
