"""Privileges compared: a change names what it is about, and those that widen can be told apart."""

from assent.core.privileges import Change, Direction, widening


def test_only_what_widens_is_picked_out_in_its_order() -> None:
    changes = [
        Change(direction=direction, about=f"rule {number}", what="changed")
        for number, direction in enumerate([Direction.WIDENS, Direction.NARROWS, Direction.REWORDS, Direction.WIDENS])
    ]
    assert widening(changes) == (changes[0], changes[3])
    assert str(changes[0]) == "rule 0: changed"
