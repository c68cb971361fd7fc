"""One table of codes: each has a row, a line in the docs, a way to make a real broker answer it, and an exit code."""

import ast
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from assent.api.problems import ERRORS, TABLE
from assent.cli.exits import Exit, exit_of
from assent.core import errors
from assent.core.reasons import Reason
from assent.core.refusals import REFUSALS, Seen
from assent.sdk.decisions import denial
from tests.api.client import Heard
from tests.api.triggers import ELSEWHERE, NOT_YET, RATE, TRIGGERS, UNHEARD, Square

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "assent"
ANSWERED = {code for code, row in TABLE.items() if row.tells}
# Where codes are listed; every other place is one that answers them.
LISTS = {SOURCE / name for name in ("core/refusals.py", "core/errors.py", "api/problems.py", "cli/exits.py")}


@pytest.fixture
async def square(tmp_path: Path) -> AsyncIterator[Square]:
    square = Square(tmp_path / "policies", RATE)
    yield square
    await square.world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has


def told(heard: Heard) -> Any:
    """Returns what an answer says the reason is: of the decision where it is one, else of the problem."""
    return heard.json["reasons"][-1] if "decision" in heard.json else heard.json


@pytest.mark.parametrize("code", TRIGGERS)
async def test_a_real_broker_answers_the_code(square: Square, code: str) -> None:
    heard = await TRIGGERS[code](square)
    answer = told(heard)
    assert answer["code"] == code, heard.body
    assert_says_the_row(code, heard)


def assert_says_the_row(code: str, heard: Heard) -> None:
    row, refusal = TABLE[code], REFUSALS.get(code)
    if "decision" in heard.json:
        assert refusal is not None
        assert (heard.status, heard.json["decision"]) == (200, "deny")
        assert told(heard)["message"].startswith(refusal.sentence)
        return
    assert (heard.status, heard.json["title"]) == (row.status, row.title)
    assert heard.headers["content-type"] == "application/problem+json"
    assert heard.json.get("next_step") == (refusal.next_step if refusal else None)


@pytest.mark.parametrize("code", TRIGGERS)
async def test_no_agent_hears_the_words_of_a_rule(square: Square, code: str) -> None:
    await TRIGGERS[code](square)
    assert [text for text in square.told_to_agents if UNHEARD in text] == []


async def test_the_words_that_no_agent_hears_are_there_to_be_heard(square: Square) -> None:
    asked = await square.asks()
    shown = await square.get(await square.operator(), f"/v1/approvals/{asked.json['approval']['id']}")
    assert UNHEARD in shown.body.decode()


def test_every_code_has_a_trigger_or_a_reason_why_not() -> None:
    assert sorted(ANSWERED - set(TRIGGERS) - set(NOT_YET) - set(ELSEWHERE)) == []
    assert sorted({*TRIGGERS, *ELSEWHERE} - ANSWERED) == []
    assert sorted(set(TRIGGERS) & set(ELSEWHERE)) == []


def test_a_code_that_waits_for_its_feature_is_answered_nowhere() -> None:
    answering = codes_in_use()
    assert "breaker_open" in answering
    assert sorted(set(NOT_YET) & (set(TRIGGERS) | answering)) == [], "it can be triggered now: give it its story"
    assert sorted(set(NOT_YET) - ANSWERED) == []


def codes_in_use() -> set[str]:
    """Returns every code that some place outside the lists names, by itself or by the error that carries it."""
    classes = {name: kind.code for name, kind in vars(errors).items() if hasattr(kind, "code")}
    trees = [ast.parse(path.read_text()) for path in SOURCE.rglob("*.py") if path not in LISTS]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    constants = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    named = {node.id for node in nodes if isinstance(node, ast.Name)}
    return constants | {code for name, code in classes.items() if name in named}


@pytest.mark.parametrize("code", sorted(ANSWERED))
def test_every_code_has_a_line_in_the_docs(code: str) -> None:
    assert f"| `{code}` | {TABLE[code].status.value} |" in (ROOT / "docs" / "refusals.md").read_text()


@pytest.mark.parametrize("code", [code for code, row in REFUSALS.items() if row.seen_by is not Seen.OPERATOR])
def test_a_model_is_told_the_sentence_and_the_next_step_of_the_table(code: str) -> None:
    refusal = REFUSALS[code]
    error = denial(code, Reason.of(code).message, tool="files.write")
    said = getattr(error, "model_message", "")
    if code in {"grant_spent", "already_executed"}:  # told with the outcome instead
        assert "was not run again" in said
        return
    assert refusal.sentence in said
    assert refusal.next_step in said
    assert ("you may ask again" in said) is refusal.agent_may_retry


@pytest.mark.parametrize("code", [code for code, row in REFUSALS.items() if row.seen_by is Seen.OPERATOR])
def test_what_operators_hear_ends_the_command_with_a_code_of_its_own(code: str) -> None:
    assert exit_of(code) is not Exit.USAGE


def test_errors_that_are_not_told_are_told_as_one_that_is() -> None:
    hidden = {code for code, row in ERRORS.items() if not row.tells}
    assert hidden
    assert {TABLE[code].status for code in hidden} == {TABLE["broker_unavailable"].status}
