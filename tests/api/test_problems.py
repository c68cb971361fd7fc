"""One table says how every error and refusal is answered, and no answer says more than was written for its reader."""

import ast
import inspect
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

import assent
from assent.api import problems
from assent.core.errors import AssentError, Forged, HeldNotDurable, LedgerUnavailable
from assent.core.reasons import Reason
from assent.core.refusals import REFUSALS
from tests.api.client import call
from tests.api.town import Town
from tests.flows.world import a_world

SOURCE = Path(str(assent.__file__)).parent
# The SDK's and the CLI's own errors never meet the API.
BROKER_SIDE = ("core", "flows", "policy", "stores", "api", "wire")
CONTRACT = {
    "grant_spent": 409,
    "grant_expired": 409,
    "digest_mismatch": 409,
    "breaker_open": 409,
    "agent_suspended": 409,
    "rule_denied": 409,
    "definition_changed": 409,
    "attempt_mismatch": 409,
    "outcome_conflict": 409,
    "already_decided": 409,
    "digest_changed": 409,
    "not_eligible": 403,
    "step_up_required": 403,
    "approval_expired": 410,
    "idempotency_conflict": 422,
    "rate_limited": 429,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "bad_json": 400,
    "bad_request": 400,
    "payload_too_large": 413,
    "unsupported_media_type": 415,
    "broker_unavailable": 503,
    "held_not_durable": 503,
}


def broker_side_codes() -> set[str]:
    """Return every class-level `code = "…"` in the broker's source."""
    return {
        statement.value.value
        for folder in BROKER_SIDE
        for path in (SOURCE / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        for statement in node.body
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        and ast.unparse(statement.targets[0] if isinstance(statement, ast.Assign) else statement.target) == "code"
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    }


def test_every_error_of_the_broker_and_every_refusal_has_a_row() -> None:
    codes = broker_side_codes()
    assert {"bad_json", "row_forged", "error"} <= codes
    assert codes - set(problems.TABLE) == set()
    assert set(REFUSALS) - set(problems.TABLE) == set()


@pytest.mark.parametrize(("code", "status"), CONTRACT.items())
def test_the_statuses_are_those_of_the_contract(code: str, status: int) -> None:
    assert problems.TABLE[code].status == status


def test_every_row_has_a_title_in_the_style_of_messages() -> None:
    titles = [row.title for row in problems.TABLE.values()]
    assert [title for title in titles if not title or title.endswith(".")] == []


@pytest.mark.requirement("P1")
def test_a_code_that_nobody_thought_of_is_answered_as_no_decision() -> None:
    class Unheard(AssentError):
        code = "unheard_of"

    assert problems.of_error(Unheard("a secret")).code == "broker_unavailable"
    assert problems.of_refusal(Reason("unheard_of", "no")).status == 503


@pytest.mark.parametrize("error", [Forged("row 7 of approvals"), LedgerUnavailable("/var/ledger.db: EIO")])
def test_what_the_store_says_stays_inside(error: AssentError) -> None:
    problem = problems.of_error(error)
    assert (problem.status, problem.code, problem.retry_after) == (503, "broker_unavailable", 1)
    assert error.message not in str(problem)


def test_a_trip_that_holds_in_memory_only_says_exactly_that() -> None:
    assert problems.of_error(HeldNotDurable("held here only")).code == "held_not_durable"


async def test_what_the_framework_refuses_is_a_problem_document_too(town: Town) -> None:
    token = await town.agent()
    missing = await town.get(token, "/v2/nothing")
    wrong_method = await call(town.app, "DELETE", "/v1/actions")
    slash = await town.get(token, "/v1/me/")
    query = await town.get(token, "/v1/actions?state=pending")
    path = await town.get(token, "/v1/actions/" + "x" * 300)
    assert [(h.status, h.code) for h in (missing, wrong_method, slash, query, path)] == [
        (404, "not_found"),
        (405, "method_not_allowed"),
        (404, "not_found"),
        (400, "bad_request"),
        (404, "not_found"),
    ]


@pytest.mark.requirement("P9", "T12")
async def test_a_failure_that_nobody_foresaw_is_logged_without_payload_and_answered_503(town: Town) -> None:
    key = await town.agent()
    town.world.policy = BrokenPolicy()  # type: ignore[assignment]  # it breaks whatever is asked of it
    with structlog.testing.capture_logs() as events:
        heard = await town.post(key, "/v1/actions", {"tool": "files.read", "arguments": {"path": "canary-7"}})
        other = await town.get(key, "/v1/me")
    assert [(h.status, h.code) for h in (heard, other)] == [(503, "broker_unavailable")] * 2
    assert heard.headers["retry-after"] == "1"
    assert [event["event"] for event in events] == ["request_failed"] * 2
    assert events[0]["incident"] == heard.json["incident"]
    assert "canary" not in str(events) + str(heard.body)


class BrokenPolicy:
    """A policy that fails in a way nobody foresaw, and quotes what it was given."""

    version = "broken"

    def __getattr__(self, name: str) -> object:
        def fail(*given: object) -> object:
            raise ZeroDivisionError(f"canary {given}")

        return fail


@pytest.mark.requirement("P2", "T5")
async def test_a_ledger_that_is_gone_decides_nothing_and_is_told_without_its_words() -> None:
    world = a_world()
    town = Town(world)
    key = await town.agent()
    await world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has
    with structlog.testing.capture_logs() as events:
        heard = await town.post(key, "/v1/actions", {"tool": "files.read", "arguments": {"env": "staging"}})
    assert (heard.status, heard.code) == (503, "broker_unavailable")
    assert heard.json["detail"] == REFUSALS["broker_unavailable"].sentence
    assert [event["event"] for event in events] == ["not_decided"]


def test_a_problem_can_only_say_what_the_wire_knows() -> None:
    parameters = inspect.signature(replace(problems.of_refusal(Reason.of("not_eligible"))).__class__).parameters
    assert {"type", "title", "status", "detail", "code"} <= set(parameters)
