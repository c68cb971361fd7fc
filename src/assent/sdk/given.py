"""What callers give, checked where they give it: a wrong type is their line's mistake, not a later surprise.

Only what cannot be meant is refused here. Lengths and characters are the broker's to judge; its words about them come
back as a ConfigurationError as well.
"""

import math
from collections.abc import Sequence
from typing import Any, NoReturn

from assent.core.characters import visible
from assent.sdk.errors import ConfigurationError

MAX_SHOWN: int = 80


def name(what: str, value: Any) -> str:  # noqa: ANN401  # whatever a caller wrote
    """Return a name (of a tool, a run, a call, an action).

    Raises:
        ConfigurationError: it is no text, or an empty one.

    """
    if not isinstance(value, str) or not value:
        _refuse(what, value, "a text that is not empty")
    return value


def name_or_none(what: str, value: Any) -> str | None:  # noqa: ANN401  # same
    """Return a name or None. Raises as `name`."""
    return None if value is None else name(what, value)


def text_or_none(what: str, value: Any) -> str | None:  # noqa: ANN401  # same
    """Return a text or None. Raises ConfigurationError when it is neither."""
    if value is not None and not isinstance(value, str):
        _refuse(what, value, "a text or None")
    return value


def seconds(what: str, value: Any) -> float | None:  # noqa: ANN401  # same
    """Return a number of seconds or None. Raises ConfigurationError when it is neither, negative or not a number."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and (not number or math.isnan(value) or value < 0):
        _refuse(what, value, "a number of seconds, 0 or more, or None")
    return value  # type: ignore[no-any-return]  # looked at above


def whole_seconds(what: str, value: Any) -> int:  # noqa: ANN401  # same
    """Return a whole number of seconds. Raises ConfigurationError when it is none, or negative."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        _refuse(what, value, "a whole number of seconds, 0 or more")
    return value


def names(what: str, value: Any) -> tuple[str, ...]:  # noqa: ANN401  # same
    """Return names. Raises ConfigurationError when it is one text, or holds anything but names."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        _refuse(what, value, 'a list of names, such as ["operator:dana"]')
    return tuple(name(f"{what}[{index}]", one) for index, one in enumerate(value))


def model(what: str, value: Any) -> tuple[str, str] | None:  # noqa: ANN401  # same
    """Return a model's name and version, or None. Raises ConfigurationError when it is neither."""
    if value is None:
        return None
    if not isinstance(value, tuple) or len(value) != 2:  # noqa: PLR2004  # a name and a version
        _refuse(what, value, 'a name and a version, such as ("m", "1.2")')
    return (name(f"{what}[0]", value[0]), name(f"{what}[1]", value[1]))


def kind_or_none(what: str, value: Any, kind: type) -> None:  # noqa: ANN401  # same
    """Let a value of `kind`, or None, through. Raises ConfigurationError for anything else."""
    if value is not None and not isinstance(value, kind):
        _refuse(what, value, f"a `{kind.__name__}`")


def _refuse(what: str, value: object, wanted: str) -> NoReturn:
    shown = visible(repr(value)[:MAX_SHOWN])
    raise ConfigurationError(f"`{what}` is `{shown}`, which it cannot be", hint=f"give {wanted}")
