"""Changes to JSON arguments that mean something else, and one that does not: pure and seeded.

Two values are the same when JSON says so: numbers by value, everything else by type and content, keys in any order.
"""

import random
from collections.abc import Callable
from copy import deepcopy
from typing import Any, Final

Json = Any
Path = tuple[str | int, ...]

LOOK_ALIKES: Final = str.maketrans({"a": "а", "e": "е", "o": "о", "c": "с", "p": "р"})
INVISIBLE: Final = ("\u200b", "\u202e", "\ufeff", "\u00ad", "\u2066")


def same(one: Json, other: Json) -> bool:
    """Whether two values are one JSON value; a boolean is no number."""
    if isinstance(one, bool) or isinstance(other, bool) or one is None or other is None:
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other
    return type(one) is type(other) and bool(one == other)


def reordered(value: Json, rng: random.Random) -> Json:
    """Return the same value with the keys of every object in another order."""
    if isinstance(value, dict):
        keys = list(value)
        rng.shuffle(keys)
        return {key: reordered(value[key], rng) for key in keys}
    if isinstance(value, list):
        return [reordered(item, rng) for item in value]
    return value


def mutant(value: dict[str, Json], rng: random.Random) -> dict[str, Json]:
    """Return `value` with one place changed, dropped, added or retyped, so that it is another value."""
    while True:
        changed = deepcopy(value)
        place = rng.choice(_places(changed))
        rng.choice(_CHANGES)(changed, place, rng)
        if not same(changed, value):
            return changed


def _places(value: Json, at: Path = ()) -> list[Path]:
    inner: list[Path] = []
    if isinstance(value, dict):
        inner = [place for key, item in value.items() for place in _places(item, (*at, key))]
    if isinstance(value, list):
        inner = [place for index, item in enumerate(value) for place in _places(item, (*at, index))]
    return [at, *inner] if at else inner


def _parent(value: Json, place: Path) -> Json:
    for step in place[:-1]:
        value = value[step]
    return value


def _drop(value: Json, place: Path, _rng: random.Random) -> None:
    del _parent(value, place)[place[-1]]


def _add(value: Json, place: Path, rng: random.Random) -> None:
    parent = _parent(value, place)
    extra = rng.choice([None, "", 0, False, [], {}, "prod", parent[place[-1]]])
    if isinstance(parent, dict):
        parent[rng.choice(["extra", "", "Path", "path ", f"{place[-1]}2", "__proto__"])] = extra
    else:
        parent.insert(rng.randrange(len(parent) + 1), extra)


def _retype(value: Json, place: Path, rng: random.Random) -> None:
    parent, key = _parent(value, place), place[-1]
    before = parent[key]
    parent[key] = rng.choice([str(before), [before], {"value": before}, None, True, 0, 1.5, "", [], {}, not before])


def _edit(value: Json, place: Path, rng: random.Random) -> None:
    parent, key = _parent(value, place), place[-1]
    before = parent[key]
    if isinstance(before, str):
        parent[key] = _edited_text(before, rng)
    elif isinstance(before, int | float) and not isinstance(before, bool):
        parent[key] = before + rng.choice([1, -1, 0.5, 10, 2**31])
    elif isinstance(before, list):
        parent[key] = rng.choice([before[::-1], before * 2, before[:-1]])
    else:
        parent[key] = not before


def _edited_text(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text) + 1)
    return rng.choice(
        [
            text[:at] + rng.choice(INVISIBLE) + text[at:],
            text[:at] + text[at + 1 :],
            text + " ",
            " " + text,
            text.swapcase(),
            text.translate(LOOK_ALIKES),
            text + "/../x",
            text.replace("/", "//"),
            text.replace("/", "%2f"),
            "prod" + text[3:] if text.startswith("stg") else "stg" + text[4:],
            text * 2,
        ]
    )


def _swap(value: Json, place: Path, rng: random.Random) -> None:
    other = rng.choice(_places(value))
    if place[: len(other)] == other or other[: len(place)] == place:
        return
    one, two = _parent(value, place), _parent(value, other)
    one[place[-1]], two[other[-1]] = two[other[-1]], one[place[-1]]


_CHANGES: Final[tuple[Callable[[Json, Path, random.Random], None], ...]] = (_drop, _add, _retype, _edit, _edit, _swap)
