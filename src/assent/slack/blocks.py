"""Block Kit, as far as our cards use it: small builders with Slack's limits, and not one element that reads markup.

Text of agents can only stand in `plain_text` and in text elements of `rich_text`, where nothing is interpreted: no
mention, no link, no emoji. There is no builder for `mrkdwn` here, so no card can hold any.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

Block: TypeAlias = dict[str, Any]
Part: TypeAlias = dict[str, Any]

MAX_BLOCKS: Final = 50
MAX_HEADER_CHARACTERS: Final = 150
MAX_FIELD_CHARACTERS: Final = 2_000
MAX_FIELDS: Final = 10
MAX_BUTTON_CHARACTERS: Final = 75
MAX_VALUE_CHARACTERS: Final = 2_000
MAX_CONFIRM_CHARACTERS: Final = 300
MAX_OVERFLOW_OPTIONS: Final = 5
MAX_TITLE_CHARACTERS: Final = 24
MAX_INPUT_CHARACTERS: Final = 3_000
# Slack refuses messages that are too large over all blocks and publishes no number; reports begin at 11,000.
MAX_TEXT_CHARACTERS: Final = 8_000
MAX_BLOCK_BYTES: Final = 10_000
_CUT: Final = "…"


def cut(text: str, characters: int) -> str:
    """Return `text`, or its beginning and its length when it is longer than `characters`."""
    if len(text) <= characters:
        return text
    told = f"{_CUT} ({len(text)} characters)"
    return text[: characters - len(told)] + told


def plain(text: str, characters: int) -> Part:
    """Return text in which Slack interprets nothing, not even the name of an emoji."""
    return {"type": "plain_text", "text": cut(text, characters) or " ", "emoji": False}


def header(text: str) -> Block:
    """Return the headline of a card."""
    return {"type": "header", "text": plain(text, MAX_HEADER_CHARACTERS)}


def facts(block_id: str, named: Mapping[str, str], *, characters: int = 300) -> Block:
    """Return facts in two columns, each under its name; `expand` so that none hides behind a click."""
    fields = [plain(f"{name}\n{value}", characters) for name, value in named.items()]
    return {"type": "section", "block_id": block_id, "expand": True, "fields": fields}


def rich(block_id: str, *elements: Part) -> Block:
    """Return rich text: sections, quotes and preformatted text."""
    return {"type": "rich_text", "block_id": block_id, "elements": list(elements)}


def line(*parts: Part) -> Part:
    """Return one paragraph of parts."""
    return {"type": "rich_text_section", "elements": list(parts)}


def quote(text: str) -> Part:
    """Return somebody's own words."""
    return {"type": "rich_text_quote", "elements": [words(text)]}


def preformatted(text: str) -> Part:
    """Return text as it stands, in letters of one width."""
    return {"type": "rich_text_preformatted", "border": 0, "elements": [words(text)]}


def words(text: str, *, bold: bool = False) -> Part:
    """Return inert text."""
    part: Part = {"type": "text", "text": text or " "}
    return part | {"style": {"bold": True}} if bold else part


def person(user_id: str) -> Part:
    """Return a person of the workspace; being named in a card tells them."""
    return {"type": "user", "user_id": user_id}


def everybody_here() -> Part:
    """Return everybody in the channel; they are told at once."""
    return {"type": "broadcast", "range": "channel"}


def link(url: str) -> Part:
    """Return an address of our own settings that can be followed; never one that an agent wrote."""
    return {"type": "link", "url": url}


def inert(text: str) -> str:
    """Return text for a message's own `text`, the one place that Slack reads for markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def time_of_day(moment: datetime) -> Part:
    """Return a moment in the reader's own zone, in UTC where the reader's client cannot."""
    said = f"{moment.astimezone(UTC):%H:%M} UTC"
    return {"type": "date", "timestamp": int(moment.timestamp()), "format": "{time}", "fallback": said}


def button(action_id: str, text: str, value: str, *, label: str, style: str | None = None) -> Part:
    """Return a button; `label` is what a screen reader says."""
    made: Part = {
        "type": "button",
        "action_id": action_id,
        "text": plain(text, MAX_BUTTON_CHARACTERS),
        "value": value,
        "accessibility_label": cut(label, MAX_BUTTON_CHARACTERS),
    }
    return made | {"style": style} if style else made


def link_button(action_id: str, text: str, url: str, *, label: str) -> Part:
    """Return a button that opens a page."""
    return button(action_id, text, "open", label=label) | {"url": url}


def asking(control: Part, *, title: str, text: str, yes: str) -> Part:
    """Return a control that asks once more before it acts."""
    return control | {
        "confirm": {
            "title": plain(title, 100),
            "text": plain(text, MAX_CONFIRM_CHARACTERS),
            "confirm": plain(yes, 30),
            "deny": plain("Back", 30),
        }
    }


def overflow(action_id: str, options: Mapping[str, str]) -> Part:
    """Return the menu for everything that is rarely wanted; `options` maps values to texts."""
    return {
        "type": "overflow",
        "action_id": action_id,
        "options": [{"text": plain(text, MAX_BUTTON_CHARACTERS), "value": value} for value, text in options.items()],
    }


def actions(block_id: str, controls: Sequence[Part]) -> Block:
    """Return a row of controls."""
    return {"type": "actions", "block_id": block_id, "elements": list(controls)}


def choice(block_id: str, label: str, options: Mapping[str, str]) -> Block:
    """Return a question of a modal with one answer out of a few; `options` maps values to texts."""
    made = [{"text": plain(text, MAX_BUTTON_CHARACTERS), "value": value} for value, text in options.items()]
    element = {"type": "radio_buttons", "action_id": "v", "options": made}
    return {"type": "input", "block_id": block_id, "label": plain(label, 2_000), "element": element}


def answer(block_id: str, label: str, *, characters: int, optional: bool = False, multiline: bool = True) -> Block:
    """Return a question of a modal that is answered in words."""
    element = {"type": "plain_text_input", "action_id": "v", "multiline": multiline, "max_length": characters}
    return {
        "type": "input",
        "block_id": block_id,
        "label": plain(label, 2_000),
        "element": element,
        "optional": optional,
    }


def modal(callback_id: str, *, title: str, submit: str, private: str, blocks: Sequence[Block]) -> dict[str, Any]:
    """Return a dialog; `private` comes back with what was entered, and Slack shows it to nobody."""
    return {
        "type": "modal",
        "callback_id": callback_id,
        "private_metadata": private,
        "title": plain(title, MAX_TITLE_CHARACTERS),
        "submit": plain(submit, MAX_TITLE_CHARACTERS),
        "close": plain("Back", MAX_TITLE_CHARACTERS),
        "clear_on_close": True,
        "blocks": list(blocks),
    }


def told(title: str, blocks: Sequence[Block]) -> dict[str, Any]:
    """Return a dialog that asks nothing: it says what came of the one before it."""
    return {
        "type": "modal",
        "title": plain(title, MAX_TITLE_CHARACTERS),
        "close": plain("Close", MAX_TITLE_CHARACTERS),
        "blocks": list(blocks),
    }


def texts(node: object) -> Iterable[str]:
    """Yield every text that a reader of these blocks sees."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in {"text", "fallback"} and isinstance(value, str):
                yield value
            else:
                yield from texts(value)
    elif isinstance(node, list):
        for item in node:
            yield from texts(item)


def fits(blocks: Sequence[Block]) -> bool:
    """Whether Slack takes these blocks in one message, by our own, narrower budget."""
    characters = sum(map(len, texts(list(blocks))))
    size = len(json.dumps(list(blocks), ensure_ascii=False, separators=(",", ":")).encode())
    return len(blocks) <= MAX_BLOCKS and characters <= MAX_TEXT_CHARACTERS and size <= MAX_BLOCK_BYTES
