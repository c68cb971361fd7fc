"""Every family of spelling tricks, at every position, against allow, ask and deny rules that look in every way."""

from itertools import product
from pathlib import Path

import pytest

from assent.core.decisions import Effect
from tests.hammers import spellings
from tests.hammers.budget import Disproved, short_budget
from tests.hammers.spellings import TARGETS, TRICKS, Target, check, effect_of, leads_to, policy_of


@pytest.mark.requirement("T7")
@pytest.mark.parametrize(("target", "effect"), list(product(TARGETS, Effect)), ids=str)
def test_no_trick_gets_more_than_the_canonical_spelling(tmp_path: Path, target: Target, effect: Effect) -> None:
    policy = policy_of(tmp_path / "p", target, effect)
    assert effect_of(policy, target, target.value) is effect
    tried = 0
    for name, trick in target.tricks().items():
        for spelling in trick(target.value):
            check(policy, target, effect, spelling, name)
            tried += 1
    assert tried > 200


@pytest.mark.parametrize("name", TRICKS)
def test_every_family_holds_spellings_that_a_lenient_system_takes_for_the_value(name: str) -> None:
    values = {target.value for target in TARGETS}
    assert any(leads_to(spelling, value) for value in values for spelling in TRICKS[name](value))


@pytest.mark.hammer
@pytest.mark.requirement("T7")
def test_no_combination_of_tricks_gets_more(tmp_path: Path) -> None:
    print(spellings.run(tmp_path, short_budget()))


def test_a_spelling_that_gets_more_is_noticed(tmp_path: Path) -> None:
    target = Target("mode", "root", "when: {mode: {equals: root}}")
    policy = policy_of(tmp_path / "p", target, Effect.DENY)
    elsewhere = Target("mode", "user", "when: {mode: {equals: user}}")
    with pytest.raises(Disproved):
        check(policy, elsewhere, Effect.DENY, "user", "none")
