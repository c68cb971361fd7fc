"""The packs: each loads alone and with all others beside the starter, and decides what is written down for it."""

import re
import subprocess
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from textwrap import dedent, indent

import pytest

from assent.core.decisions import Effect
from assent.policy import LoadedPolicy, checking
from assent.policy.declared import Declared
from assent.policy.files import Source
from assent.policy.findings import Findings
from assent.policy.loading import declare
from assent.policy.packs import PACKS, pack, starter
from assent.policy.rules import ANY, covered
from tests.policy.directory import NOW, load_files, write
from tests.policy.test_cases import check

PAGES = Path(__file__).parents[2] / "docs" / "packs"
TOGETHER = tuple(PACKS)
# Says what an undo goes back to; nothing is done with it.
ONLY_SHOWN = {("k8s.set_image", "current_image")}
SHELL = re.compile(r"^ *```sh\n(?P<script>.*?)^ *```", re.DOTALL | re.MULTILINE)
RULES = re.compile(r"^ *```yaml\n(?P<rules> *- .*?)^ *```", re.DOTALL | re.MULTILINE)
TOOL = re.compile(r"`([a-z0-9]+\.[a-z0-9_.]+)`")


def as_text(packs: tuple[str, ...]) -> dict[str, str]:
    return {name: content.decode() for name, content in starter(packs).items()}


def declared_by(texts: Mapping[str, str]) -> Declared:
    """Return what files declare, which must hold no finding."""
    findings = Findings()
    declared = declare(Source({name: text.encode() for name, text in sorted(texts.items())}), findings)
    assert findings.lines() == ()
    return declared


@pytest.fixture(scope="module")
def all_of_them(tmp_path_factory: pytest.TempPathFactory) -> LoadedPolicy:
    return load_files(tmp_path_factory.mktemp("packs") / "p", as_text(TOGETHER))


def test_every_folder_of_packs_is_one_that_can_be_asked_for() -> None:
    folders = {entry.name for entry in files("assent.policy.packs").iterdir() if entry.is_dir()}
    assert folders - {"starter", "__pycache__"} == set(PACKS)


@pytest.mark.parametrize("name", PACKS)
def test_a_pack_has_its_own_tools_roles_cases_and_agents(name: str) -> None:
    assert set(pack(name)) == {"agents.yaml", *(f"{folder}/{name}.yaml" for folder in ("tools", "roles", "tests"))}
    assert not (set(pack(name)) - {"agents.yaml"}) & set(starter())


@pytest.mark.requirement("P1")
@pytest.mark.parametrize("name", PACKS)
def test_a_pack_alone_decides_what_its_cases_say(name: str, tmp_path: Path) -> None:
    policy = load_files(tmp_path / "p", as_text((name,)))
    assert sum(case.place.file == f"tests/{name}.yaml" for case in policy.cases) >= 10
    for case in policy.cases:
        check(policy, case)


@pytest.mark.requirement("P1")
def test_all_packs_together_decide_what_their_cases_say(all_of_them: LoadedPolicy) -> None:
    for case in all_of_them.cases:
        check(all_of_them, case)


@pytest.mark.parametrize("packs", [*((name,) for name in PACKS), TOGETHER], ids="+".join)
def test_a_reviewer_is_told_nothing_about_a_pack_but_what_is_meant(packs: tuple[str, ...], tmp_path: Path) -> None:
    found = checking.check(write(tmp_path / "p", as_text(packs)), NOW)
    assert found.errors == 0
    assert [str(finding) for finding in found.findings if "in secret" not in finding.message] == []


@pytest.mark.parametrize("name", PACKS)
def test_every_rule_of_a_pack_decides_one_of_its_cases(name: str) -> None:
    declared = declared_by(as_text((name,)))
    decided = {rule for case in declared.cases for rule in case.expect.rules or ()}
    assert sorted(set(declared.rules) - decided) == []


@pytest.mark.parametrize("name", PACKS)
def test_every_tool_of_a_pack_has_a_rule(name: str) -> None:
    declared = declared_by(as_text((name,)))
    ruled = {tool for rule in declared.rules.values() for tool in covered(rule.tools, declared.tools)}
    assert sorted(set(declared.tools) - ruled) == []


@pytest.mark.requirement("P1")
def test_no_pack_lets_anything_change_production_without_a_human() -> None:
    declared = declared_by(as_text(TOGETHER))
    free = {
        rule.id: tool
        for rule in declared.rules.values()
        for tool in covered(rule.tools, declared.tools)
        if rule.effect is Effect.ALLOW and declared.tools[tool].impact != "read"
        if rule.standing is not None or {"production", ANY} & set(rule.environments)
    }
    assert free == {}


@pytest.mark.requirement("P3")
@pytest.mark.parametrize("name", PACKS)
def test_a_command_holds_every_argument_that_was_judged(name: str) -> None:
    """What a command leaves out would be shown to a human and then not done."""
    left_out = {
        (tool.name, argument)
        for tool in declared_by(as_text((name,))).tools.values()
        for argument in tool.arguments
        if tool.command and argument not in {used for element in tool.command for used in element.arguments}
    }
    assert left_out <= ONLY_SHOWN


@pytest.mark.parametrize("name", PACKS)
def test_the_page_of_a_pack_names_its_tools_and_roles_and_no_others(name: str) -> None:
    page = (PAGES / f"{name}.md").read_text()
    declared = declared_by(as_text((name,)))
    own = declared_by(as_text(()))
    tools, roles = (set(declared.tools) - set(own.tools), {rule.role for rule in declared.rules.values()})
    assert sorted(tool for tool in tools if f"`{tool}`" not in page) == []
    assert sorted(role for role in roles - {"file-worker"} if f"`{role}`" not in page) == []
    prefixes = {tool.partition(".")[0] for tool in tools}
    named = {tool for tool in TOOL.findall(page) if tool.partition(".")[0] in prefixes}
    assert sorted(named - tools) == []


@pytest.mark.parametrize("name", PACKS)
def test_what_the_page_says_to_type_makes_a_pack_that_still_decides_its_cases(name: str, tmp_path: Path) -> None:
    before = as_text((name,))
    policies = write(tmp_path / "policies", before)
    scripts = [found["script"] for found in SHELL.finditer((PAGES / f"{name}.md").read_text())]
    assert scripts != []
    subprocess.run(["/bin/sh", "-euc", "\n".join(scripts)], cwd=tmp_path, check=True, timeout=60)
    after = {path: (policies / path).read_text() for path in before}
    assert {path for path in before if after[path] != before[path]} >= {f"tools/{name}.yaml", f"tests/{name}.yaml"}
    policy = load_files(policies, after)
    for case in policy.cases:
        check(policy, case)


@pytest.mark.parametrize("name", PACKS)
def test_the_rules_that_a_page_shows_load_beside_the_pack(name: str, tmp_path: Path) -> None:
    shown = [dedent(found["rules"]) for found in RULES.finditer((PAGES / f"{name}.md").read_text())]
    role = "shown:\n  description: from the page\n  owner: demo-owner\n  rules:\n"
    rules = {"roles/shown.yaml": role + indent("".join(shown), "    ")} if shown else {}
    assert load_files(tmp_path / "p", as_text((name,)) | rules).version
