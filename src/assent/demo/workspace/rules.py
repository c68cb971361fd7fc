"""What Slack takes in blocks and views, as numbers; a message that breaks one of them is refused whole.

Sources: the published limits of Block Kit, and the limits that Slack's own client library checks.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

MAX_MESSAGE_BLOCKS: Final = 50
MAX_VIEW_BLOCKS: Final = 100
MAX_VIEW_BYTES: Final = 250_000
# Not published: Slack refuses more than about this many characters over all blocks of a message.
MAX_TEXT_CHARACTERS: Final = 11_000
MAX_TITLE: Final = 24
MAX_OPTION_TEXT: Final = 75
MAX_OPTION_VALUE: Final = 150
MAX_INPUT: Final = 3_000
MAX_FIELDS: Final = 10
MAX_FIELD: Final = 2_000
MAX_PRIVATE: Final = 3_000
MAX_CALLBACK_ID: Final = 255
_LENGTHS: Final[Mapping[str, int]] = {
    "block_id": 255,
    "action_id": 255,
    "value": 2_000,
    "url": 3_000,
    "accessibility_label": 75,
}
_ELEMENTS: Final = {"actions": 25, "context": 10}
_TEXT_OF: Final = {"header": 150, "section": 3_000, "button": 75}
_BLOCKS: Final = frozenset({"header", "section", "divider", "context", "actions", "rich_text", "input", "image"})
_RICH: Final = frozenset({"rich_text_section", "rich_text_quote", "rich_text_preformatted", "rich_text_list"})
_RICH_PARTS: Final = frozenset({"text", "user", "link", "emoji", "date", "channel", "usergroup", "broadcast"})
_CONTROLS: Final = frozenset({"button", "overflow", "radio_buttons", "plain_text_input", "checkboxes", "static_select"})
_STYLES: Final = frozenset({"primary", "danger"})
_ID: Final = re.compile(r"\S(.*\S)?", re.DOTALL)


def faults_of_message(blocks: Any, *, is_update_of: Sequence[Mapping[str, Any]] | None = None) -> list[str]:  # noqa: ANN401  # what somebody sent
    """Return why Slack would refuse these blocks in a message; nothing when it would not."""
    if not isinstance(blocks, list):
        return ["blocks are a list"]
    found = list(_faults(blocks, MAX_MESSAGE_BLOCKS))
    if sum(map(len, _texts(blocks))) > MAX_TEXT_CHARACTERS:
        found.append("msg_blocks_too_long")
    if is_update_of and _has_rich_text(is_update_of) and not _has_rich_text(blocks):
        found.append("block_mismatch")
    return found


def faults_of_view(view: Any) -> list[str]:  # noqa: ANN401  # what somebody sent
    """Return why Slack would refuse a modal or a home tab; nothing when it would not."""
    if not isinstance(view, dict) or view.get("type") not in {"modal", "home"}:
        return ["a view is of type modal or home"]
    found = list(_faults(view.get("blocks"), MAX_VIEW_BLOCKS))
    if view["type"] == "modal":
        found += [f"{name} is missing" for name in ("title",) if name not in view]
        found += [
            f"{name} is too long" for name in ("title", "submit", "close") if len(_plain(view.get(name))) > MAX_TITLE
        ]
    if (
        len(str(view.get("private_metadata", ""))) > MAX_PRIVATE
        or len(str(view.get("callback_id", ""))) > MAX_CALLBACK_ID
    ):
        found.append("private_metadata or callback_id is too long")
    if len(json.dumps(view)) > MAX_VIEW_BYTES:
        found.append("view_too_large")
    return found


def _faults(blocks: Any, most: int) -> Iterator[str]:  # noqa: ANN401  # what somebody sent
    if not isinstance(blocks, list) or not blocks:
        yield "blocks are a list with something in it"
        return
    if len(blocks) > most:
        yield f"{len(blocks)} blocks, at most {most}"
    for block in blocks:
        yield from _faults_of_block(block)
    for name in ("block_id", "action_id"):
        ids = [node[name] for node in _nodes(blocks) if name in node]
        if len(ids) != len(set(ids)) and name == "block_id":
            yield f"a {name} stands there twice"


def _faults_of_block(block: Any) -> Iterator[str]:  # noqa: ANN401  # what somebody sent
    if not isinstance(block, dict) or block.get("type") not in _BLOCKS:
        yield f"no such block: {block}"
        return
    yield from _CHECKS.get(block["type"], _nothing)(block)
    for node in _nodes(block):
        yield from _faults_of_node(node)


def _faults_of_node(node: Mapping[str, Any]) -> Iterator[str]:
    for name, most in _LENGTHS.items():
        if name in node and not 0 < len(str(node[name])) <= most:
            yield f"{name} has {len(str(node[name]))} characters, at most {most}"
    kind = node.get("type")
    if kind in {"plain_text", "mrkdwn"} and not str(node.get("text", "")):
        yield "a text is empty"
    if kind == "text" and not node.get("text"):
        yield "a part of rich text is empty"
    if kind in _CONTROLS:
        yield from _faults_of_control(node)
    if "confirm" in node and isinstance(node["confirm"], dict) and node.get("type") in _CONTROLS:
        yield from _faults_of_confirm(node["confirm"])


def _faults_of_control(node: Mapping[str, Any]) -> Iterator[str]:
    if "action_id" in node and not _ID.fullmatch(str(node["action_id"])):
        yield "an action_id is blank"
    if "style" in node and node["style"] not in _STYLES:
        yield f"no such style: {node['style']}"
    if node["type"] == "button" and len(_plain(node.get("text"))) > _TEXT_OF["button"]:
        yield "the text of a button is too long"
    options = node.get("options")
    if node["type"] in {"overflow", "radio_buttons", "checkboxes"}:
        most = 5 if node["type"] == "overflow" else 10
        if not isinstance(options, list) or not 1 <= len(options) <= most:
            yield f"1 to {most} options"
        for option in options or ():
            fits = 0 < len(str(option.get("value", ""))) <= MAX_OPTION_VALUE
            if len(_plain(option.get("text"))) > MAX_OPTION_TEXT or not fits:
                yield "an option is too long"
    if node["type"] == "plain_text_input" and int(node.get("max_length", 1)) > MAX_INPUT:
        yield "max_length is beyond 3000"


def _faults_of_confirm(confirm: Mapping[str, Any]) -> Iterator[str]:
    for name, most in (("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)):
        if not 0 < len(_plain(confirm.get(name))) <= most:
            yield f"{name} of a confirmation is too long or missing"


def _nothing(_block: Mapping[str, Any]) -> Iterator[str]:
    yield from ()


def _header(block: Mapping[str, Any]) -> Iterator[str]:
    text = block.get("text")
    if (
        not isinstance(text, dict)
        or text.get("type") != "plain_text"
        or not 0 < len(_plain(text)) <= _TEXT_OF["header"]
    ):
        yield "a header holds 1 to 150 characters of plain text"


def _section(block: Mapping[str, Any]) -> Iterator[str]:
    fields = block.get("fields", [])
    if "text" not in block and not fields:
        yield "a section without text and fields"
    if len(fields) > MAX_FIELDS or any(not 0 < len(_plain(one)) <= MAX_FIELD for one in fields):
        yield "a section holds at most 10 fields of 2000 characters"
    if len(_plain(block.get("text"))) > _TEXT_OF["section"]:
        yield "the text of a section is too long"


def _row(block: Mapping[str, Any]) -> Iterator[str]:
    elements, most = block.get("elements", []), _ELEMENTS[str(block["type"])]
    if not 1 <= len(elements) <= most:
        yield f"a block of {block['type']} holds 1 to {most} elements"


def _rich_text(block: Mapping[str, Any]) -> Iterator[str]:
    elements = block.get("elements", [])
    if not elements or any(element.get("type") not in _RICH for element in elements):
        yield "rich text holds sections, quotes, lists and preformatted text"
        return
    parts = [part for element in elements for part in element.get("elements", [])]
    if any(part.get("type") not in _RICH_PARTS for part in parts if part.get("type") not in _RICH):
        yield "no such part of rich text"


def _input(block: Mapping[str, Any]) -> Iterator[str]:
    element = block.get("element")
    if not isinstance(element, dict) or element.get("type") not in _CONTROLS or not _plain(block.get("label")):
        yield "an input has a label and an element"


_CHECKS: Final[Mapping[str, Callable[[Mapping[str, Any]], Iterator[str]]]] = {
    "header": _header,
    "section": _section,
    "actions": _row,
    "context": _row,
    "rich_text": _rich_text,
    "input": _input,
}


def _plain(text: Any) -> str:  # noqa: ANN401  # what somebody sent
    return str(text.get("text", "")) if isinstance(text, dict) else ""


def _has_rich_text(blocks: Sequence[Mapping[str, Any]]) -> bool:
    return any(block.get("type") == "rich_text" for block in blocks)


def _nodes(node: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401  # what somebody sent
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _nodes(value)
    elif isinstance(node, list):
        for item in node:
            yield from _nodes(item)


def _texts(node: Any) -> Iterator[str]:  # noqa: ANN401  # what somebody sent
    for found in _nodes(node):
        if isinstance(found.get("text"), str):
            yield found["text"]
