"""Commands: the argument vector follows from definition and arguments, and no value turns into an option."""

from pathlib import Path

import pytest

from assent.core.actions import Proposal, action_digest
from assent.core.canonical import Json
from assent.core.reasons import Reason
from assent.policy import LoadedPolicy
from tests.policy.directory import SAMPLE, findings_of, load_files

COMMAND = '[kubectl, scale, "--context={cluster}", "{deployment}", "--replicas={replicas}"]'


def tool(command: str) -> dict[str, str]:
    text = f"""\
k8s.run:
  description: scale with kubectl
  impact: write
  resource: "{{cluster}}/{{deployment}}"
  environment: {{from: cluster, match: {{stg-1: staging}}}}
  arguments:
    cluster: string
    deployment: string
    replicas: integer
    note: {{type: string, optional: true}}
    token: {{type: string, max_length: 50, opaque: true}}
  sensitive: [token]
  how_bad: capacity
  undo: scale back
  command: {command}
"""
    return {**SAMPLE, "tools/run.yaml": text}


def arguments(**changes: Json) -> dict[str, Json]:
    return {"cluster": "stg-1", "deployment": "web", "replicas": 3, "token": "hunter2", **changes}


def answer(policy: LoadedPolicy, **changes: Json) -> Proposal | Reason:
    return policy.propose("k8s.run", arguments(**changes))


def proposal(policy: LoadedPolicy, **changes: Json) -> Proposal:
    found = answer(policy, **changes)
    assert isinstance(found, Proposal), found
    return found


@pytest.mark.requirement("P3")
def test_what_runs_is_built_from_the_judged_arguments(tmp_path: Path) -> None:
    policy = load_files(tmp_path / "p", tool(COMMAND))
    found = proposal(policy, replicas=5)
    assert found.command == ("kubectl", "scale", "--context=stg-1", "web", "--replicas=5")


@pytest.mark.requirement("P3")
def test_another_command_is_another_digest(tmp_path: Path) -> None:
    digests = []
    for name, command in {"p": COMMAND, "q": COMMAND.replace("scale", "autoscale")}.items():
        found = proposal(load_files(tmp_path / name, tool(command)))
        digests.append(action_digest(agent="bot", proposal=found, nonce=b"n"))
    assert digests[0] != digests[1]


@pytest.mark.parametrize("value", ["-A", "--all", "-"])
def test_a_value_that_a_program_would_take_for_an_option_is_refused(tmp_path: Path, value: str) -> None:
    found = answer(load_files(tmp_path / "p", tool(COMMAND)), deployment=value)
    assert isinstance(found, Reason)
    assert found.code == "not_canonical"
    assert "option" in found.message


def test_behind_the_end_of_options_a_value_may_begin_as_it_likes(tmp_path: Path) -> None:
    policy = load_files(tmp_path / "p", tool('[rm, "--", "{deployment}"]'))
    assert proposal(policy, deployment="-A").command == ("rm", "--", "-A")


def test_a_value_inside_an_element_may_begin_as_it_likes(tmp_path: Path) -> None:
    policy = load_files(tmp_path / "p", tool('[run, "--count={replicas}", "x{replicas}"]'))
    assert proposal(policy, replicas=-3).command == ("run", "--count=-3", "x-3")
    refused = answer(load_files(tmp_path / "q", tool('[run, "{replicas}"]')), replicas=-3)
    assert isinstance(refused, Reason)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("[]", "must be a list: the program"),
        ("kubectl", "must be a list: the program"),
        ('["{deployment}", x]', "the program must be written out"),
        ('[kubectl, "{token}"]', "`token` is no required scalar"),
        ('[kubectl, "{note}"]', "`note` is no required scalar"),
        ('[kubectl, "{nothing}"]', "`nothing` is no required scalar"),
        ('[kubectl, "{deployment"]', "belongs to no"),
        ("[kubectl, 5]", "must be a text"),
        ('[kubectl, ""]', "between 1 and"),
    ],
)
def test_a_command_that_could_mean_something_else_is_refused(tmp_path: Path, command: str, said: str) -> None:
    found = findings_of(tmp_path / "p", tool(command))
    assert any(said in line for line in found), found


ARGV = """\
host.run:
  description: any program
  impact: destructive
  resource: host/programs
  environment: staging
  arguments: {argv: {type: list, max_length: 9, of: {type: string, unicode: true, max_length: 100}}}
  command: argv
  how_bad: anything
  undo: nothing
"""
LOOSE = [
    ("{argv: {type: list, max_length: 9,", "{host: string, argv: {type: list, max_length: 9,"),
    ("{argv: {type: list, max_length: 9,", "{words: {type: list, max_length: 9,"),
    ("{argv: {type: list,", "{argv: {type: list, optional: true,"),
    ("{argv: {type: list,", "{argv: {type: list, nullable: true,"),
    ("of: {type: string, unicode: true,", "of: {type: string, nullable: true,"),
    ("of: {type: string, unicode: true, max_length: 100}", "of: integer"),
    ("  command: argv\n", "  sensitive: [argv]\n  command: argv\n"),
]


@pytest.mark.requirement("P3")
def test_a_vector_that_is_judged_itself_is_what_runs(tmp_path: Path) -> None:
    policy = load_files(tmp_path / "p", {**SAMPLE, "tools/host.yaml": ARGV})
    found = policy.propose("host.run", {"argv": ["ls", "-l", "{a}", "größe", ""]})
    assert isinstance(found, Proposal), found
    assert found.command == ("ls", "-l", "{a}", "größe", "")


@pytest.mark.parametrize("argv", [[], [""], ["", "ls"], ["ls", "a\x00b"]])
def test_a_vector_that_no_program_could_be_given_is_refused(tmp_path: Path, argv: list[Json]) -> None:
    policy = load_files(tmp_path / "p", {**SAMPLE, "tools/host.yaml": ARGV})
    found = policy.propose("host.run", {"argv": argv})
    assert isinstance(found, Reason), found
    assert found.code == "not_canonical"


@pytest.mark.requirement("P3")
@pytest.mark.parametrize(("old", "new"), LOOSE)
def test_nothing_beside_the_vector_is_judged(tmp_path: Path, old: str, new: str) -> None:
    assert old in ARGV
    found = findings_of(tmp_path / "p", {**SAMPLE, "tools/host.yaml": ARGV.replace(old, new)})
    assert any("with `argv` the tool takes `argv: {type: list, of: string}` and nothing else" in line for line in found)


def test_a_vector_that_only_reads_says_why(tmp_path: Path) -> None:
    reads = ARGV.replace("destructive", "read").replace("  how_bad: anything\n  undo: nothing\n", "")
    found = findings_of(tmp_path / "p", {**SAMPLE, "tools/host.yaml": reads})
    assert any("what `argv` holds may do more than read" in line for line in found), found


def test_a_sensitive_argument_that_changes_nothing_is_told_apart(tmp_path: Path) -> None:
    found = proposal(load_files(tmp_path / "p", tool(COMMAND)))
    assert (found.sensitive, found.opaque) == (("token",), ("token",))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  sensitive: [token]\n", "", "`token` is opaque, so it must be sensitive"),
        ("max_length: 50, opaque", "opaque", "a text with a `max_length`"),
        ("{type: string, max_length: 50, opaque: true}", "{type: integer, opaque: true}", "a text with a `max_length`"),
        (
            "note: {type: string, optional: true}",
            "note: {type: list, of: {type: string, max_length: 5, opaque: true}}",
            "what `note` holds cannot be opaque",
        ),
    ],
)
def test_what_nobody_will_see_is_declared_in_full(tmp_path: Path, old: str, new: str, said: str) -> None:
    files = tool(COMMAND)
    assert old in files["tools/run.yaml"]
    files["tools/run.yaml"] = files["tools/run.yaml"].replace(old, new)
    found = findings_of(tmp_path / "p", files)
    assert any(said in line for line in found), found


def test_no_rule_looks_at_what_is_opaque(tmp_path: Path) -> None:
    files = tool(COMMAND)
    rule = "- {id: seen, tools: [k8s.run], environments: [staging], when: {token: {prefix: a}}, effect: allow}\n    "
    files["roles/deployer.yaml"] = files["roles/deployer.yaml"].replace("- {id: read,", f"{rule}- {{id: read,")
    assert any("`token` is opaque" in line for line in findings_of(tmp_path / "p", files))
