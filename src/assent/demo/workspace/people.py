"""The people of the stand-in: everybody who may stand before a card, also those who must not decide there."""

from dataclasses import dataclass
from typing import Any, Final

TEAM: Final = "T0TOWN"
OTHER_TEAM: Final = "T0ELSEWHERE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One account. `is_stranger` is a member of another workspace in a shared channel."""

    id: str
    name: str
    team: str = TEAM
    is_guest: bool = False
    is_single_channel_guest: bool = False
    is_bot: bool = False
    is_stranger: bool = False
    is_deleted: bool = False

    def info(self) -> dict[str, Any]:
        """Return the account as `users.info` shows it."""
        return {
            "id": self.id,
            "team_id": self.team,
            "name": self.name,
            "deleted": self.is_deleted,
            "real_name": self.name.title(),
            "is_bot": self.is_bot,
            "is_app_user": False,
            "is_restricted": self.is_guest or self.is_single_channel_guest,
            "is_ultra_restricted": self.is_single_channel_guest,
            "is_stranger": self.is_stranger,
            "profile": {"real_name": self.name.title(), "display_name": self.name},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A place for messages; `members` are user ids. A direct message is a channel with one of them."""

    id: str
    name: str
    members: frozenset[str] = frozenset()
    is_archived: bool = False
    is_shared: bool = False
    is_direct: bool = False
    has_bot: bool = True

    def info(self) -> dict[str, Any]:
        """Return the channel as `conversations.info` shows it."""
        return {
            "id": self.id,
            "name": self.name,
            "is_channel": not self.is_direct,
            "is_im": self.is_direct,
            "is_archived": self.is_archived,
            "is_ext_shared": self.is_shared,
            "is_member": self.has_bot,
        }
