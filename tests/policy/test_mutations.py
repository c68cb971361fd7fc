"""Accidents to policy files: bytes, words and lines lost, swapped, doubled or mistyped never widen what is allowed.

The directory holds a case for every question of the set, as a policy should for what matters to it. Whatever happens to
any file but the cases, either it is found at load, or no answer is wider than it was.
"""

import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from assent.core.decisions import STRICTNESS, Effect
from assent.core.errors import PolicyInvalid
from assent.core.reasons import Reason
from assent.policy import LoadedPolicy, load
from tests.policy.directory import NOW, SAMPLE, ask, findings_of, load_files, write
from tests.policy.test_delegation import AGENTS, QUESTIONS

SECONDS = float(os.environ.get("PROOF_SECONDS", "5"))
MUTATIONS = 1_000
ANSWERS = {Effect.ALLOW: "allow", Effect.REQUIRE_APPROVAL: "pending", Effect.DENY: "deny"}
TYPED = "abyz0189 .,:-_*/[]{}\"'#&!|>%@\n"


def effects(policy: LoadedPolicy) -> list[Effect]:
    """Returns the effect of every question of every agent; a refusal is a deny."""
    found = (ask(policy, agent, tool, arguments, ()) for agent in AGENTS for tool, arguments in QUESTIONS)
    return [Effect.DENY if isinstance(answer, Reason) else answer.effect for answer in found]


def cases(policy: LoadedPolicy) -> str:
    asked = [(agent, tool, arguments) for agent in AGENTS for tool, arguments in QUESTIONS]
    return "".join(
        f"- {{name: case {number}, agent: {agent}, tool: {tool}, arguments: {json.dumps(arguments)}, "
        f"expect: {{decision: {ANSWERS[effect]}}}}}\n"
        for number, ((agent, tool, arguments), effect) in enumerate(zip(asked, effects(policy), strict=True))
    )


Mutation = Callable[[str, random.Random], str]


def at(text: str, chance: random.Random) -> int:
    return chance.randrange(len(text) - 1)


def drop_byte(text: str, chance: random.Random) -> str:
    where = at(text, chance)
    return text[:where] + text[where + 1 :]


def swap_bytes(text: str, chance: random.Random) -> str:
    where = at(text, chance)
    return text[:where] + text[where + 1] + text[where] + text[where + 2 :]


def mistype(text: str, chance: random.Random) -> str:
    where = at(text, chance)
    return text[:where] + chance.choice(TYPED) + text[where + chance.randrange(2) :]


def change_case(text: str, chance: random.Random) -> str:
    where = at(text, chance)
    return text[:where] + text[where].swapcase() + text[where + 1 :]


def drop_word(text: str, chance: random.Random) -> str:
    words = text.split(" ")
    del words[chance.randrange(len(words))]
    return " ".join(words)


def drop_line(text: str, chance: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    del lines[chance.randrange(len(lines))]
    return "".join(lines)


def double_line(text: str, chance: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    where = chance.randrange(len(lines))
    return "".join([*lines[: where + 1], *lines[where:]])


def swap_lines(text: str, chance: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    chance.shuffle(lines)
    return "".join(lines)


def cut(text: str, chance: random.Random) -> str:
    return text[: at(text, chance)]


KINDS: list[Mutation] = [
    drop_byte, swap_bytes, mistype, change_case, drop_word, drop_line, double_line, swap_lines, cut,
]  # fmt: skip


@pytest.mark.hammer
@pytest.mark.requirement("T6", "P1")
def test_no_accident_to_a_file_widens_an_answer_without_a_finding(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    sound = load_files(tmp_path / "p", SAMPLE)
    before = effects(sound)
    directory = write(tmp_path / "p", {"tests/all.yaml": cases(sound)})
    tried, served, ends = 0, 0, time.monotonic() + SECONDS
    while tried < MUTATIONS and time.monotonic() < ends:
        name, kind = chance.choice(sorted(SAMPLE)), chance.choice(KINDS)
        text = kind(SAMPLE[name], chance)
        write(directory, {name: text})
        tried += 1
        try:
            after = effects(load(directory, lambda: NOW))
        except PolicyInvalid:
            pass  # found
        else:
            served += 1
            wider = [b for a, b in zip(after, before, strict=True) if STRICTNESS[a] < STRICTNESS[b]]
            assert not wider, f"{kind.__name__} of {name}:\n{text}"
        write(directory, {name: SAMPLE[name]})
    print(f"{tried} mutations, {served} of them could be served")
    assert tried > served


@pytest.mark.requirement("T6")
@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("roles/deployer.yaml", "{equals: 0}", "{equals: 8}"),
        ("environments.yaml", "production: {}", "production: {nonproduction: true}"),
        ("agents.yaml", "viewer: {owner: dana, roles: [reader]", "viewer: {owner: dana, roles: [deployer]"),
    ],
)
def test_a_sound_edit_that_gives_more_than_a_case_says_does_not_serve(
    tmp_path: Path, name: str, old: str, new: str
) -> None:
    kept = {**SAMPLE, "tests/all.yaml": cases(load_files(tmp_path / "p", SAMPLE))}
    assert old in kept[name]
    found = findings_of(tmp_path / "q", {**kept, name: kept[name].replace(old, new)})
    assert found
    assert all(line.startswith("tests/all.yaml:") and "must come to" in line for line in found)


def test_an_edit_that_gives_less_than_a_case_says_serves(tmp_path: Path) -> None:
    kept = {**SAMPLE, "tests/all.yaml": cases(load_files(tmp_path / "p", SAMPLE))}
    assert findings_of(tmp_path / "q", {**kept, "agents.yaml": kept["agents.yaml"].replace("2027-03", "2026-03")}) == ()
