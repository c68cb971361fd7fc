"""The page of the stand-in: the cards as somebody sees them, with buttons that work, so that anybody can be anybody.

It is drawn by the server; the one script asks whether something changed, and draws again.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Any

from assent.demo.workspace.hands import Hands
from assent.demo.workspace.state import Delivered, Message, Opened, Workspace

if TYPE_CHECKING:
    from assent.demo.workspace.server import StandIn


@cache
def _file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text()


def shown_to(stand_in: "StandIn", person: str) -> str:
    """Return the page as somebody sees it."""
    slack = stand_in.slack
    me = slack.person(person)
    people = [one for one in slack.people.values() if not one.is_bot]
    names = "".join(
        f'<a href="/?as={escape(one.id)}"{" aria-current=page" if one.id == me.id else ""}>{escape(_title(one))}</a>'
        for one in people
    )
    messages = "".join(_message(slack, message, me.id) for message in reversed(slack.seen_by(me.id)))
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Stand-in for Slack</title><style>{_file('page.css')}</style>"
        f'<body data-version="{slack.version}"><nav><strong>You are</strong>{names}</nav><main>'
        f"<h1>A stand-in for Slack: what {escape(me.name)} sees, newest first</h1>"
        f"{_lost(stand_in.delivery.log, me.id)}{messages or '<p>No card has come yet.</p>'}"
        f"{_modals(slack, me.id)}</main>"
        f"<script>{_file('page.js')}</script></body></html>"
    )


def _lost(log: Sequence[Delivered], me: str) -> str:
    """Return what Slack itself tells somebody whose last press nobody acknowledged, nothing where it was."""
    last = next((one for one in reversed(log) if one.person == me), None)
    if last is None or not last.outcome.startswith("lost"):
        return ""
    why = escape(last.outcome.partition(": ")[2])
    return f'<article class="only" role="alert">Your last press did not reach the app ({why}). Try again.</article>'


def _title(person: Any) -> str:  # noqa: ANN401  # a person of the workspace
    marks = ((person.is_guest, "guest"), (person.is_stranger, "other workspace"), (person.is_deleted, "deactivated"))
    told = ", ".join(word for holds, word in marks if holds)
    return f"{person.name} ({told})" if told else str(person.name)


def _message(slack: Workspace, message: Message, me: str) -> str:
    channel = slack.channels[message.channel]
    where = f"direct message to {channel.name}" if channel.is_direct else f"#{channel.name}"
    only = "only you see this · " if message.only_for else ""
    body = _with_names(slack, "".join(_block(block, message, me) for block in message.now.get("blocks") or ()))
    text = f"<p>{escape(str(message.now.get('text', '')))}</p>" if not body else ""
    files = "".join(
        f"<p>file: {escape(str(file['name']))}, {file['length']} bytes</p>"
        for file in slack.files.values()
        if file.get("thread") == message.ts
    )
    kind = ' class="only"' if message.only_for else ""
    return f"<article{kind} id=m{escape(message.ts)}><small>{only}{escape(where)}</small>{text}{body}{files}</article>"


def _with_names(slack: Workspace, shown: str) -> str:
    for person in slack.people.values():
        shown = shown.replace(f"@{person.id}<", f"@{escape(person.name)}<")
    return shown


def _block(block: dict[str, Any], message: Message, me: str) -> str:
    kind = block["type"]
    if kind == "header":
        return f"<h2>{escape(block['text']['text'])}</h2>"
    if kind == "section":
        fields = block.get("fields") or [block["text"]]
        return "<dl>" + "".join(f"<div>{_named(field['text'])}</div>" for field in fields) + "</dl>"
    if kind == "rich_text":
        return "".join(map(_rich, block["elements"]))
    if kind == "actions":
        return "<div>" + "".join(_control(element, message, me) for element in block["elements"]) + "</div>"
    return ""


def _named(text: str) -> str:
    name, newline, rest = text.partition("\n")
    return f"<small>{escape(name)}</small>\n{escape(rest)}" if newline else escape(name)


def _rich(element: dict[str, Any]) -> str:
    inner = "".join(map(_part, element["elements"]))
    tag = {"rich_text_preformatted": "pre", "rich_text_quote": "blockquote"}.get(element["type"], "p")
    return f"<{tag}>{inner}</{tag}>"


def _part(part: dict[str, Any]) -> str:
    if part["type"] == "user":
        return f"<strong>@{escape(part['user_id'])}</strong>"
    if part["type"] == "date":
        return escape(part["fallback"])
    text = escape(str(part.get("text", "")))
    return f"<strong>{text}</strong>" if part.get("style", {}).get("bold") else text


def _control(control: dict[str, Any], message: Message, me: str) -> str:
    hidden = _hidden(
        {"as": me, "do": "press", "channel": message.channel, "ts": message.ts, "action": control["action_id"]}
    )
    if control["type"] == "overflow":
        options = "".join(
            f'<option value="{escape(option["value"])}">{escape(option["text"]["text"])}</option>'
            for option in control["options"]
        )
        chosen = f'<select name="choose">{options}</select> <button>Go</button>'
        return f'<form method="post" action="/do">{hidden}{chosen}</form>'
    if control.get("url"):
        return f'<form action="{escape(control["url"])}"><button>{escape(control["text"]["text"])}</button></form>'
    ask = f' data-ask="{escape(control["confirm"]["text"]["text"])}"' if "confirm" in control else ""
    style = escape(str(control.get("style", "")))
    text = escape(control["text"]["text"])
    return f'<form method="post" action="/do"{ask}>{hidden}<button class="{style}">{text}</button></form>'


def _hidden(values: dict[str, str]) -> str:
    return "".join(f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in values.items())


def _modals(slack: Workspace, me: str) -> str:
    mine = [opened for opened in slack.opened.values() if opened.person == me]
    return "".join(_modal(opened, me) for opened in mine[-1:])


def _modal(opened: Opened, me: str) -> str:
    view = opened.view
    blocks = "".join(_input(block) for block in view["blocks"])
    submit = escape(view.get("submit", {}).get("text", "Send"))
    return (
        f'<dialog open><form method="post" action="/do">{_hidden({"as": me, "do": "submit"})}'
        f"<h2>{escape(view['title']['text'])}</h2>{blocks}<p><button class=primary>{submit}</button></p></form>"
        f'<form method="post" action="/do">{_hidden({"as": me, "do": "dismiss"})}<button>Back</button></form></dialog>'
    )


def _input(block: dict[str, Any]) -> str:
    if block["type"] != "input":
        texts: Iterable[str] = [block["text"]["text"]] if "text" in block else []
        return "".join(f"<p>{escape(text)}</p>" for text in texts)
    name, element = escape(block["block_id"]), block["element"]
    label = f"<label>{escape(block['label']['text'])}</label>"
    if element["type"] == "plain_text_input":
        return f'{label}<textarea name="{name}" maxlength="{element.get("max_length", 3_000)}"></textarea>'
    options = "".join(
        f'<label class=choice><input type=radio name="{name}" value="{escape(option["value"])}" required> '
        f"{escape(option['text']['text'])}</label>"
        for option in element["options"]
    )
    return label + options


async def done(hands: Hands, slack: Workspace, form: dict[str, str]) -> None:
    """Do what was pressed on the page."""
    what = form.pop("do")
    if what == "press":
        message = slack.message(form["channel"], form["ts"])
        await hands.press(message, form["action"], choose=form.get("choose"))
    elif what == "submit":
        await hands.submit(**form)
    else:
        hands.dismiss()
