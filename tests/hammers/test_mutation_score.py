"""The score counts what was noticed, what survives where it matters has to be explained, and explanations stay true."""

from typing import Any

import pytest

from tests.hammers.budget import Disproved
from tests.hammers.code_mutants import mutants
from tests.hammers.equivalents import SAME
from tests.hammers.mutation_score import CORE, DECIDING, expect_explained, percent

EXPLAINED = next(iter(SAME))


def told(fate: str, file: str = "grants.py", within: str = "redeem", change: str = "a → b") -> dict[str, Any]:
    return {"file": file, "line": 1, "within": within, "change": change, "fate": fate}


def test_out_of_time_and_not_loading_are_noticed_and_unreached_is_not() -> None:
    fates = ("killed", "killed", "out of time", "did not load", "survived", "reached by no test")
    assert percent(map(told, fates)) == pytest.approx(400 / 6)
    assert percent([]) == 0


@pytest.mark.parametrize("fate", ["survived", "reached by no test"])
def test_what_survives_where_core_decides_must_be_explained(fate: str) -> None:
    with pytest.raises(Disproved, match=r"grants.py:1 in redeem: a → b"):
        expect_explained([told(fate)])
    expect_explained([told(fate, within="claims"), told(fate, file="notes.py"), told("killed")])
    expect_explained([told(fate, *EXPLAINED)])


@pytest.mark.parametrize("same", SAME, ids=str)
def test_what_is_explained_is_a_change_that_there_is(same: tuple[str, str, str]) -> None:
    file, within, change = same
    assert any((one.within, one.change) == (within, change) for one in mutants((CORE / file).read_text()))


@pytest.mark.parametrize(("file", "names"), DECIDING.items(), ids=DECIDING.keys())
def test_what_decides_is_where_the_table_says(file: str, names: tuple[str, ...]) -> None:
    found = {one.within for one in mutants((CORE / file).read_text())}
    assert set(names) <= found
