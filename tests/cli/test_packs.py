"""`assent init --pack`: packs come beside the policies, once; what would not load is not written."""

import json
import stat
from pathlib import Path

import pytest

from assent.policy.packs import PACKS, pack
from tests.cli.conftest import Shell
from tests.cli.terminal import on_a_terminal
from tests.policy.directory import NOW
from tests.serving.broker_process import BrokerProcess, Home, run

NAME = "kubernetes"


def everything_in(directory: Path) -> dict[str, tuple[int, bytes]]:
    files = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return {str(path.relative_to(directory)): (path.stat().st_mode, path.read_bytes()) for path in files}


def test_the_list_names_every_pack_and_needs_no_directory(shell: Shell) -> None:
    said = shell("init", "--list-packs")
    assert (said.code, said.out.splitlines()) == (0, [f"{name}\t{one.about}" for name, one in PACKS.items()])
    as_json = json.loads(shell("init", "--list-packs", "--json").out)
    assert [one["name"] for one in as_json["packs"]] == list(PACKS)


def test_a_broker_begins_with_the_packs_that_are_named(tmp_path: Path) -> None:
    names = list(PACKS)
    said = run("init", str(tmp_path / "b"), *(word for name in names for word in ("--pack", name)), "--json")
    assert json.loads(said.stdout)["packs"] == names
    policies = tmp_path / "b" / "policies"
    assert {path: (policies / path).read_bytes() for path in pack(NAME) if path != "agents.yaml"} == {
        path: content for path, content in pack(NAME).items() if path != "agents.yaml"
    }
    agents = (policies / "agents.yaml").read_text()
    assert [agents.count(pack(name)["agents.yaml"].decode()) for name in names] == [1] * len(names)


def test_a_terminal_is_told_what_to_edit(tmp_path: Path) -> None:
    shown = on_a_terminal("init", str(tmp_path / "b"), "--pack", NAME).text
    assert PACKS[NAME].edit in shown
    assert f"docs/packs/{NAME}.md" in shown


@pytest.mark.parametrize("named", ["kubernets", "starter", "../starter", ""])
def test_a_pack_that_does_not_exist_makes_nothing(named: str, tmp_path: Path, shell: Shell) -> None:
    said = shell("init", str(tmp_path / "b"), "--pack", named)
    assert (said.code, said.out) == (2, "")
    assert f"there is no pack `{named}`" in said.err
    assert not (tmp_path / "b").exists()


def test_a_pack_comes_later_and_only_once(made: Home, tmp_path: Path, shell: Shell) -> None:
    home = made.copied(tmp_path / "b")
    before = everything_in(home.directory)
    added = json.loads(shell("init", str(home.directory), "--pack", NAME, "--json").out)
    assert added == {"config": str(home.config), "unchanged": False, "packs": [NAME]}
    after = everything_in(home.directory)
    assert {name for name in after if after[name] != before.get(name)} == {f"policies/{path}" for path in pack(NAME)}
    assert {stat.S_IMODE(after[f"policies/{path}"][0]) & 0o022 for path in pack(NAME)} == {0}
    again = shell("init", str(home.directory), "--pack", NAME)
    assert (again.code, everything_in(home.directory)) == (0, after)
    assert again.out == f"{home.config} is there: nothing was changed\n"


def test_a_pack_that_was_narrowed_is_left_as_it_is(made: Home, tmp_path: Path, shell: Shell) -> None:
    home = made.copied(tmp_path / "b")
    shell("init", str(home.directory), "--pack", NAME)
    roles = home.directory / "policies" / "roles" / f"{NAME}.yaml"
    roles.write_text("# narrowed\n" + roles.read_text())
    (home.directory / "policies" / "tests" / f"{NAME}.yaml").unlink()
    before = everything_in(home.directory)
    shell("init", str(home.directory), "--pack", NAME)
    assert everything_in(home.directory) == before


def test_a_pack_that_would_not_load_beside_what_is_there_is_not_written(
    made: Home, tmp_path: Path, shell: Shell
) -> None:
    home = made.copied(tmp_path / "b")
    policies = home.directory / "policies"
    for name in ("operators.yaml", "agents.yaml", "roles/files.yaml"):
        (policies / name).write_text((policies / name).read_text().replace("demo-owner", "dana"))
    before = everything_in(home.directory)
    said = shell("init", str(home.directory), "--pack", NAME)
    assert (said.code, said.out) == (1, "")
    assert "there is no operator `demo-owner`" in said.err
    assert everything_in(home.directory) == before


def test_what_is_written_last_refers_to_what_is_there(made: Home, tmp_path: Path, shell: Shell) -> None:
    """A broker that watches sees the directory after any of the writes: each of those states loads."""
    from assent.cli.packs import ORDER
    from assent.policy import load
    from assent.policy.packs import AGENTS, joined

    home = made.copied(tmp_path / "b")
    policies = home.directory / "policies"
    for folder in ORDER:
        path = AGENTS if folder == AGENTS else f"{folder}/{NAME}.yaml"
        old = (policies / path).read_bytes() if path == AGENTS else b""
        (policies / path).write_bytes(joined(old, pack(NAME)[path]) if old else pack(NAME)[path])
        assert load(policies, lambda: NOW).version


def test_a_pack_is_tried_with_the_agent_of_the_starter_and_answered_by_its_operator(made: Home, tmp_path: Path) -> None:
    home = made.copied(tmp_path / "b")
    assert run("init", str(home.directory), "--pack", NAME).returncode == 0
    agents = home.directory / "policies" / "agents.yaml"
    agents.write_text(
        agents.read_text().replace("[file-worker]", "[file-worker, kubernetes-reader, kubernetes-deployer]")
    )
    where = {"cluster": "prod", "namespace": "shop", "kind": "deployments", "name": "api"}
    with BrokerProcess(home=home) as broker:
        assert broker.ask("k8s.get", **where)["decision"] == "allow"
        asked = broker.ask("k8s.scale", **where, current_replicas=2, replicas=5)
        assert asked["decision"] == "pending"
        sha = asked["digest"][:12]
        said = run("approvals", "approve", asked["approval"]["code"], "--sha", sha, env=broker.operator)
        assert said.returncode == 0, said.stderr
        assert broker.ask("k8s.scale", **where, current_replicas=2, replicas=0)["reasons"][0]["code"] == "rule_denied"
