"""Values made quickly are what the plain dataclass would be: the same arguments, defaults and equality, and frozen."""

import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace

import pytest

from assent.core.actions import Action, Proposal
from assent.core.decisions import Decision, Facts, Load, Verdict
from assent.core.records import Entry, Record
from assent.core.values import made_quickly

QUICK = (Action, Decision, Entry, Facts, Load, Proposal, Record, Verdict)


@made_quickly
@dataclass(frozen=True, slots=True)
class Sample:
    """One of everything that a field can be."""

    first: str
    second: int = 2
    third: list[int] = field(default_factory=list)
    last: str = field(kw_only=True, default="z")


def test_arguments_and_defaults_are_those_of_the_dataclass() -> None:
    assert Sample("a") == Sample(first="a", second=2, third=[], last="z")
    assert Sample("a", 5, [1], last="b") == replace(Sample("c", last="b"), first="a", second=5, third=[1])
    assert repr(Sample("a")) == "Sample(first='a', second=2, third=[], last='z')"


def test_no_two_values_share_what_a_factory_made() -> None:
    assert Sample("a").third is not Sample("a").third


@pytest.mark.parametrize("arguments", [{}, {"first": "a", "fourth": 1}, {"second": 1}])
def test_wrong_arguments_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(TypeError):
        Sample(**arguments)  # type: ignore[arg-type]  # that is what is tried


def test_what_was_made_refuses_every_change() -> None:
    made = Sample("a")
    assert type(made) is Sample
    with pytest.raises(FrozenInstanceError):
        made.first = "b"  # type: ignore[misc]  # that is what is tried
    with pytest.raises(FrozenInstanceError):
        del made.first
    with pytest.raises((AttributeError, TypeError)):  # whichever this Python's dataclasses raise
        made.other = "b"  # type: ignore[attr-defined]  # that is what is tried
    assert made.first == "a"


def test_a_value_that_failed_to_be_made_is_never_seen_open() -> None:
    made = Sample.__new__(Sample)
    with pytest.raises(FrozenInstanceError):
        made.first = "b"  # type: ignore[misc]  # that is what is tried


def test_copies_and_pickles_are_frozen_too() -> None:
    made = Sample("a", 3, [1])
    for again in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):  # noqa: S301  # our own
        assert again == made
        with pytest.raises(FrozenInstanceError):
            again.first = "b"  # type: ignore[misc]  # that is what is tried


@pytest.mark.parametrize("kind", QUICK, ids=lambda kind: kind.__name__)
def test_those_in_use_keep_their_signature(kind: type) -> None:
    asked = set(inspect.signature(kind).parameters)
    assert asked == {one.name for one in fields(kind)}


def test_what_is_no_plain_value_is_refused() -> None:
    @dataclass(frozen=True)
    class WithoutSlots:
        first: str

    @dataclass(frozen=True, slots=True)
    class Checked:
        first: str

        def __post_init__(self) -> None:
            """Check nothing."""

    @dataclass(slots=True)
    class Open:
        first: str

    for kind in (WithoutSlots, Checked, Open, int):
        with pytest.raises(TypeError, match="frozen dataclass with slots"):
            made_quickly(kind)


def test_nobody_inherits_from_what_is_made_quickly() -> None:
    with pytest.raises(TypeError, match="nothing inherits"):

        class More(Sample):
            pass
