"""The way out to Slack: cards posted once, changed in place, and looked for when nobody knows whether they arrived."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

import aiohttp

from assent.core.deliveries import (
    SLACK,
    DeliveryFault,
    LockedOut,
    NobodyKnows,
    NotNow,
    Showing,
    Told,
    Undeliverable,
)
from assent.core.operators import Operator, OperatorId
from assent.slack import web as faults
from assent.slack.cards import card, too_long
from assent.slack.view import Card, CardView
from assent.slack.web import SlackFault, SlackWeb

_USER: Final = ("U", "W")
_SEPARATOR: Final = "/"
# Slack's clock and ours may differ: a card is looked for from a little before it was handed over.
LOOK_BACK_SECONDS: Final = 60
MOST_LOOKED_AT: Final = 200
BETWEEN_POSTS_SECONDS: Final = 1.0
# Before anybody looks for the card (`LOOK_AFTER`): what is given up then cannot arrive after the look.
ANNOUNCED_WITHIN_SECONDS: Final = 8.0
MOST_HELD: Final = 1_000
_POST: Final = "chat.postMessage"


class _Pace:
    """Until when Slack wants to be left alone, by method, and by channel for posts; told by the ledger's time.

    What would be refused is not even sent, so that a burst of questions is no storm of refusals.
    """

    def __init__(self) -> None:
        self._free: dict[str, datetime] = {}

    def keep(self, method: str, room: str, now: datetime) -> None:
        """Let a call through. Raises NotNow while Slack wants none."""
        until = max((self._free.get(what, now) for what in (method, f"{method} {room}")), default=now)
        if until > now:
            raise faults.NotNow(method, "too soon", (until - now).total_seconds())

    def hold(self, what: str, now: datetime, seconds: float) -> None:
        """Keep `what` back for so long; whatever is over is forgotten."""
        if len(self._free) >= MOST_HELD:
            self._free = {name: until for name, until in self._free.items() if until > now}
        self._free[what] = now + timedelta(seconds=seconds)


class SlackChannel:
    """A `Channel` over one workspace; `page` is where an approval can be opened in a browser, its id is appended."""

    def __init__(self, web: SlackWeb, *, team: str, page: str | None = None) -> None:
        self._web = web
        self.team = team
        self._page = page
        self._pace = _Pace()

    async def announce(self, where: str, showing: Showing) -> Told:
        """Post the card at a channel, or to a person."""
        try:
            async with asyncio.timeout(ANNOUNCED_WITHIN_SECONDS):
                room = await self._room(where)
                made, posted = await self._sent("chat.postMessage", showing, channel=room)
        except TimeoutError:
            raise NobodyKnows("Slack did not answer in time") from None
        except SlackFault as fault:
            raise told_as(fault) from fault
        place = f"{posted['channel']}{_SEPARATOR}{posted['ts']}"
        await self._send_whole(place, showing, made)
        return _told(place, made)

    async def update(self, where: str, place: str, showing: Showing) -> Told:
        """Change the card where it stands."""
        del where
        room, _, ts = place.partition(_SEPARATOR)
        try:
            made, _answered = await self._sent("chat.update", showing, channel=room, ts=ts)
        except SlackFault as fault:
            raise told_as(fault) from fault
        return _told(place, made)

    async def find(self, where: str, showing: Showing, since: datetime) -> str | None:
        """Return the place of this approval's card among the app's own messages since then, or None."""
        oldest = f"{since.timestamp() - LOOK_BACK_SECONDS:.6f}"
        try:
            room = await self._room(where)
            found = await self._paced(
                "conversations.history",
                room,
                showing.now,
                oldest=oldest,
                limit=MOST_LOOKED_AT,
                include_all_metadata=True,
            )
        except SlackFault as fault:
            raise told_as(fault) from fault
        mine = [message for message in found["messages"] if _is_about(message, showing)]
        return f"{room}{_SEPARATOR}{mine[0]['ts']}" if mine else None

    async def _room(self, where: str) -> str:
        if not where.startswith(_USER):
            return where
        opened = await self._web.call("conversations.open", users=where)
        return str(opened["channel"]["id"])

    async def _sent(self, method: str, showing: Showing, *, channel: str, **more: str) -> tuple[Card, dict[str, Any]]:
        made = card(self._view(showing))
        try:
            return made, await self._paced(method, channel, showing.now, **more, **_content(made))
        except faults.TooLong:
            made = too_long(self._view(showing))
            return made, await self._web.call(method, channel=channel, **more, **_content(made))

    async def _paced(self, method: str, room: str, now: datetime, **arguments: object) -> dict[str, Any]:
        self._pace.keep(method, room, now)
        try:
            answered = await self._web.call(method, channel=room, **arguments)
        except faults.NotNow as fault:
            # A post is counted for its channel, everything else for the whole workspace.
            what = f"{method} {room}" if method == _POST else method
            self._pace.hold(what, now, fault.retry_after_seconds)
            raise
        if method == _POST:
            self._pace.hold(f"{method} {room}", now, BETWEEN_POSTS_SECONDS)
        return answered

    def _view(self, showing: Showing) -> CardView:
        approval = showing.approval
        return CardView(
            approval=approval,
            action=showing.action,
            now=showing.now,
            people=accounts(showing.operators, self.team),
            who=showing.who,
            past=showing.past,
            presence=showing.presence,
            page=None if self._page is None else f"{self._page}{approval.id}",
        )

    async def _send_whole(self, place: str, showing: Showing, made: Card) -> None:
        """Put what a card could not show below it as a file; the card says that it is not shown, file or not."""
        if made.whole is None:
            return
        room, _, ts = place.partition(_SEPARATOR)
        content = made.whole.encode()
        name = f"{showing.approval.code}.txt"
        try:
            slot = await self._web.call("files.getUploadURLExternal", filename=name, length=len(content))
            await self._web.upload(str(slot["upload_url"]), content)
            file = {"id": slot["file_id"], "title": f"all of {showing.approval.code}"}
            await self._web.call("files.completeUploadExternal", files=[file], channel_id=room, thread_ts=ts)
        except (SlackFault, aiohttp.ClientError, TimeoutError):
            return


def accounts(operators: Sequence[Operator], team: str) -> Mapping[OperatorId, str]:
    """Return the user id of every operator who is declared with an account in this workspace."""
    found: dict[OperatorId, str] = {}
    for operator in operators:
        home, _, user = operator.identities.get(SLACK, "").partition("/")
        if home == team and user:
            found[operator.id] = user
    return found


def told_as(fault: SlackFault) -> DeliveryFault:
    """Return what a fault of Slack means to whoever keeps deliveries."""
    if isinstance(fault, faults.NotNow):
        later = NotNow(fault.message, hint=fault.hint)
        later.retry_after_seconds = fault.retry_after_seconds
        return later
    if isinstance(fault, faults.NobodyKnows):
        return NobodyKnows(fault.message, hint=fault.hint)
    if isinstance(fault, faults.LockedOut):
        return LockedOut(fault.message, hint=fault.hint)
    return Undeliverable(fault.message, hint=fault.hint)


def _content(made: Card) -> dict[str, Any]:
    return {
        "text": made.text,
        "blocks": list(made.blocks),
        "metadata": dict(made.metadata),
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _told(place: str, made: Card) -> Told:
    sent = json.dumps(_content(made), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return Told(place=place, seen=sha256(sent.encode()).hexdigest(), approvable=made.is_approvable)


def _is_about(message: Mapping[str, Any], showing: Showing) -> bool:
    metadata = message.get("metadata") or {}
    payload = metadata.get("event_payload") or {}
    return metadata.get("event_type") == "assent_approval" and payload.get("approval") == showing.approval.id
