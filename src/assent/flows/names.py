"""Names: which names of a scope nobody declared, and which declared ones are near; a trip is never refused for one."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from assent.core.breakers import Scope
from assent.core.patterns import TOOL_SEPARATOR, matches
from assent.ports import Policy

MAX_NEAR: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A name that nobody declared: what kind of name, and declared ones that it may be meant for."""

    dimension: str
    name: str
    near: tuple[str, ...]


def unknown_names(policy: Policy, scope: Scope) -> tuple[Unknown, ...]:
    """Return the names in `scope` that the policy does not know."""
    return tuple(
        Unknown(dimension=dimension, name=name, near=tuple(get_close_matches(name, known, n=MAX_NEAR)))
        for dimension, name in scope.named().items()
        if not _is_known(dimension, name, known := policy.names(dimension))
    )


def _is_known(dimension: str, name: str, known: Sequence[str]) -> bool:
    if dimension == "tool":
        return any(matches(name, one, TOOL_SEPARATOR) for one in known)
    return name in known
