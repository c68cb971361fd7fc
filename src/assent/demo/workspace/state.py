"""What the stand-in holds: people, channels, messages with all their forms, views, files, and what is to go wrong.

Nothing here speaks HTTP. Times are seconds of the workspace's own clock, which a test moves by hand.
"""

import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from assent.demo.workspace.people import TEAM, Channel, Person

APP: Final = "A0ASSENT"
BOT_ID: Final = "B0ASSENT"
BOT: Final = Person(id="U0ASSENT", name="assent", is_bot=True)
TRIGGER_SECONDS: Final = 3.0
RESPONSE_SECONDS: Final = 1_800.0
RESPONSE_USES: Final = 5
_MINUTE: Final = 60.0


class Refused(Exception):
    """What a method answers instead of `ok`; `said` is Slack's word for it, `more` stands beside it."""

    def __init__(self, said: str, **more: object) -> None:
        super().__init__(said)
        self.said = said
        self.more = more


@dataclass(slots=True, kw_only=True)
class Message:
    """One message and every form it ever had; the last one is what people see."""

    channel: str
    ts: str
    forms: list[dict[str, Any]]
    thread: str | None = None
    only_for: str | None = None

    @property
    def now(self) -> dict[str, Any]:
        """The form that people see."""
        return self.forms[-1]

    def control(self, action_id: str) -> tuple[dict[str, Any], str] | None:
        """Return a control that stands, or once stood, in this message, with the block around it."""
        for form in reversed(self.forms):
            for block in form.get("blocks", []):
                for element in block.get("elements", []):
                    if element.get("action_id") == action_id:
                        return element, str(block.get("block_id", ""))
        return None


@dataclass(slots=True, kw_only=True)
class Opened:
    """A modal that stands open before somebody, or a home tab."""

    id: str
    person: str
    view: dict[str, Any]
    hash: str


@dataclass(slots=True, kw_only=True)
class Trigger:
    """Permission to open one modal: for three seconds, once."""

    person: str
    at: float
    is_used: bool = False


@dataclass(slots=True, kw_only=True)
class Hook:
    """Where an interaction may be answered, five times within half an hour, to one person; `said` is what was."""

    person: str
    channel: str
    at: float
    uses: int = 0
    said: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Fault:
    """Something that goes wrong for the next `times` calls of `method` (`*` for any).

    `how` is `429`, `500`, `slow` (answers after the client gave up), `reset_before` or `reset_after` (the connection
    breaks before or after the call took effect), `garbage`, or an error in Slack's own words.
    """

    method: str
    how: str
    times: int = 1
    retry_after: int = 1


@dataclass(slots=True, kw_only=True)
class Call:
    """One call of a method that was made, and what it came to."""

    method: str
    arguments: dict[str, Any]
    said: str
    at: float


class Workspace:
    """One workspace with one app installed in it; `counts_calls` says whether it limits calls a minute."""

    def __init__(
        self,
        *,
        people: Iterable[Person] = (),
        channels: Iterable[Channel] = (),
        groups: dict[str, tuple[str, ...]] | None = None,
        scopes: Iterable[str] = (),
        bot_token: str = "xoxb-stand-in",  # noqa: S107  # worth something to the stand-in alone
        app_token: str = "xapp-stand-in",  # noqa: S107  # worth something to the stand-in alone
        signing_secret: str = "stand-in-signing-secret",  # noqa: S107  # worth something to the stand-in alone
        clock: Callable[[], float] = time.time,
        counts_calls: bool = True,
    ) -> None:
        self.team = TEAM
        self.people = {person.id: person for person in (*people, BOT)}
        self.channels = {channel.id: channel for channel in channels}
        self.groups = groups or {}
        self.scopes = frozenset(scopes)
        self.bot_token, self.app_token, self.signing_secret = bot_token, app_token, signing_secret
        self.clock = clock
        self.counts_calls = counts_calls
        self.messages: list[Message] = []
        self.opened: dict[str, Opened] = {}
        self.homes: dict[str, Opened] = {}
        self.files: dict[str, dict[str, Any]] = {}
        self.triggers: dict[str, Trigger] = {}
        self.hooks: dict[str, Hook] = {}
        self.faults: list[Fault] = []
        self.calls: list[Call] = []
        self.version = 0
        self._numbers = itertools.count(1)
        self._posted: dict[str, float] = {}
        self._used: dict[str, list[float]] = defaultdict(list)

    def new_id(self, prefix: str) -> str:
        """Return an id that was never given before."""
        return f"{prefix}{next(self._numbers):08d}"

    def new_ts(self) -> str:
        """Return the timestamp that names a message."""
        return f"{int(self.clock())}.{next(self._numbers):06d}"

    def changed(self) -> None:
        """Let everybody who looks at the page see it."""
        self.version += 1

    def person(self, key: str) -> Person:
        """Return somebody by id or name. Raises KeyError."""
        if key in self.people:
            return self.people[key]
        return next(person for person in self.people.values() if person.name == key)

    def set_person(self, person: Person) -> None:
        """Change an account: deactivate it, make it a guest."""
        self.people[person.id] = person

    def set_channel(self, channel: Channel) -> None:
        """Change a channel: archive it, share it."""
        self.channels[channel.id] = channel

    def channel_of(self, key: str) -> Channel:
        """Return where a message to `key` goes: a channel by id or `#name`, or somebody's direct messages."""
        if key in self.people and key != BOT.id:
            return self.direct_to(key)
        for channel in self.channels.values():
            if key in {channel.id, f"#{channel.name}"}:
                return channel
        raise Refused("channel_not_found")

    def direct_to(self, person: str) -> Channel:
        """Return the direct messages between the app and somebody, opened when there are none."""
        if person not in self.people:
            raise Refused("user_not_found")
        if self.people[person].is_deleted:
            raise Refused("user_disabled")
        for channel in self.channels.values():
            if channel.is_direct and channel.members == {person}:
                return channel
        made = Channel(id=self.new_id("D"), name=self.people[person].name, members=frozenset({person}), is_direct=True)
        self.channels[made.id] = made
        return made

    def message(self, channel: str, ts: str) -> Message:
        """Return a message. Raises Refused when there is none."""
        for found in self.messages:
            if found.channel == channel and found.ts == ts:
                return found
        raise Refused("message_not_found")

    def seen_by(self, key: str) -> list[Message]:
        """Return the messages that somebody sees: in their channels, and those that only they see."""
        person = self.person(key).id
        mine = {c.id for c in self.channels.values() if person in c.members or (not c.is_direct and not c.members)}
        return [m for m in self.messages if m.channel in mine and m.only_for in {None, person}]

    def take_turn(self, method: str, per_minute: int | None, channel: str | None) -> float:
        """Return 0.0 and count the call, or the seconds to wait: one message a second and channel, calls a minute."""
        now = self.clock()
        if channel is not None and method == "chat.postMessage":
            waits = self._posted.get(channel, now - 1.0) + 1.0 - now
            if waits > 0:
                return waits
            self._posted[channel] = now
        if per_minute is None or not self.counts_calls:
            return 0.0
        recent = [at for at in self._used[method] if now - at < _MINUTE]
        if len(recent) >= per_minute:
            return _MINUTE - (now - recent[0])
        self._used[method] = [*recent, now]
        return 0.0

    def fault_for(self, method: str) -> Fault | None:
        """Return what is to go wrong with this call, and count it."""
        for fault in self.faults:
            if fault.method in {method, "*"} and fault.times > 0:
                fault.times -= 1
                return fault
        return None

    def new_trigger(self, person: str) -> str:
        """Return a trigger: whoever hears of an interaction may open one modal within three seconds."""
        key = self.new_id("trigger.")
        self.triggers[key] = Trigger(person=person, at=self.clock())
        return key

    def use_trigger(self, key: str) -> Trigger:
        """Spend a trigger. Raises Refused when it is too old or was spent."""
        trigger = self.triggers.get(key)
        if trigger is None:
            raise Refused("invalid_trigger_id")
        if trigger.is_used:
            raise Refused("exchanged_trigger_id")
        if self.clock() - trigger.at > TRIGGER_SECONDS:
            raise Refused("expired_trigger_id")
        trigger.is_used = True
        return trigger

    def use_hook(self, key: str) -> Hook:
        """Count a use of a response address. Raises Refused when it was used up or is too old."""
        hook = self.hooks.get(key)
        if hook is None or self.clock() - hook.at > RESPONSE_SECONDS or hook.uses >= RESPONSE_USES:
            raise Refused("expired_url")
        hook.uses += 1
        return hook


@dataclass(slots=True, kw_only=True)
class Delivered:
    """One interaction on its way to the app: how it came out, and what the app answered."""

    kind: str
    person: str
    payload: dict[str, Any]
    outcome: str = "waiting"
    answer: dict[str, Any] = field(default_factory=dict)
