"""The app as Slack is told to make it: the least that our code needs, and nothing that it does not use.

Every scope stands beside the methods that need it; a test holds both sides to what the code calls.
"""

from collections.abc import Mapping
from typing import Any, Final

SCOPES: Final[Mapping[str, tuple[str, ...]]] = {
    "chat:write": ("chat.postMessage", "chat.update"),
    "im:write": ("conversations.open",),
    "users:read": ("users.info", "bots.info"),
    "usergroups:read": ("usergroups.users.list",),
    "files:write": ("files.getUploadURLExternal", "files.completeUploadExternal"),
    "channels:read": ("conversations.info",),
    "groups:read": ("conversations.info",),
    "channels:history": ("conversations.history",),
    "groups:history": ("conversations.history",),
    "im:history": ("conversations.history",),
    "commands": (),
}
"""Which methods need which scope; `commands` is for `/assent`. History is read only to look for a card of our own when
nobody knows whether it arrived."""
WITHOUT_A_SCOPE: Final = frozenset({"auth.test", "apps.connections.open", "views.open", "views.publish"})
APP_SCOPES: Final = ("connections:write",)
COMMAND: Final = "/assent"
EVENTS: Final = ("app_home_opened",)
PATH: Final = "/slack/interactions"


def manifest(*, public_url: str | None = None) -> dict[str, Any]:
    """Return the app's manifest: for Socket Mode, or for HTTP where `public_url` says where the broker is reached."""
    address = None if public_url is None else f"{public_url.rstrip('/')}{PATH}"
    return {
        "_metadata": {"major_version": 2, "minor_version": 1},
        "display_information": {
            "name": "Assent",
            "description": "Approve or deny what autonomous agents do",
            "background_color": "#1b2a41",
        },
        "features": {
            "app_home": {
                "home_tab_enabled": True,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": True,
            },
            "bot_user": {"display_name": "assent", "always_online": True},
            "slash_commands": [_command(address)],
        },
        "oauth_config": {"scopes": {"bot": list(SCOPES)}},
        "settings": {
            "interactivity": {"is_enabled": True, **_at(address)},
            "event_subscriptions": {"bot_events": list(EVENTS), **_at(address)},
            "org_deploy_enabled": False,
            "socket_mode_enabled": address is None,
            "token_rotation_enabled": False,
        },
    }


def _command(address: str | None) -> dict[str, Any]:
    made: dict[str, Any] = {
        "command": COMMAND,
        "description": "What waits for you; deny it; stop an agent",
        "usage_hint": "pending | show CODE | deny CODE | trip agent:NAME why | link CODE",
        "should_escape": True,
    }
    return made if address is None else made | {"url": address}


def _at(address: str | None) -> dict[str, str]:
    return {} if address is None else {"request_url": address}
