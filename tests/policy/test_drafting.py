"""Drafts: types from servers, functions and asks; the narrowest rules; holes where a person must write."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from assent.core.canonical import Json
from assent.core.errors import BadRequest
from assent.policy.checking import check, sound
from assent.policy.drafting import Denial, Draft, Known, Sketch, draft, merged, of_denials, of_mcp, of_python
from assent.policy.drafting.sketches import sample, type_of
from assent.policy.trial import try_cases
from tests.policy.directory import NOW, SAMPLE, edited, load_files, write

HOSTILE = (
    "x\n- id: everything\n  tools: ['**']",
    'x", impact: read, description: "',
    "x: {impact: read}",
    "# x\u2028y\x1b[2J",
    "*",
    "&a x",
    "no",
    "1e3",
    "\u202egnp.exe",
    "",
)


@cache
def known() -> Known:
    with TemporaryDirectory() as folder:
        tools = load_files(Path(folder) / "p", SAMPLE).declared.tools
    return Known(tools=tools, agent="bot", owner="dana")


def drafted(*sketches: Sketch, denials: tuple[Denial, ...] = ()) -> Draft:
    return draft("new", merged(sketches), denials, known())


def in_place(made: Draft) -> dict[str, str]:
    """Return the directory as it is when somebody moved the draft into place and gave its role to the agent."""
    agents = SAMPLE["agents.yaml"].replace("roles: [deployer]", "roles: [deployer, new]", 1)
    return {**SAMPLE, "agents.yaml": agents, **{f"{kind}/new.yaml": text for kind, text in made.files.items()}}


def filled(made: Draft) -> dict[str, str]:
    """Return it with what only a person can know."""
    files = in_place(made)
    words = {
        "# how_bad:": "how_bad: something changes",
        "# undo:": "undo: take it back",
        "# arguments:": "arguments: {}",
    }
    for hole, word in words.items():
        files["tools/new.yaml"] = files.get("tools/new.yaml", "{}").replace(hole, word)
    return files


def errors(folder: Path, files: Mapping[str, str]) -> list[str]:
    found = check(write(folder / "p", files), NOW)
    return [finding.message for finding in found.findings if finding.severity.value == "error"]


# --- what a value, a schema and an annotation mean ---


@pytest.mark.parametrize(
    ("values", "means"),
    [
        (["a", "bb"], {"type": "string", "max_length": 64}),
        (["x" * 100], {"type": "string", "max_length": 200}),
        ([3, 5], {"type": "integer", "min": 3, "max": 5}),
        ([3, 5.5], {"type": "number", "min": 3, "max": 5.5}),
        ([True], {"type": "boolean"}),
        (["a", None], {"type": "string", "max_length": 64, "nullable": True}),
        ([[1], [2, 3]], {"type": "list", "of": {"type": "integer", "min": 1, "max": 3}, "max_length": 2}),
        ([{"a": True}, {}], {"type": "object", "fields": {"a": {"type": "boolean", "optional": True}}}),
        ([1, "a"], None),
        ([True, 1], None),
        ([None], None),
        ([[]], None),
        ([{}], None),
        ([{"a": [1, "b"]}], None),
    ],
)
def test_the_type_of_what_was_seen_is_the_narrowest(values: list[Json], means: object) -> None:
    assert type_of(values) == means


@pytest.mark.parametrize(
    ("schema", "means"),
    [
        ({"type": "string", "maxLength": 9}, {"type": "string", "max_length": 9}),
        ({"type": "integer", "minimum": 1, "maximum": 50}, {"type": "integer", "min": 1, "max": 50}),
        ({"enum": ["low", "high"]}, {"type": "string", "enum": ["low", "high"]}),
        ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": "string", "nullable": True}),
        ({"oneOf": [{"type": "boolean"}]}, {"type": "boolean"}),
        (
            {"type": "array", "items": {"type": "string"}, "maxItems": 4},
            {"type": "list", "of": {"type": "string"}, "max_length": 4},
        ),
        (
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
            {"type": "object", "fields": {"a": {"type": "string"}}},
        ),
        ({"type": "number", "maximum": 1e300, "minimum": True}, {"type": "number"}),
        ({"type": "integer", "enum": [1, True]}, {"type": "integer"}),
        ({"type": "object", "additionalProperties": True}, None),
        ({"type": "array"}, None),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, None),
        ({"type": ["string", "integer"]}, None),
        ({}, None),
        ({"$ref": "#/$defs/x"}, None),
        ({"$ref": "#/properties/a"}, None),
        ({"$ref": "other.json#/a"}, None),
        ({"$ref": 7}, None),
        ({"const": "only"}, {"type": "string", "enum": ["only"]}),
        ({"oneOf": [{"const": "add"}, {"const": "drop"}]}, {"type": "string", "enum": ["add", "drop"]}),
        (
            {"anyOf": [{"const": "add"}, {"type": "null"}]},
            {"type": "string", "enum": ["add"], "nullable": True},
        ),
        ({"oneOf": [{"const": "add"}, {"const": 2}]}, None),
    ],
)
def test_what_a_servers_schema_means_or_that_no_type_does(schema: Json, means: object) -> None:
    (sketch,) = of_mcp({"tools": [{"name": "t", "inputSchema": {"properties": {"a": schema}, "required": ["a"]}}]}, "s")
    assert sketch.arguments.get("a") == means
    assert len(sketch.notes) == (means is None)


DEFINED: Json = {
    "Color": {"type": "string", "enum": ["red", "blue"]},
    "Guest": {"type": "object", "properties": {"mail": {"type": "string"}}, "required": ["mail"]},
    "a/b": {"type": "boolean"},
    "Again": {"$ref": "#/$defs/Color"},
    "Tree": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Tree"}}},
}


@pytest.mark.parametrize(
    ("schema", "means"),
    [
        ({"$ref": "#/$defs/Color", "title": "t", "default": "red"}, {"type": "string", "enum": ["red", "blue"]}),
        (
            {"anyOf": [{"$ref": "#/$defs/Color"}, {"type": "null"}]},
            {"type": "string", "enum": ["red", "blue"], "nullable": True},
        ),
        (
            {"type": "array", "items": {"$ref": "#/$defs/Guest"}},
            {"type": "list", "of": {"type": "object", "fields": {"mail": {"type": "string"}}}},
        ),
        ({"$ref": "#/$defs/a~1b"}, {"type": "boolean"}),
        ({"$ref": "#/$defs/Color", "enum": ["red"]}, None),
        ({"$ref": "#/$defs/Again"}, None),
        ({"$ref": "#/$defs/Tree"}, None),
        ({"$ref": "#/$defs/Color/enum"}, None),
        ({"$ref": "#/$defs/None"}, None),
    ],
)
def test_a_schema_may_refer_to_definitions_beside_it(schema: Json, means: object) -> None:
    given: Json = {"$defs": DEFINED, "properties": {"a": schema}, "required": ["a"]}
    (sketch,) = of_mcp([{"name": "t", "inputSchema": given}], "s")
    assert sketch.arguments.get("a") == means
    assert len(sketch.notes) == (means is None)


def test_references_that_multiply_are_not_followed_for_ever() -> None:
    defined: dict[str, Json] = {"d0": {"type": "string"}}
    for level in range(1, 8):
        fields: dict[str, Json] = {f"f{n}": {"$ref": f"#/$defs/d{level - 1}"} for n in range(50)}
        defined[f"d{level}"] = {"type": "object", "properties": fields}
    schema: Json = {"$defs": defined, "properties": {"a": {"$ref": "#/$defs/d7"}, "b": {"type": "string"}}}
    (sketch,) = of_mcp([{"name": "t", "inputSchema": schema}], "s")
    assert set(sketch.arguments) == {"b"}


def test_moments_are_no_part_of_what_a_tool_acts_on() -> None:
    when: Json = {"type": "string", "format": "date-time"}
    given: Json = {"properties": {"room": {"type": "string"}, "start": when}, "required": ["room", "start"]}
    made = drafted(*of_mcp([{"name": "book", "inputSchema": given}], "cal"))
    assert 'resource: "cal/{room}"\n' in made.files["tools"]


def test_a_schema_without_an_end_has_one() -> None:
    nested: Json = {"type": "string"}
    for _ in range(400):
        nested = {"type": "array", "items": nested}
    (sketch,) = of_mcp([{"name": "t", "inputSchema": {"properties": {"a": nested}}}], "")
    assert sketch.arguments == {}


@pytest.mark.parametrize(
    ("annotation", "means"),
    [
        ("str", {"type": "string"}),
        ("pathlib.Path", {"type": "string"}),
        ("'int'", {"type": "integer"}),
        ("float | None", {"type": "number", "nullable": True}),
        ("Optional[bool]", {"type": "boolean", "nullable": True}),
        ("typing.Union[str, None]", {"type": "string", "nullable": True}),
        ("list[str]", {"type": "list", "of": {"type": "string"}}),
        ("Sequence[int]", {"type": "list", "of": {"type": "integer"}}),
        ("Literal['a', 'b']", {"type": "string", "enum": ["a", "b"]}),
        ("Annotated[int, Field(ge=1)]", {"type": "integer"}),
    ],
)
def test_what_an_annotation_means(tmp_path: Path, annotation: str, means: object) -> None:
    (tmp_path / "m.py").write_text(f"def f(a: {annotation}): ...\n")
    (sketch,) = of_python("m:f", tmp_path)
    assert sketch.arguments == {"a": means}
    assert sketch.notes == ()


@pytest.mark.parametrize("annotation", ["dict[str, int]", "Any", "str | int", "Literal['a', 1]", "'a b'", "list"])
def test_an_annotation_that_means_no_type_is_an_open_point(tmp_path: Path, annotation: str) -> None:
    (tmp_path / "m.py").write_text(f"def f(a: {annotation}, b): ...\n")
    (sketch,) = of_python("m:f", tmp_path)
    assert sketch.arguments == {"a": {"type": "string"}, "b": {"type": "string"}}
    assert len(sketch.notes) == 2


def test_made_up_values_fit_their_types() -> None:
    assert sample({"type": "string", "enum": ["low"]}) == "low"
    assert sample({"type": "string", "max_length": 3}) == "exa"
    assert sample({"type": "integer", "min": 5}) == 5
    assert sample({"type": "integer", "max": -5}) == -5
    assert sample({"type": "list", "of": {"type": "boolean"}}) == [False]
    assert sample({"type": "object", "fields": {"a": {"type": "string"}, "b": {"type": "x", "optional": True}}}) == {
        "a": "example"
    }


# --- functions ---

GUARDED = '''
raise SystemExit("nobody runs what is only read")

class Ops:
    @assent.guard("k8s.drain", unjudged=("client",))
    async def drain(self, client, node: str, *, force: bool = False, **rest):
        """Empty a node.

        Slowly."""

@other.decorator
def plain(a: int): ...
'''


def test_guarded_functions_are_the_tools_that_their_guards_name(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "ops.py").write_text(GUARDED)
    (sketch,) = of_python("ops", tmp_path)
    assert (sketch.name, sketch.description) == ("k8s.drain", "Empty a node")
    assert sketch.arguments == {"node": {"type": "string"}, "force": {"type": "boolean", "optional": True}}
    assert len(sketch.notes) == 1
    (other,) = of_python("src/ops.py:plain", tmp_path)
    assert (other.name, other.arguments) == ("ops.plain", {"a": {"type": "integer"}})


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("nothing", "no module"),
        ("m:absent", "no function `absent`"),
        ("m", "guards no function"),
        ("bad:f", "not Python"),
        ("bytes:f", "not Python"),
    ],
)
def test_what_is_not_there_is_told(tmp_path: Path, target: str, told: str) -> None:
    (tmp_path / "m.py").write_text("def f(): ...\n")
    (tmp_path / "bad.py").write_text("def f(:\n")
    (tmp_path / "bytes.py").write_bytes(b"\xff\xfe")
    with pytest.raises(BadRequest, match=told):
        of_python(target, tmp_path)


@pytest.mark.parametrize("answer", [None, [], {"tools": []}, {"result": {}}, [{"title": "x"}], ["x"]])
def test_what_is_no_tool_list_is_refused(answer: Json) -> None:
    with pytest.raises(BadRequest):
        of_mcp(answer, "x")


# --- asks ---


def test_asks_tell_the_arguments_of_an_unknown_tool() -> None:
    asked = [
        Denial(tool="t", code="unknown_tool", arguments={"a": "x", "n": 3}),
        Denial(tool="t", code="unknown_tool", arguments={"a": "y"}),
        Denial(tool="t", code="unknown_tool"),
        Denial(tool="other", code="unknown_tool", arguments={"b": 1}),
    ]
    sketch = of_denials("t", asked)
    assert sketch.arguments == {
        "a": {"type": "string", "max_length": 64},
        "n": {"type": "integer", "min": 3, "max": 3, "optional": True},
    }
    assert of_denials("t", asked[2:]).notes


def test_what_a_maker_declared_goes_before_what_was_seen() -> None:
    declared = Sketch(name="t", description="does it", arguments={"a": {"type": "string"}})
    seen = of_denials("t", [Denial(tool="t", code="unknown_tool", arguments={"a": 1})])
    assert merged([declared, seen])["t"].arguments == declared.arguments
    assert merged([of_denials("t", []), declared])["t"].arguments == declared.arguments


SCALE: dict[str, Json] = {"cluster": "prod-eu", "namespace": "payments", "deployment": "api", "replicas": 3}
SCALED = Denial(
    tool="k8s.scale",
    code="no_rule",
    environment="production",
    resource="prod-eu/payments/deployments/api",
    arguments=SCALE,
)


def test_a_rule_covers_what_was_asked_and_nothing_else(tmp_path: Path) -> None:
    files = in_place(drafted(denials=(SCALED,)))
    files["roles/deployer.yaml"] = """\
deployer: {description: nothing yet, owner: dana, rules: []}
reader: {description: nothing yet, owner: dana, rules: []}
"""
    policy = sound(write(tmp_path / "p", files), NOW)
    rule = policy.declared.rules["new-k8s-scale-production"]
    assert (rule.tools, rule.environments) == (("k8s.scale",), ("production",))
    assert rule.resources == ("prod-eu/payments/deployments/api",)
    assert rule.effect.value == "require_approval"
    (tried,) = try_cases(policy, NOW).tried
    assert tried.differs == ()


@pytest.mark.parametrize(
    ("resources", "pattern"),
    [
        ([f"prod-eu/payments/deployments/{name}" for name in "abcdefghijk"], "prod-eu/payments/deployments/**"),
        ([f"c{name}/payments" for name in "abcdefghijk"], "**"),
    ],
)
def test_many_resources_share_their_beginning_and_that_is_said(resources: list[str], pattern: str) -> None:
    asked = tuple(Denial(tool="k8s.scale", code="no_rule", environment="staging", resource=one) for one in resources)
    made = drafted(denials=asked)
    assert f'resources: ["{pattern}"]' in made.files["roles"]
    assert any("11 resources" in point for point in made.open_points)


def test_a_read_passes_where_it_was_asked_and_only_where_that_is_known() -> None:
    look = Denial(tool="k8s.get", code="no_rule", environment="staging")
    assert "effect: require_approval" in drafted(denials=(look,)).files["roles"]
    placed = Denial(tool="k8s.get", code="no_rule", environment="staging", resource="stg-1/a/deployments/b")
    assert "effect: allow" in drafted(denials=(placed,)).files["roles"]
    odd = Denial(tool="k8s.get", code="no_rule", environment="staging", resource="stg-1/*/deployments/b")
    assert "effect: require_approval" in drafted(denials=(odd,)).files["roles"]


def test_what_a_tool_keeps_secret_stands_in_no_draft(tmp_path: Path) -> None:
    undo = '  undo: "scale {deployment} back"'
    files = edited("tools/kubernetes.yaml", undo, f"{undo}\n  sensitive: [note]")
    catalogued = load_files(tmp_path / "p", files).declared.tools
    denial = Denial(**{**_fields(SCALED), "arguments": {**SCALE, "note": "hunter2"}})
    made = draft("new", {}, [denial], Known(tools=catalogued, agent="bot", owner="dana"))
    assert "hunter2" not in "".join(made.files.values())
    assert "tests" not in made.files


def _fields(denial: Denial) -> dict[str, Any]:
    return {name: getattr(denial, name) for name in Denial.__slots__}


# --- files ---

ISSUES: Json = [
    {
        "name": "create issue",
        "description": "Creates an issue. At once.",
        "inputSchema": {
            "properties": {"project": {"type": "string"}, "body": {"type": "string"}, "urgent": {"type": "boolean"}},
            "required": ["project", "body"],
        },
    },
    {"name": "search", "inputSchema": {"properties": {}}, "annotations": {"readOnlyHint": True}},
]


@pytest.mark.requirement("T7")
def test_a_draft_that_nobody_filled_in_does_not_load(tmp_path: Path) -> None:
    found = errors(tmp_path, in_place(drafted(*of_mcp(ISSUES, "jira"))))
    assert sorted(found) == sorted(
        f"the tool `jira.{tool}` lacks `{what}`" for tool in ("create-issue", "search") for what in ("how_bad", "undo")
    )


def test_a_draft_that_is_filled_in_loads_and_its_cases_come_out(tmp_path: Path) -> None:
    policy = sound(write(tmp_path / "p", filled(drafted(*of_mcp(ISSUES, "jira")))), NOW)
    tool = policy.declared.tools["jira.create-issue"]
    assert (tool.impact.value, tool.description) == ("destructive", "Creates an issue")
    trial = try_cases(policy, NOW)
    assert trial.failed == ()
    assert {rule.id for rule in trial.unreached}.isdisjoint({"new-jira-create-issue", "new-jira-search"})
    assert {policy.declared.rules[f"new-jira-{tool}"].effect.value for tool in ("create-issue", "search")} == {
        "require_approval"
    }


def test_an_owner_that_is_not_known_is_left_open(tmp_path: Path) -> None:
    made = draft("new", merged(of_mcp(ISSUES, "jira")), (), Known(agent="stranger"))
    assert "# owner:" in made.files["roles"]
    assert "the role `new` lacks `owner`" in errors(tmp_path, {**in_place(made)})


def test_what_the_catalogue_has_is_left_as_it_is() -> None:
    made = drafted(Sketch(name="k8s.scale"))
    assert made.files == {}
    assert made.open_points == ("k8s.scale: the catalogue has it, it is left as it is",)


@pytest.mark.requirement("T6", "T14")
@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_server_or_an_agent_says_cannot_write_a_policy(tmp_path: Path, text: str) -> None:
    server: list[Json] = [
        {"name": f"t{text}", "description": text, "inputSchema": {"properties": {"a": {"enum": [text, "b"]}, text: {}}}}
    ]
    asked = (
        Denial(tool="asked", code="unknown_tool", arguments={text: text, "b": {text: [text]}}),
        Denial(tool=text, code="unknown_tool", arguments={}),
        Denial(**{**_fields(SCALED), "resource": text, "arguments": {**SCALE, "note": text, text: 1}}),
    )
    seen = [of_denials(tool, asked) for tool in ("asked", text)]
    made = drafted(*of_mcp(server, "mcp"), *seen, Sketch(name=f"x.{text}"), denials=asked)
    files = filled(made)
    found = check(write(tmp_path / "p", files), NOW)
    assert "\n- id: everything" not in files["roles/new.yaml"]
    policy = found.policy
    rules = {} if policy is None else policy.declared.rules
    assert all(rule.effect.value == "require_approval" for key, rule in rules.items() if key.startswith("new-"))
    for name in ("tools", "roles", "tests"):
        assert all(line.isprintable() for line in made.files[name].split("\n")), name
    assert "everything" not in rules


def test_what_is_drafted_is_no_part_of_a_policy(tmp_path: Path) -> None:
    where = write(tmp_path / "p", SAMPLE)
    before = sound(where, NOW)
    (where / "drafts").mkdir()
    (where / "drafts" / "x.tools.yaml").write_text("anything: [")
    assert sound(where, NOW).version == before.version


def test_a_schema_of_a_server_is_json_and_what_is_written_is_read_back(tmp_path: Path) -> None:
    odd = {"no": {"type": "string", "enum": ["yes", "1e3", "ok"]}, "n": {"type": "integer", "maximum": 3}}
    answer = json.loads(json.dumps([{"name": "t", "inputSchema": {"properties": odd}}]))
    policy = sound(write(tmp_path / "p", filled(drafted(*of_mcp(answer, "m")))), NOW)
    arguments = policy.declared.tools["m.t"].arguments
    assert arguments["no"].enum == ("yes", "1e3", "ok")
    assert arguments["n"].high == 3
