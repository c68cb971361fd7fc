"""The OpenAPI document: complete, and true for whatever a generator makes of it."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from assent.api import ApiSettings
from tests.api.documents import operations
from tests.api.town import Town
from tests.flows.world import a_world

CHECKS: list[schemathesis.CheckFunction] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
PUBLIC = {"isAlive", "isReady", "readKeySet", "hearSlack"}  # the last one has a signature instead
EXAMPLES = 25


@pytest.fixture
async def document(town: Town) -> Any:
    heard = await town.get(None, "/openapi.json")
    assert heard.status == 200
    return heard.json


def test_every_operation_has_a_stable_id_a_summary_and_its_credential(document: Any) -> None:
    found = list(operations(document))
    ids = [operation["operationId"] for _, _, operation in found]
    assert len(ids) == len(set(ids)) >= 23
    assert [path for _, path, operation in found if not operation.get("summary")] == []
    assert {o["operationId"] for _, _, o in found if o["security"] == []} == PUBLIC
    named = {name for _, _, operation in found for scheme in operation["security"] for name in scheme}
    assert named == set(document["components"]["securitySchemes"])


def test_every_error_is_documented_as_a_problem_document(document: Any) -> None:
    wrong = [
        (path, status)
        for _, path, operation in operations(document)
        for status, answer in operation["responses"].items()
        if int(status) >= 400 and "application/problem+json" not in answer["content"]
    ]
    assert wrong == []


def test_every_reference_in_the_document_leads_somewhere(document: Any) -> None:
    schemas = document["components"]["schemas"]
    references = set(references_in(document))
    assert references
    assert {name for name in references if name.removeprefix("#/components/schemas/") not in schemas} == set()


def references_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for member in value.values():
            yield from references_in(member)
    elif isinstance(value, list):
        for item in value:
            yield from references_in(item)


def test_a_body_says_which_fields_there_are_and_that_there_are_no_others(document: Any) -> None:
    ask = document["components"]["schemas"]["AskBody"]
    assert ask["additionalProperties"] is False
    assert set(ask["required"]) == {"tool", "arguments"}


@pytest.fixture(scope="module")
def running() -> Iterator[Town]:
    with asyncio.Runner() as runner:
        world = a_world()
        yield Town(world, ApiSettings(max_waits=0, requests_per_second=1e6, requests_burst=10**6))
        runner.run(world.ledger.close())  # type: ignore[attr-defined]  # the port has no end, the store has


@pytest.fixture(scope="module")
def tokens(running: Town) -> dict[str, str]:
    async def made() -> dict[str, str]:
        return {
            "agentKey": await running.agent(),
            "serviceKey": await running.service(),
            "operatorToken": await running.operator("admin"),
        }

    return asyncio.run(made())


@pytest.mark.requirement("T12")
def test_whatever_a_generator_sends_the_answer_is_a_documented_one(running: Town, tokens: dict[str, str]) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", running.app)
    found = list(schema.get_all_operations())
    assert len(found) >= 23
    for operation in found:
        hammer(operation, tokens)


def hammer(found: Any, tokens: dict[str, str]) -> None:
    operation = found.ok()
    names = [name for scheme in operation.definition.raw["security"] for name in scheme]
    headers = {"authorization": f"Bearer {tokens[names[0]]}"} if names else {}

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(cases(operation))
    def send(case: Any) -> None:
        case.call_and_validate(headers=headers, checks=CHECKS)

    run: Callable[[], None] = send
    run()


def cases(operation: Any) -> st.SearchStrategy[Any]:
    """Return requests that fit the document, and requests that do not."""
    return st.one_of(
        operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE),
        operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE),
    )
