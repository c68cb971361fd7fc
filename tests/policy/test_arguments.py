"""What the catalogue makes of arguments: an exact fit, derived facts, or a refusal that names what to correct."""

from pathlib import Path

import pytest

from assent.core.actions import Proposal
from assent.core.canonical import Json
from assent.core.reasons import Reason
from assent.policy import LoadedPolicy
from tests.policy.directory import SAMPLE, edited, findings_of, load_files, scale

TYPES = """\
t.types:
  description: takes one of each
  impact: read
  resource: "things/{id}"
  environment: staging
  arguments:
    id: integer
    text: {type: string, optional: true, max_length: 3}
    kind: {type: string, optional: true, enum: [a, b]}
    flag: {type: boolean, optional: true}
    size: {type: number, optional: true, min: 0, max: 1.5}
    list: {type: list, of: {type: string, max_length: 2}, optional: true, max_length: 2}
    object: {type: object, fields: {x: integer, w: {type: string, nullable: true}}, optional: true}
"""


@pytest.fixture
def policy(tmp_path: Path) -> LoadedPolicy:
    return load_files(tmp_path / "p", {**SAMPLE, "tools/types.yaml": TYPES})


def refusal(policy: LoadedPolicy, tool: str, arguments: Json) -> Reason:
    answer = policy.propose(tool, arguments)
    assert isinstance(answer, Reason), answer
    return answer


def proposal(policy: LoadedPolicy, tool: str, arguments: Json) -> Proposal:
    answer = policy.propose(tool, arguments)
    assert isinstance(answer, Proposal), answer
    return answer


def test_resource_environment_and_words_come_from_the_arguments(policy: LoadedPolicy) -> None:
    found = proposal(policy, "k8s.scale", scale(replicas=5))
    assert found.resource == "stg-1/web/deployments/shop"
    assert (found.environment, found.nonproduction) == ("staging", True)
    assert found.arguments == b'{"cluster":"stg-1","deployment":"shop","namespace":"web","replicas":5}'
    assert (found.how_bad, found.undo) == ("changes the capacity of shop to 5", "scale shop back")


def test_a_list_of_names_means_the_same_environment(policy: LoadedPolicy) -> None:
    assert proposal(policy, "k8s.scale", scale(cluster="stg-2")).environment == "staging"


@pytest.mark.requirement("P1")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "arguments are an object"),
        ({"id": 1, "extra": 2}, "`extra` is no argument"),
        ({}, "`id` is missing"),
        ({"id": True}, "`id` must be an integer"),
        ({"id": 1.5}, "`id` must be an integer"),
        ({"id": 1.0}, "`id` must be an integer"),
        ({"id": "1"}, "`id` must be an integer"),
        ({"id": None}, "`id` must be an integer"),
        ({"id": 1, "text": 5}, "`text` must be a text"),
        ({"id": 1, "text": "long"}, "`text` is longer than 3"),
        ({"id": 1, "text": None}, "`text` must be a text"),
        ({"id": 1, "kind": "c"}, "`kind` must be one of the declared values"),
        ({"id": 1, "flag": 1}, "`flag` must be a boolean"),
        ({"id": 1, "size": -0.5}, "`size` must be at least 0"),
        ({"id": 1, "size": 2}, "`size` must be at most 1.5"),
        ({"id": 1, "size": False}, "`size` must be a number"),
        ({"id": 1, "size": float("nan")}, "NaN"),
        ({"id": 1, "list": ["a", "b", "c"]}, "`list` is longer than 2"),
        ({"id": 1, "list": ["abc"]}, "`list[0]` is longer than 2"),
        ({"id": 1, "list": [1]}, "`list[0]` must be a text"),
        ({"id": 1, "list": "ab"}, "`list` must be a list"),
        ({"id": 1, "object": {"x": 1}}, "`object.w` is missing"),
        ({"id": 1, "object": {"x": 1, "w": "", "z": 2}}, "`object.z` is no argument"),
        ({"id": 1, "object": []}, "`object` must be an object"),
    ],
)
def test_arguments_fit_their_schema_exactly_or_are_refused(policy: LoadedPolicy, arguments: Json, said: str) -> None:
    reason = refusal(policy, "t.types", arguments)
    assert reason.code == "bad_arguments"
    assert said in reason.message


def test_every_type_that_fits_is_taken(policy: LoadedPolicy) -> None:
    arguments: Json = {"id": 7, "flag": True, "size": 1, "list": ["a"], "object": {"x": 0, "w": None}, "kind": "a"}
    assert proposal(policy, "t.types", arguments).resource == "things/7"


def test_a_refusal_never_quotes_a_value(policy: LoadedPolicy) -> None:
    assert "hunter2" not in refusal(policy, "t.types", {"id": "hunter2"}).message


@pytest.mark.parametrize("cluster", ["Prod-EU", "prod-eu ", "prod", "", "prod-eu/x", "stg-1\n"])
@pytest.mark.requirement("P1")
def test_a_value_that_the_table_does_not_hold_has_no_environment(policy: LoadedPolicy, cluster: str) -> None:
    assert refusal(policy, "k8s.scale", scale(cluster=cluster)).code in {"environment_unknown", "not_canonical"}


SEGMENTS = """\
f.write:
  description: write
  impact: write
  resource: "{path}"
  environment: {from: path, segment: 1, match: {prod: production, stg: staging}}
  arguments: {path: string}
  how_bad: it is replaced
  undo: write it back
"""


def test_an_environment_may_be_one_segment_of_a_path(tmp_path: Path) -> None:
    policy = load_files(tmp_path / "p", {**SAMPLE, "tools/f.yaml": SEGMENTS})
    assert proposal(policy, "f.write", {"path": "x/prod/y"}).environment == "production"
    assert proposal(policy, "f.write", {"path": "x/stg"}).environment == "staging"
    assert refusal(policy, "f.write", {"path": "x"}).code == "environment_unknown"
    assert refusal(policy, "f.write", {"path": "prod/x"}).code == "environment_unknown"


def test_an_environment_may_be_constant(policy: LoadedPolicy) -> None:
    assert proposal(policy, "t.types", {"id": 1}).environment == "staging"


def test_a_pattern_for_a_changing_tool_needs_a_reason(tmp_path: Path) -> None:
    wild = {**SAMPLE, "tools/f.yaml": SEGMENTS.replace("stg: staging", '"stg*": staging')}
    assert any("unsafe_pattern" in finding for finding in findings_of(tmp_path / "p", wild))
    said = wild["tools/f.yaml"].replace("segment: 1,", "segment: 1, unsafe_pattern: many test clusters,")
    policy = load_files(tmp_path / "q", {**SAMPLE, "tools/f.yaml": said})
    assert proposal(policy, "f.write", {"path": "x/stg-77/y"}).environment == "staging"


def test_patterns_that_disagree_name_no_environment(tmp_path: Path) -> None:
    both = '"*-eu": production, "stg-*": staging'
    text = SEGMENTS.replace("prod: production, stg: staging", both).replace(
        "segment: 1,", "segment: 1, unsafe_pattern: why,"
    )
    policy = load_files(tmp_path / "p", {**SAMPLE, "tools/f.yaml": text})
    assert refusal(policy, "f.write", {"path": "x/stg-eu"}).code == "environment_unknown"


def test_a_value_cannot_bring_segments_into_a_resource(policy: LoadedPolicy) -> None:
    reason = refusal(policy, "k8s.scale", scale(namespace="web/deployments/other"))
    assert reason.code == "not_canonical"
    assert "one segment" in reason.message


def test_a_declared_path_may_be_the_end_of_a_resource(tmp_path: Path) -> None:
    text = SEGMENTS.replace('"{path}"', '"disk/{path}"').replace("path: string", "path: {type: string, path: true}")
    policy = load_files(tmp_path / "p", {**SAMPLE, "tools/f.yaml": text})
    assert proposal(policy, "f.write", {"path": "x/prod/y"}).resource == "disk/x/prod/y"


def test_a_sensitive_value_is_not_quoted_when_its_spelling_is_refused(tmp_path: Path) -> None:
    files = edited("tools/kubernetes.yaml", '  how_bad: "changes', '  sensitive: [note]\n  how_bad: "changes')
    rule = "- {id: noted, tools: [k8s.scale], environments: [staging], when: {note: {prefix: ok}}, effect: deny}\n    "
    files["roles/deployer.yaml"] = files["roles/deployer.yaml"].replace("- {id: read,", f"{rule}- {{id: read,")
    policy = load_files(tmp_path / "p", files)
    reason = refusal(policy, "k8s.scale", scale(note="hunter2\u200b"))
    assert reason.code == "not_canonical"
    assert "hunter2" not in reason.message


def test_a_hidden_character_in_a_template_is_made_visible(tmp_path: Path) -> None:
    text = SEGMENTS.replace("it is replaced", '"{path}: {words}"').replace(
        "path: string", "path: string, words: string"
    )
    policy = load_files(tmp_path / "p", {**SAMPLE, "tools/f.yaml": text})
    assert proposal(policy, "f.write", {"path": "x/stg", "words": "a\u202eb"}).how_bad == "x/stg: a\\u{202e}b"


def test_a_resource_that_is_too_long_is_refused(policy: LoadedPolicy) -> None:
    assert refusal(policy, "k8s.scale", scale(deployment="a" * 5_000)).message.endswith("it is too long")


def test_a_misspelled_item_of_a_list_is_refused(tmp_path: Path) -> None:
    text = SEGMENTS.replace("path: string", "path: string, cc: {type: list, of: string, optional: true}")
    when = "{cc: [{absent: true}, {each: {domain: acme.example}}]}"
    rule = f"{{id: cc, tools: [f.write], environments: [staging], when: {when}, effect: allow}}"
    role = f"cc:\n  description: d\n  owner: dana\n  rules:\n    - {rule}\n"
    policy = load_files(tmp_path / "p", {**SAMPLE, "tools/f.yaml": text, "roles/cc.yaml": role})
    assert proposal(policy, "f.write", {"path": "x/stg", "cc": ["a@acme.example"]}).environment == "staging"
    assert refusal(policy, "f.write", {"path": "x/stg", "cc": ["a@acme.example", "b\u200b@x"]}).code == "not_canonical"
