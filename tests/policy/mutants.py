"""Accidents and edits that happen to policy files: bytes, words and lines of a text, and fields of what it means."""

import copy
import random
from collections.abc import Callable, Iterator
from typing import Any

import yaml

Mutation = Callable[[str, random.Random], str]
TYPED = "abyz0189 .,:-_*/[]{}\"'#&!|>%@\n"


def _at(text: str, chance: random.Random) -> int:
    return chance.randrange(len(text) - 1)


def drop_byte(text: str, chance: random.Random) -> str:
    where = _at(text, chance)
    return text[:where] + text[where + 1 :]


def swap_bytes(text: str, chance: random.Random) -> str:
    where = _at(text, chance)
    return text[:where] + text[where + 1] + text[where] + text[where + 2 :]


def mistype(text: str, chance: random.Random) -> str:
    where = _at(text, chance)
    return text[:where] + chance.choice(TYPED) + text[where + chance.randrange(2) :]


def change_case(text: str, chance: random.Random) -> str:
    where = _at(text, chance)
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
    return text[: _at(text, chance)]


ACCIDENTS: list[Mutation] = [
    drop_byte, swap_bytes, mistype, change_case, drop_word, drop_line, double_line, swap_lines, cut,
]  # fmt: skip


def edit_field(text: str, chance: random.Random) -> str:
    """Change one thing that a file says, so that what comes out is often sound."""
    said = yaml.safe_load(text)
    if not isinstance(said, dict | list):
        return text
    holder, key = chance.choice(list(_places(said)))
    chance.choice([_other_value, _drop, _double, _borrow])(said, holder, key, chance)
    return yaml.safe_dump(_plain(said), sort_keys=False, allow_unicode=True)


def make_mistake(text: str, chance: random.Random) -> str:
    """Put a value of another kind somewhere, drop a field, or write one that does not exist."""
    said = yaml.safe_load(text)
    holder, key = chance.choice(list(_places(said)))
    kind = chance.randrange(4)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder[key], dict):
        holder[key]["zzz"] = 1
    else:
        holder[key] = copy.deepcopy(chance.choice(_WRONG))
    return yaml.safe_dump(_plain(said), sort_keys=False, allow_unicode=True)


_WRONG: list[Any] = [
    None,
    True,
    5,
    -1,
    1.5,
    "",
    "x y!",
    "a/b",
    "*",
    [],
    {},
    ["a"],
    ["a", "a"],
    [5],
    {"a": 1},
    {"b": []},
]


def _places(said: Any) -> Iterator[tuple[Any, Any]]:
    keys = said.keys() if isinstance(said, dict) else range(len(said)) if isinstance(said, list) else ()
    for key in keys:
        yield said, key
        yield from _places(said[key])


_VALUES: dict[str, list[Any]] = {
    "effect": ["allow", "require_approval", "deny"],
    "impact": ["read", "write", "destructive"],
    "assurance": ["token", "slack", "linked", "console", "step_up"],
    "type": ["string", "integer", "number", "boolean"],
    "may": [[], ["approver"], ["operator"], ["security_admin"], ["auditor"]],
    "environments": [["*"], ["production"], ["staging"], ["production", "staging"]],
    "environment": ["production", "staging"],
    "tools": [["k8s.**"], ["k8s.get"], ["k8s.scale", "k8s.delete"], ["k8s.*"]],
    "resources": [["**"], ["*/payments/**"], ["stg-1/**"], ["*/*/deployments/d"], ["*/web/**", "*/secrets/**"]],
    "route": ["default", "oncall"],
    "roles": [["deployer"], ["reader"], ["deployer", "reader"]],
    "owner": ["dana", "eve", "fay"],
    "expires_after": ["10m", "1h"],
    "redeemed_by": ["agent", "tool"],
}
_ADDED: list[tuple[str, Any]] = [
    ("standing", {"reason": "r", "until": "2027-06-01", "approved_by": "eve"}),
    ("until", "2027-06-01"),
    ("until", "2026-06-01"),
    ("when", {"replicas": {"max": 3}}),
    ("when", {"namespace": {"in": ["payments", "web"]}}),
    ("optional", True),
    ("nullable", True),
    ("unicode", True),
    ("case", "lower"),
    ("nonproduction", True),
    ("interactive", True),
    ("single_person", {"reason": "r", "until": "2027-06-01"}),
    ("away", True),
    ("resources", ["*/payments/**"]),
    ("groups", ["oncall"]),
    ("sensitive", ["note"]),
    ("enum", ["stg-1"]),
]


def _other_value(_said: Any, holder: Any, key: Any, chance: random.Random) -> None:
    value = holder[key]
    if isinstance(value, bool):
        holder[key] = not value
    elif isinstance(value, int):
        holder[key] = max(0, value + chance.choice([-20, -1, 1, 20]))
    elif key in _VALUES:
        holder[key] = copy.deepcopy(chance.choice(_VALUES[key]))
    elif isinstance(value, dict):
        added, what = chance.choice(_ADDED)
        value[added] = copy.deepcopy(what)
    elif isinstance(value, list):
        chance.shuffle(value)
    elif isinstance(value, str) and value in {"production", "staging"}:
        holder[key] = chance.choice(["production", "staging"])


def _drop(_said: Any, holder: Any, key: Any, chance: random.Random) -> None:
    del holder[key]


def _double(_said: Any, holder: Any, key: Any, chance: random.Random) -> None:
    again = copy.deepcopy(holder[key])
    if isinstance(holder, list):
        if isinstance(again, dict) and "id" in again:
            again["id"] = f"{again['id']}-{chance.randrange(10**6)}"
            again["effect"] = chance.choice(_VALUES["effect"])
        holder.append(again)
    else:
        holder[f"{key}-{chance.randrange(10**6)}"] = again


def _borrow(said: Any, holder: Any, key: Any, chance: random.Random) -> None:
    """Put here what stands elsewhere under the same key."""
    others = [other[k] for other, k in _places(said) if k == key and isinstance(k, str)]
    if others:
        holder[key] = copy.deepcopy(chance.choice(others))


def _plain(value: Any) -> Any:
    """Return dates as texts, as they were written."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
