"""A Python call as judged arguments: which parameters the broker judges, and the body called with the frozen ones.

Pure. Rules kept here: every parameter is judged unless it is named `unjudged`; defaults are judged too; what has no
JSON form is refused before anything is asked; the body gets fresh values from the canonical bytes, never the
caller's objects.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from assent.core.canonical import BadJson, Json, Jsonable, canonical
from assent.sdk.errors import ConfigurationError

_LOOSE = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """How calls of one function become arguments of one tool."""

    tool: str
    signature: inspect.Signature
    judged: tuple[str, ...]

    def freeze(self, args: Sequence[object], kwargs: Mapping[str, object]) -> "Call":
        """Return the call with its judged arguments as canonical bytes.

        Raises:
            TypeError: the call does not fit the signature, as Python says it.
            ConfigurationError: a judged value has no JSON form.

        """
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        members = [_member(self.tool, name, bound.arguments[name]) for name in sorted(self.judged, key=_utf16)]
        return Call(bound=bound, arguments=b"{" + b",".join(members) + b"}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call, held until the broker has answered; `arguments` are canonical bytes."""

    bound: inspect.BoundArguments
    arguments: bytes

    def thaw(self, frozen: Mapping[str, Json]) -> tuple[tuple[object, ...], dict[str, object]]:
        """Return positional and keyword arguments for the body, the judged ones replaced by `frozen`."""
        self.bound.arguments.update(frozen)
        return self.bound.args, self.bound.kwargs


def bind(function: Callable[..., object], tool: str, unjudged: Sequence[str]) -> Binding:
    """Return how calls of `function` become arguments of `tool`.

    Raises:
        ConfigurationError: the function's parameters cannot all be judged by name, or `unjudged` names none of them.

    """
    signature = inspect.signature(function)
    for parameter in signature.parameters.values():
        if parameter.kind in _LOOSE:
            raise ConfigurationError(
                f"`{tool}`: `{_LOOSE[parameter.kind]}{parameter.name}` takes arguments that nobody can judge by name",
                hint="name every parameter",
            )
    if isinstance(unjudged, str):
        raise ConfigurationError(f"`{tool}`: unjudged is a list of names", hint=f"write unjudged=({unjudged!r},)")
    missing = sorted(set(unjudged) - signature.parameters.keys())
    if missing:
        raise ConfigurationError(
            f"`{tool}`: unjudged names `{missing[0]}`, which is no parameter", hint="remove it or correct the name"
        )
    judged = tuple(name for name in signature.parameters if name not in unjudged)
    return Binding(tool=tool, signature=signature, judged=judged)


def refuse_unknown_parameters(binding: Binding, known: frozenset[str]) -> None:
    """Check that the tool has every judged parameter.

    Raises:
        ConfigurationError: a parameter is neither an argument of the tool nor unjudged.

    """
    strange = [name for name in binding.judged if name not in known]
    if strange:
        raise ConfigurationError(
            f"`{binding.tool}` has no argument `{strange[0]}`",
            hint=f"name it in unjudged=(…), or use one of: {', '.join(sorted(known))}",
        )


def _member(tool: str, name: str, value: object) -> bytes:
    try:
        return canonical(name) + b":" + canonical(cast("Jsonable", value))
    except BadJson as fault:
        raise ConfigurationError(
            f"`{tool}`: the value of `{name}` cannot be judged: {fault.message}",
            hint="pass plain JSON values, or name the parameter in unjudged",
        ) from None


def _utf16(name: str) -> bytes:
    # RFC 8785 §3.2.3: members are sorted by UTF-16 code units.
    return name.encode("utf-16-be")
