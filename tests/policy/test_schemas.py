"""JSON Schemas and the loader: what one takes the other takes, and what is malformed is malformed for both."""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from assent.policy.documents import plain, read_data
from assent.policy.files import Source, read_directory
from assent.policy.findings import Finding, Findings
from assent.policy.loading import declare
from assent.policy.packs import PACKS, starter
from assent.policy.schemas import schemas, written
from tests.hammers.budget import short_budget
from tests.policy import test_breakers
from tests.policy.directory import SAMPLE, write
from tests.policy.mutants import edit_field, make_mistake
from tests.policy.test_page import BLOCK, PAGE

SCHEMAS = {name: jsonschema_rs.validator_for(json.dumps(schema)) for name, schema in schemas().items()}
# What is wrong with the form of a file, and not with what it refers to or what would follow from it.
FORM = re.compile(
    r"has no field|lacks `|is not one of|must be a mapping|must be a list|must be a text|must be true or false"
    r"|must be an integer|must be a number|must be a date|must be a duration|must have between|this list is empty"
    r"|stands twice in this list|`when` must map|must be a predicate|there is no predicate|holds for nothing"
    r"|`match` must map|must map arguments|says what it holds|write `true`|only a rule with `effect|is no name"
    r"|cannot name|cannot be a rule's id|at least one person|`needs` must|say `route` or `routes`"
    r"|there is no permission"
    r"|says nothing that trips|a rate is above|write `definition_changed|stands alone|this must be between"
    r"|segments count from|cannot be negative|needs `min` or `max`|route `default` is missing|only a tool with `impact"
)
# Findings of that form that hang on something else: a file elsewhere, an order of numbers, the form of quoting.
NOT_FORM = re.compile(r"quote it|in this order|did you mean `default`|has no role: it could")


def kind_of(file: str) -> str | None:
    if not file.endswith(".yaml"):
        return None
    return file.split("/", maxsplit=1)[0].removesuffix(".yaml")


def said(file: str, text: str) -> Any:
    node = read_data(file, text.encode(), Findings())
    return None if node is None else plain(node)


def accepts(file: str, text: str) -> bool:
    kind = kind_of(file)
    return kind is None or SCHEMAS[kind].is_valid(said(file, text))


def complaints(file: str, text: str) -> list[str]:
    return [
        f"{error.instance_path}: {error.message}"
        for error in SCHEMAS[kind_of(file) or ""].iter_errors(said(file, text))
    ]


def corpus() -> Iterator[tuple[str, str]]:
    """Yield every file that the loader takes: the sample, starter and packs, and those of the page."""
    yield from SAMPLE.items()
    yield test_breakers.FILE, test_breakers.WHOLE
    for name, content in starter(tuple(PACKS)).items():
        if not name.startswith("schemas/"):
            yield name, content.decode()
    for block in BLOCK.finditer(PAGE.read_text()):
        yield block["name"], block["text"]


@pytest.mark.parametrize("file", [pytest.param(file, id=f"{file[0]} {index}") for index, file in enumerate(corpus())])
def test_the_schema_takes_what_the_loader_takes(file: tuple[str, str]) -> None:
    if kind_of(file[0]) is not None:
        assert complaints(*file) == []


def found_in(folder: Path, file: str, text: str, beside: dict[str, str]) -> list[Finding]:
    findings = Findings()
    source = read_directory(write(folder, {**beside, file: text}), findings)
    assert not findings
    declare(Source(source.files), findings)
    return [finding for finding in findings.all() if finding.place.file == file]


@pytest.mark.hammer
@pytest.mark.requirement("T6")
def test_the_schema_and_the_loader_agree_on_files_with_mistakes(tmp_path: Path) -> None:
    budget = short_budget()
    chance, tried, refused = budget.random(), 0, 0
    beside = {**SAMPLE, "tests/x.yaml": CASES, test_breakers.FILE: test_breakers.WHOLE}
    files = sorted(file for file in beside if kind_of(file) is not None)
    while budget.goes_on(tried):
        tried += 1
        file = chance.choice(files)
        text = chance.choice([make_mistake, make_mistake, edit_field])(beside[file], chance)
        if said(file, text) is None:
            continue
        found = found_in(tmp_path / "p", file, text, beside)
        form = [str(one) for one in found if FORM.search(one.message) and not NOT_FORM.search(one.message)]
        refused += bool(form)
        if not found:
            assert complaints(file, text) == [], f"the loader takes it:\n{text}"
        if form:
            assert not accepts(file, text), f"the loader says {form}:\n{text}"
    print(f"{tried} files, {refused} of them malformed")
    assert refused > tried // 10


CASES = """\
- name: one
  agent: bot
  tool: k8s.get
  arguments: {cluster: prod-eu, namespace: web, deployment: shop}
  on_behalf_of: ["operator:dana"]
  now: 2027-02-01
  expect: {decision: allow, rules: [read], reason: no_rule}
- {name: two, agent: bot, tool: k8s.get, arguments: {}, expect: {decision: deny, routes: [default, oncall]}}
"""


@pytest.mark.parametrize(
    ("file", "old", "new", "schema"),
    [
        ("roles/deployer.yaml", "- {id: read,", "- {zzz: 1, id: read,", ("roles", "rules")),
        ("tools/kubernetes.yaml", "  impact: read\n", "  impact: read\n  zzz: 1\n", ("tools",)),
        ("agents.yaml", "bot: {", "bot: {zzz: 1, ", ("agents",)),
        ("operators.yaml", "eve: {", "eve: {zzz: 1, ", ("operators",)),
        ("routes.yaml", "oncall: {", "oncall: {zzz: 1, ", ("routes",)),
        ("environments.yaml", "production: {", "production: {zzz: 1", ("environments",)),
    ],
)
def test_the_schema_names_the_fields_that_the_loader_reads(
    tmp_path: Path, file: str, old: str, new: str, schema: tuple[str, ...]
) -> None:
    text = SAMPLE[file].replace(old, new, 1)
    (message,) = [one.message for one in found_in(tmp_path / "p", file, text, SAMPLE) if "has no field" in one.message]
    known = set(re.findall(r"`(\w+)`", message.partition("it has")[2]))
    found: Any = schemas()[schema[0]]["additionalProperties"]
    for field in schema[1:]:
        found = found["properties"][field]["items"]
    assert set(found["properties"]) == known


def test_every_schema_is_one_and_says_what_its_fields_are_for() -> None:
    for name, content in written().items():
        assert name.startswith("schemas/")
        schema = json.loads(content)
        jsonschema_rs.meta.validate(schema)
        assert schema["title"]
        listed = schema.get("additionalProperties") or schema.get("items") or {}
        for field in {**schema.get("properties", {}), **listed.get("properties", {})}.values():
            assert "description" in field or "properties" in field or {"anyOf", "items", "type"} & set(field)


def test_a_seed_repeats_a_mistake() -> None:
    text = SAMPLE["roles/deployer.yaml"]
    assert make_mistake(text, random.Random(1)) == make_mistake(text, random.Random(1))
