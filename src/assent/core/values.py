"""Values that are made in every decision: frozen like any other, made in half of the time.

A frozen dataclass stores each of its fields by a call past its own refusal to be changed. A decision makes two hundred
fields. Here a value is born open, filled by plain assignments, and frozen before anybody else sees it.
"""

from dataclasses import MISSING, Field, fields
from functools import update_wrapper
from typing import Any, TypeVar

T = TypeVar("T")


def made_quickly(cls: type[T]) -> type[T]:
    """Return `cls`, a frozen dataclass with slots and without `__post_init__`, with an `__init__` that costs less.

    It takes the same arguments. Nothing may inherit from `cls`.

    Raises:
        TypeError: `cls` is of another kind.

    """
    if not _is_plain(cls):
        raise TypeError(f"`{cls.__name__}` is no frozen dataclass with slots and without `__post_init__`")
    given = fields(cls)  # type: ignore[arg-type]  # a dataclass, as was looked at
    known: dict[str, Any] = {"_frozen": cls, "_open": _opened(cls), "_set": object.__setattr__, "_missing": MISSING}
    known |= {f"_default_{field.name}": _default(field) for field in given}
    exec(_source(given), known)  # noqa: S102  # the text is made of names of fields, as dataclasses makes its own
    cls.__init_subclass__ = classmethod(_refuse_heirs)  # type: ignore[assignment]  # mypy wants a plain function
    cls.__init__ = update_wrapper(known["__init__"], cls.__init__)  # type: ignore[method-assign]  # takes the same
    return cls


def _is_plain(cls: type) -> bool:
    parameters = getattr(cls, "__dataclass_params__", None)
    is_frozen = parameters is not None and parameters.frozen
    return is_frozen and "__slots__" in vars(cls) and not hasattr(cls, "__post_init__")


def _refuse_heirs(cls: type) -> None:
    raise TypeError(f"nothing inherits from `{cls.__mro__[1].__name__}`: it would be made as that")


def _opened(cls: type[T]) -> type[T]:
    """Return a class of the same layout whose fields can be set."""
    # Both of the two, or CPython goes through the refusing one for each field.
    settable = {"__slots__": (), "__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
    return type(f"{cls.__name__}Open", (cls,), settable)


def _default(field: "Field[Any]") -> object:
    return field.default if field.default_factory is MISSING else field.default_factory


def _source(given: tuple["Field[Any]", ...]) -> str:
    parameters = [*map(_parameter, (one for one in given if not one.kw_only))]
    by_name = [*map(_parameter, (one for one in given if one.kw_only))]
    if by_name:
        parameters += ["*", *by_name]
    lines = ["_set(self, '__class__', _open)", *map(_assignment, given), "self.__class__ = _frozen"]
    return f"def __init__(self, {', '.join(parameters)}):\n " + "\n ".join(lines)


def _parameter(field: "Field[Any]") -> str:
    if field.default_factory is not MISSING:
        return f"{field.name}=_missing"
    return field.name if field.default is MISSING else f"{field.name}=_default_{field.name}"


def _assignment(field: "Field[Any]") -> str:
    name = field.name
    if field.default_factory is MISSING:
        return f"self.{name} = {name}"
    return f"self.{name} = _default_{name}() if {name} is _missing else {name}"
