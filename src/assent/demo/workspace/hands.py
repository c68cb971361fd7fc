"""Hands: what a person of the stand-in can do with what they see: press, choose, fill in, open, type a command.

Only controls that stand, or once stood, in a message can be pressed: an old phone may show an old form of a card.
"""

from typing import Any

from assent.demo.workspace import rules
from assent.demo.workspace.delivering import Delivery
from assent.demo.workspace.people import Person
from assent.demo.workspace.state import APP, Delivered, Hook, Message, Opened, Refused, Workspace


class Hands:
    """One person's hands."""

    def __init__(self, slack: Workspace, delivery: Delivery, person: Person, base_url: str) -> None:
        self._slack = slack
        self._delivery = delivery
        self._person = person
        self._base_url = base_url

    async def press(self, message: Message, action_id: str, *, choose: str | None = None) -> Delivered:
        """Press a button of a message, or choose the option of a menu that begins with `choose`.

        Raises:
            Refused: no form of this message ever had such a control.

        """
        found = message.control(action_id)
        if found is None:
            raise Refused("no_such_control")
        control, block = found
        pressed = {
            "action_id": action_id,
            "block_id": block,
            "type": control["type"],
            "action_ts": self._slack.new_ts(),
        }
        if choose is None:
            pressed["value"] = control.get("value")
        else:
            pressed["selected_option"] = _option(control, choose)
        return await self._delivery.deliver("interactive", self._person.id, self._actions(message, pressed))

    def _actions(self, message: Message, pressed: dict[str, Any]) -> dict[str, Any]:
        channel = self._slack.channels[message.channel]
        container = {"type": "message", "message_ts": message.ts, "channel_id": channel.id, "is_ephemeral": False}
        return {
            **self._about("block_actions"),
            "container": container,
            "channel": {"id": channel.id, "name": channel.name},
            "message": {"ts": message.ts, "user": "U0ASSENT", "app_id": APP, **message.now},
            "response_url": self._response_url(channel.id),
            "trigger_id": self._slack.new_trigger(self._person.id),
            "actions": [pressed],
        }

    async def press_home(self, action_id: str) -> Delivered:
        """Press a button of one's own home tab."""
        home = self._slack.homes.get(self._person.id)
        found = None if home is None else _control_of_view(home.view, action_id)
        if home is None or found is None:
            raise Refused("no_such_control")
        pressed = {"action_id": action_id, "type": found["type"], "value": found.get("value")}
        payload = {
            **self._about("block_actions"),
            "container": {"type": "view", "view_id": home.id},
            "view": {"id": home.id, "hash": home.hash, **home.view},
            "trigger_id": self._slack.new_trigger(self._person.id),
            "actions": [pressed],
        }
        return await self._delivery.deliver("interactive", self._person.id, payload)

    def modal(self) -> Opened:
        """Return the modal that stands open before this person. Raises Refused when there is none."""
        mine = [opened for opened in self._slack.opened.values() if opened.person == self._person.id]
        if not mine:
            raise Refused("no_modal")
        return mine[-1]

    async def submit(self, **entered: str) -> Delivered:
        """Send the open modal with what was entered, by block id; the app may keep it open with errors."""
        opened = self.modal()
        values = {
            block["block_id"]: {
                block["element"]["action_id"]: _entered(block["element"], entered.get(block["block_id"]))
            }
            for block in opened.view["blocks"]
            if block["type"] == "input"
        }
        view = {"id": opened.id, "hash": opened.hash, **opened.view, "state": {"values": values}}
        payload = {**self._about("view_submission"), "view": view, "response_urls": []}
        delivered = await self._delivery.deliver("interactive", self._person.id, payload)
        answered = delivered.answer.get("response_action")
        if delivered.outcome != "acknowledged" or answered == "errors":
            return delivered
        if answered == "update":
            self._put_in_place(opened, delivered.answer.get("view"))
        else:
            del self._slack.opened[opened.id]
        self._slack.changed()
        return delivered

    def _put_in_place(self, opened: Opened, view: Any) -> None:  # noqa: ANN401  # what an app sent
        """Show another view in the same modal, as an app wants it that answers a submission. Raises Refused."""
        if faults := rules.faults_of_view(view):
            raise Refused(faults[0])
        opened.view, opened.hash = view, self._slack.new_id("h")

    def dismiss(self) -> None:
        """Close the open modal without sending it."""
        del self._slack.opened[self.modal().id]
        self._slack.changed()

    async def type_command(self, text: str, *, channel: str, command: str = "/assent") -> Delivered:
        """Type a slash command in a channel."""
        where = self._slack.channel_of(channel)
        payload = {
            "token": "unused",
            "team_id": self._person.team,
            "team_domain": "town",
            "channel_id": where.id,
            "channel_name": where.name,
            "user_id": self._person.id,
            "user_name": self._person.name,
            "command": command,
            "text": text,
            "api_app_id": APP,
            "is_enterprise_install": "false",
            "response_url": self._response_url(where.id),
            "trigger_id": self._slack.new_trigger(self._person.id),
        }
        return await self._delivery.deliver("slash_commands", self._person.id, payload)

    async def open_home(self) -> Delivered:
        """Open the app's home tab."""
        event = {"type": "app_home_opened", "user": self._person.id, "channel": "D0", "tab": "home"}
        return await self._delivery.deliver("events_api", self._person.id, event_of(self._slack, event))

    def _about(self, kind: str) -> dict[str, Any]:
        person = self._person
        user = {"id": person.id, "username": person.name, "name": person.name, "team_id": person.team}
        return {
            "type": kind,
            "user": user,
            "api_app_id": APP,
            "token": "unused",
            "team": {"id": self._slack.team, "domain": "town"},
            "enterprise": None,
            "is_enterprise_install": False,
        }

    def _response_url(self, channel: str) -> str:
        key = self._slack.new_id("hook")
        self._slack.hooks[key] = Hook(person=self._person.id, channel=channel, at=self._slack.clock())
        return f"{self._base_url}/hook/{key}"


def event_of(slack: Workspace, event: dict[str, Any]) -> dict[str, Any]:
    """Return what stands around an event."""
    return {
        "type": "event_callback",
        "team_id": slack.team,
        "api_app_id": APP,
        "event": event,
        "event_id": slack.new_id("Ev"),
        "event_time": int(slack.clock()),
    }


def _option(control: dict[str, Any], choose: str) -> dict[str, Any]:
    for option in control.get("options", []):
        if str(option["value"]).startswith(choose):
            return dict(option)
    raise Refused("no_such_option")


def _control_of_view(view: dict[str, Any], action_id: str) -> dict[str, Any] | None:
    for block in view.get("blocks", []):
        for element in (*block.get("elements", []), block.get("accessory") or {}):
            if element.get("action_id") == action_id:
                return dict(element)
    return None


def _entered(element: dict[str, Any], text: str | None) -> dict[str, Any]:
    if element["type"] == "plain_text_input":
        return {"type": element["type"], "value": text}
    option = None if text is None else _option(element, text)
    return {"type": element["type"], "selected_option": option}
