"""Example policies: each of them loads by itself, decides what its cases say, and needs no advice but what is meant."""

from pathlib import Path

import pytest

from assent.policy import checking
from tests.agentdojo.replay import POLICIES
from tests.policy.directory import NOW, load_files, write
from tests.policy.test_cases import check, text_files
from tests.policy.test_packs import declared_by

EXAMPLES = sorted(path.parent for path in POLICIES.rglob("model.conf"))


def test_there_are_examples() -> None:
    assert {path.name for path in EXAMPLES} >= {"banking", "travel"}


@pytest.mark.parametrize("directory", EXAMPLES, ids=lambda path: path.name)
def test_an_example_decides_what_its_cases_say(directory: Path, tmp_path: Path) -> None:
    policy = load_files(tmp_path / "p", text_files(directory))
    assert len(policy.cases) >= 10
    for case in policy.cases:
        check(policy, case)


@pytest.mark.parametrize("directory", EXAMPLES, ids=lambda path: path.name)
def test_every_rule_of_an_example_decides_one_of_its_cases(directory: Path) -> None:
    declared = declared_by(text_files(directory))
    decided = {rule for case in declared.cases for rule in case.expect.rules or ()}
    assert sorted(set(declared.rules) - decided) == []


@pytest.mark.parametrize("directory", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_found_sound_and_its_exceptions_are_named(directory: Path, tmp_path: Path) -> None:
    found = checking.check(write(tmp_path / "p", text_files(directory)), NOW)
    assert found.errors == 0
    assert [
        finding.message for finding in found.findings if "exception from the production floor" not in finding.message
    ] == []
