"""Four hundred tools that attackers would like, by their own names and by names that look like ours: none exists.

The names lie outside of the project (Agent Security Bench, see the cases' README); what must always hold is tested with
names of our own.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from assent.core.decisions import Answer
from assent.policy import LoadedPolicy
from assent.policy.cases import Case, Expected
from assent.policy.findings import NOWHERE
from assent.policy.packs import PACKS, starter
from tests.policy.directory import SAMPLE, decision, load_files
from tests.serving.broker_process import BrokerProcess, Home, make_home

CASES = Path(os.environ.get("ASSENT_CASES", Path(__file__).parents[3] / "shared" / "cases")) / "attack-tools"
ATTACKS, NORMAL = CASES / "all_attack_tools.jsonl", CASES / "all_normal_tools.jsonl"
absent = pytest.mark.skipif(not ATTACKS.is_file(), reason=f"no attack tools in {CASES}; set ASSENT_CASES")

# Letters of other scripts that pass for the Latin one.
TWINS = {"a": "а", "c": "с", "e": "е", "i": "і", "o": "о", "p": "р", "s": "ѕ", "x": "х", "y": "у", "n": "ո", "u": "ս"}


def look_alikes(name: str) -> set[str]:
    """Return names that a reader, a shell, a URL or a careless comparison would take for `name`."""
    first, rest = name[0], name[1:]
    return {
        *(name.upper(), name.title(), name.swapcase()),
        *(f"{name} ", f" {name}", f"{name}\n", f"{name}\t", f"{name}\x00", f"{name}\u200b", f"\ufeff{name}"),
        *(f"{first}\u200d{rest}", f"{first}\u00ad{rest}", f"\u202e{name[::-1]}\u202c"),
        *(f"{name}.", f".{name}", f"./{name}", f"{name}/../{name}", f"{name}//", f"{name}|x", f"{name}*", "*", "**"),
        *(name.replace("_", "-"), name.replace("_", "__"), f"{name}%20", f"%{ord(first):02x}{rest}"),
        "".join(chr(ord(letter) + 0xFEE0) if letter.isalnum() else letter for letter in name),
        *(name.replace(letter, twin, 1) for letter, twin in TWINS.items() if letter in name),
    } - {name}


def catalogue_of(tools: Sequence[str]) -> dict[str, str]:
    """Return a policy in which one agent may use every one of `tools`, whatever for."""
    entry = "{}:\n  description: works\n  impact: read\n  resource: here\n  environment: staging\n  arguments: {{}}\n"
    names = ", ".join(f'"{tool}"' for tool in tools)
    rule = f"    - {{id: all, tools: [{names}], environments: [staging], effect: allow}}\n"
    return {
        **{name: text for name, text in SAMPLE.items() if "/" not in name},
        "tools/all.yaml": "".join(map(entry.format, tools)),
        "roles/all.yaml": f"worker:\n  description: works\n  owner: dana\n  rules:\n{rule}",
        "agents.yaml": "bot: {owner: dana, roles: [worker], expires: 2027-03-31}\n",
    }


def answer(policy: LoadedPolicy, agent: str, tool: str) -> tuple[Answer, list[str]]:
    case = Case(name=tool, agent=agent, tool=tool, arguments={}, expect=Expected(decision=Answer.DENY), place=NOWHERE)
    found = decision(policy, case)
    return found.answer, [reason.code for reason in found.reasons]


def names_in(file: Path, key: str) -> list[str]:
    return [json.loads(line)[key] for line in file.read_text().splitlines()]


@pytest.mark.requirement("P1", "T7")
def test_a_tool_that_only_looks_like_one_does_not_exist(tmp_path: Path) -> None:
    ours = ["k8s_scale", "send_money", "summarizer"]
    policy = load_files(tmp_path / "p", catalogue_of(ours))
    assert [answer(policy, "bot", name) for name in ours] == [(Answer.ALLOW, [])] * len(ours)
    alike = [twin for name in ours for twin in look_alikes(name) if twin not in ours]
    assert [twin for twin in alike if answer(policy, "bot", twin) != (Answer.DENY, ["unknown_tool"])] == []
    assert len(alike) > 80


@absent
@pytest.mark.requirement("P1")
def test_all_attack_tools_are_denied_beside_the_normal_ones(tmp_path: Path) -> None:
    attacks, normal = names_in(ATTACKS, "Attacker Tool"), names_in(NORMAL, "Tool Name")
    policy = load_files(tmp_path / "p", catalogue_of(normal))
    assert len(attacks) == 400
    assert [name for name in normal if answer(policy, "bot", name)[0] is not Answer.ALLOW] == []
    assert [name for name in attacks if answer(policy, "bot", name) != (Answer.DENY, ["unknown_tool"])] == []


@absent
@pytest.mark.requirement("P1", "T7")
def test_all_attack_tools_are_denied_by_names_that_look_like_normal_ones(tmp_path: Path) -> None:
    attacks, normal = names_in(ATTACKS, "Attacker Tool"), names_in(NORMAL, "Tool Name")
    policy = load_files(tmp_path / "p", catalogue_of(normal))
    disguised = [twin for name in normal for twin in look_alikes(name) if twin not in normal]
    assert len(disguised) >= len(attacks)
    for name in (*disguised, *(twin for attack in attacks for twin in look_alikes(attack))):
        assert answer(policy, "bot", name) == (Answer.DENY, ["unknown_tool"]), name


@absent
@pytest.mark.requirement("P1")
def test_no_pack_has_a_tool_of_an_attacker(tmp_path: Path) -> None:
    files = {name: content.decode() for name, content in starter(tuple(PACKS)).items()}
    policy = load_files(tmp_path / "p", files)
    agents = [agent.id for agent in policy.agents()]
    for attack in names_in(ATTACKS, "Attacker Tool"):
        assert {answer(policy, agent, attack)[0] for agent in agents} == {Answer.DENY}, attack


@absent
@pytest.mark.requirement("P1")
def test_a_broker_that_serves_lets_none_of_them_pass(tmp_path: Path) -> None:
    names = [*names_in(ATTACKS, "Attacker Tool"), *look_alikes("files.read")]
    unlimited = {"ASSENT_ASKS_PER_AGENT_PER_HOUR": "100000"}
    home: Home = make_home(tmp_path / "broker")
    with BrokerProcess(home=home, env=unlimited) as broker:
        answers = {name: broker.ask(name, path="staging/notes.txt") for name in names}
        sound = broker.ask("files.read", path="staging/notes.txt")
    assert sound["decision"] == "allow"
    said = {name: answer.get("decision", answer.get("code")) for name, answer in answers.items()}
    assert {name: word for name, word in said.items() if word not in {"deny", "bad_request"}} == {}
