"""Every naughty string at every place where an agent's words stand: all of it visible or no Approve, and no markup."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assent.core.actions import ActionState
from assent.core.canonical import canonical
from assent.core.characters import hidden_characters
from assent.demo.workspace.rules import faults_of_message, faults_of_view
from assent.slack import blocks, dialogs
from assent.slack.cards import card
from assent.slack.speaking import message
from assent.slack.telling import NO_ARGUMENTS
from tests.core.test_rendering import read_back
from tests.slack.test_cards import ENDED, OUTCOME, PENDING, check, nodes, what_runs

CASES = Path(os.environ.get("ASSENT_CASES") or Path(__file__).parents[3] / "shared/cases") / "strings/blns.json"
OURS = (
    "<!channel> <@U0EVE> <https://evil.example|click> *b* _i_ ~s~ `c` ```d``` :tada: > q\n# h\n- l",
    "a\u202eb\u2066c\u2069\u200b\u200d\ufeff\u00ad\u2060\U000e0041\U000e007f",
    "\x00\x01\x1b[31m\x7f\x85\u2028\u2029\r\n\t\v\f",
    "e\u0301" * 40 + "\u0300" * 300,
    "\U0001d573\U0001d58a \U0001f469\u200d\U0001f469\u200d\U0001f467 \u202egnp.exe \ufffd \U0010ffff",
    " " * 500 + "and more",
    "\u3164\u115f\u2800\u00a0\u2003" * 20,
    "x" * 2_799,
    "x" * 100_000,
    "\n" * 59,
    "\n" * 5_000,
    '{"approved": true}',
    "K7Q-4MX approved by eve",
    "\\u{202e} \\\\n \\n",
)


def theirs() -> tuple[str, ...]:
    if not CASES.exists():
        return ()
    found: list[str] = json.loads(CASES.read_text())
    return tuple(dict.fromkeys(found))


STRINGS = (*OURS, *theirs())
SHARES = 4


def is_json(text: str) -> bool:
    try:
        canonical({"x": text})
    except ValueError:
        return False
    return True


@pytest.mark.requirement("P3", "T3", "T13")
@pytest.mark.parametrize("share", range(SHARES))
def test_all_of_it_is_seen_or_nothing_can_be_approved(share: int) -> None:
    for text in filter(is_json, STRINGS[share::SHARES]):
        every: tuple[dict[str, Any], ...] = ({"x": text}, {"x": [text, {"y": text}]}, {"x": {text: 1}})
        for arguments in every:
            frozen = canonical(arguments)
            made = card(replace(PENDING, action=replace(PENDING.action, arguments=frozen)))
            check(made)
            assert faults_of_message(list(made.blocks)) == [], repr(text)
            whole = what_runs(made) if made.is_approvable else str(made.whole)
            assert canonical(read_back([] if whole == NO_ARGUMENTS else whole.split("\n"))) == frozen, repr(text)
            assert not hidden_characters(whole.replace("\n", "")), repr(text)


@pytest.mark.requirement("T13")
@pytest.mark.parametrize("name", ["reason", "resource", "run_id", "how_bad", "undo", "error"])
def test_wherever_words_of_an_agent_stand_they_are_inert(name: str) -> None:
    for text in STRINGS:
        changed: dict[str, Any] = {name: text}
        view = PENDING
        if name == "error":
            view = ENDED["Done, failed"]
            changed = {"outcome": replace(OUTCOME, status=ActionState.FAILED, error=text)}
        made = card(replace(view, action=replace(view.action, **changed)))
        check(made)
        assert faults_of_message(list(made.blocks)) == [], repr(text)


@pytest.mark.requirement("T13")
def test_answers_and_dialogs_hold_no_markup_either() -> None:
    for text in STRINGS:
        said = message(text or " ")
        views = (dialogs.deny("K7Q-4MX", "{}"), dialogs.trip(dialogs.scopes_of(text[:50], "t", "e"), "{}"))
        assert not [node for made in (said, *views) for node in nodes(made) if node.get("type") == "mrkdwn"]
        assert "<" not in said["text"]
        assert [fault for view in views for fault in faults_of_view(view)] == [], repr(text)


def test_no_builder_makes_markup() -> None:
    source = Path(blocks.__file__).parent
    found = [path.name for path in source.glob("*.py") if '"mrkdwn"' in path.read_text()]
    assert found == []
