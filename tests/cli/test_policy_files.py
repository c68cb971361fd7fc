"""`assent policy` over files: what is wrong and where, cases with coverage, explanations, documents, diffs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from assent.cli.exits import Exit
from tests.cli.conftest import Shell
from tests.policy.directory import SAMPLE, edited, write
from tests.policy.edits import WIDENS
from tests.policy.test_trial import ASKS

ROLE = "roles/deployer.yaml"


def directory(folder: Path, files: dict[str, str] | None = None) -> str:
    return str(write(folder / "p", {**(files or SAMPLE), "tests/x.yaml": ASKS}))


def test_findings_stand_one_in_a_line_with_their_place_and_end_with_1(shell: Shell, tmp_path: Path) -> None:
    where = directory(tmp_path, edited(ROLE, "effect: deny\n      reason", "effect: denny\n      reason"))
    said = shell("policy", "check", where)
    assert said.code == Exit.FINDINGS
    first, last = said.out.splitlines()
    assert first == (
        f"{where}/{ROLE}:19:15: error: `denny` is not one of `allow`, `deny`, `require_approval`, did you mean `deny`"
    )
    assert last.startswith(f"{where}: 1 error, 0 pieces of advice, version ")


def test_advice_ends_with_1_only_where_it_is_asked_to(shell: Shell, tmp_path: Path) -> None:
    where = directory(tmp_path)
    said = shell("policy", "check", where)
    assert said.code == Exit.DONE
    assert f"{where}/agents.yaml:5:1: advice: `gone` expired on 2026-03-31" in said.out
    assert shell("policy", "check", where, "--strict").code == Exit.FINDINGS


def test_findings_for_programs_hold_the_same(shell: Shell, tmp_path: Path) -> None:
    where = directory(tmp_path, edited("agents.yaml", "bot: {owner: dana", "bot: {owner: dan"))
    found = json.loads(shell("policy", "check", where, "--json").out)
    assert (found["directory"], found["errors"]) == (where, 1)
    (error,) = [finding for finding in found["findings"] if finding["severity"] == "error"]
    assert error == {
        "file": "agents.yaml",
        "line": 1,
        "column": 14,
        "severity": "error",
        "message": "there is no operator `dan`, did you mean `dana`",
    }


def test_without_a_directory_the_one_here_is_looked_at(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert shell("policy", "check").code == Exit.USAGE
    write(tmp_path / "policies", {**SAMPLE, "tests/x.yaml": ASKS})
    assert shell("policy", "check").out.splitlines()[-1].startswith("policies: 0 errors")
    (tmp_path / "assent.toml").write_text('policy_directory = "policies"\n')
    assert "0 errors" in shell("policy", "check").out


def test_cases_come_out_and_rules_that_none_meets_are_named(shell: Shell, tmp_path: Path) -> None:
    where = directory(tmp_path)
    said = shell("policy", "test", where)
    assert said.code == Exit.DONE
    assert said.out.splitlines()[0] == "1 of 1 case came out; they met 1 of 7 rules"
    assert f"  no case meets `read` ({where}/{ROLE}:6)" in said.out
    assert shell("policy", "test", where, "--every-rule").code == Exit.FINDINGS


def test_a_case_that_differs_is_told_with_its_place_and_ends_with_1(shell: Shell, tmp_path: Path) -> None:
    where = directory(tmp_path)
    (Path(where) / "tests/x.yaml").write_text(ASKS.replace("route: oncall", "route: default"))
    said = shell("policy", "test", where)
    assert said.code == Exit.FINDINGS
    assert said.out.startswith(f"{where}/tests/x.yaml:1:3: scaling payments asks\n  expected to ask on `default`")
    found = json.loads(shell("policy", "test", where, "--json").out)
    assert (found["failed"], found["cases"][0]["differs"]) == (1, ["expected to ask on `default`, asks on `oncall`"])


def test_cases_of_an_unsound_directory_are_not_asked(shell: Shell, tmp_path: Path) -> None:
    said = shell("policy", "test", directory(tmp_path, edited("agents.yaml", "owner: dana", "owner: dan")))
    assert said.code == Exit.FINDINGS
    assert "there is no operator `dan`" in said.err


SCALE = ("cluster=stg-1", "namespace=web", "deployment=shop")


def test_a_denial_is_explained_from_files(shell: Shell, tmp_path: Path) -> None:
    said = shell("policy", "explain", "bot", "k8s.scale", *SCALE, "replicas=30", "--policies", directory(tmp_path))
    assert said.code == Exit.DONE
    whole = said.out.replace("\n  | ", "")
    assert whole.startswith("denied: no rule allows this action (no_rule)\n")
    assert "no rule matches; the nearest:\n  scale-stg (deployer, roles/deployer.yaml:7:7) allows `k8s.scale`" in whole
    assert "but `replicas` is `30`, and it must be at most `20`" in whole


def test_a_question_is_explained_with_whom_it_would_reach(shell: Shell, tmp_path: Path) -> None:
    arguments = ("cluster=prod-eu", "namespace=payments", "deployment=shop", "replicas=3")
    said = shell("policy", "explain", "bot", "k8s.scale", *arguments, "--policies", directory(tmp_path))
    whole = said.out.replace("\n  | ", "")
    assert whole.startswith("a human is asked\n")
    assert "asked on `oncall`: 2 of `oncall`, by `console` or surer, within 10 min; may answer: `eve`, `fay`" in whole
    assert "how bad: changes the capacity of shop to 3" in whole


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (('{"cluster": "stg-1", "namespace": "web", "deployment": "shop", "replicas": 3}',), "allow"),
        ((*SCALE, "replicas=3", "note=null"), "allow"),
        ((*SCALE, 'replicas="3"'), "bad_arguments"),
        ((*SCALE, "replicas=three"), "bad_arguments"),
    ],
)
def test_arguments_are_words_or_one_object(shell: Shell, tmp_path: Path, given: tuple[str, ...], code: str) -> None:
    said = shell("policy", "explain", "bot", "k8s.scale", *given, "--policies", directory(tmp_path), "--json")
    found = json.loads(said.out)
    assert code in {found["decision"], *(reason["code"] for reason in found["reasons"])}


@pytest.mark.parametrize("given", [("replicas",), ("=3",), ("a=1", "a=2"), ('{"a": 1', "x=2")])
def test_arguments_that_are_neither_are_a_mistake_of_use(shell: Shell, tmp_path: Path, given: tuple[str, ...]) -> None:
    said = shell("policy", "explain", "bot", "k8s.scale", *given, "--policies", directory(tmp_path))
    assert said.code == Exit.USAGE


def test_a_directory_is_written_out_for_people_and_for_casbin(shell: Shell, tmp_path: Path) -> None:
    where = directory(tmp_path)
    assert shell("policy", "show", where).out.startswith("# Access policy\n")
    assert "### viewer" not in shell("policy", "show", where, "--agent", "bot").out
    assert "p, read, deployer, k8s.get*, *, **, allow" in shell("policy", "show", where, "--format", "casbin").out
    assert shell("policy", "show", where, "--agent", "bott").code == Exit.USAGE
    assert shell("policy", "show", where, "--agent", "bot", "--role", "reader").code == Exit.USAGE


def test_a_diff_says_what_widens(shell: Shell, tmp_path: Path) -> None:
    old = str(write(tmp_path / "old", SAMPLE))
    new = str(write(tmp_path / "new", WIDENS[5].files()))
    assert shell("policy", "diff", old, new).out.startswith("widens:\n  rule scale-stg: now allows `k8s.scale`"[:30])
    assert shell("policy", "diff", old, old).out == "no privilege changes\n"
    (change,) = json.loads(shell("policy", "diff", old, new, "--json").out)["changes"]
    assert (change["direction"], change["about"]) == ("widens", "rule scale-stg")


def test_schemas_are_written_beside_the_policy_and_read_by_no_broker(shell: Shell, tmp_path: Path) -> None:
    where = directory(tmp_path)
    before = json.loads(shell("policy", "check", where, "--json").out)["version"]
    assert f"{where}/schemas/roles.json" in shell("policy", "schema", where).out
    assert json.loads((Path(where) / "schemas/roles.json").read_text())["title"].startswith("Roles")
    assert json.loads(shell("policy", "check", where, "--json").out)["version"] == before
    assert shell("policy", "schema", f"{where}/nowhere").code == Exit.USAGE


@pytest.mark.parametrize("command", [("check",), ("test",), ("show",), ("explain", "bot", "k8s.get", "--policies")])
def test_files_are_looked_at_without_what_a_server_needs(tmp_path: Path, command: tuple[str, ...]) -> None:
    where = directory(tmp_path)
    absent = ("starlette", "fastapi", "pydantic_settings", "structlog", "uvicorn")
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({absent!r}))\n"
        f"sys.argv = ['assent', 'policy', *{command!r}, {where!r}]\n"
        "from assent.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_of_every_route_it_says_whom_it_wakes(shell: Shell, tmp_path: Path) -> None:
    steps = "steps: [{tell: [slack:C0PROD, dm:oncall:primary]}, {after: 4m, tell: [dm:oncall@S0DUTY]}]"
    where = directory(tmp_path, edited("routes.yaml", "of: oncall}]}\noncall", f"of: oncall}}], {steps}}}\noncall"))
    said = shell("policy", "check", where)
    assert said.code == 0
    assert [line for line in said.out.splitlines() if line.startswith("route ")] == [
        "route `default` tells 1 person (eve) and slack:C0PROD",
        "route `oncall` tells nobody: people look by themselves",
    ]
    assert json.loads(shell("policy", "check", where, "--json").out)["routes"] == [
        {"route": "default", "people": ["eve"], "places": ["slack:C0PROD"]},
        {"route": "oncall", "people": [], "places": []},
    ]
