"""Arguments of a tool as people type them: `key=value` words, or one JSON object."""

from typing import Final

from assent.cli.output import Usage
from assent.core.canonical import BadJson, Json, parse

_MAX_ARGUMENT_BYTES: Final = 262_144


def arguments_of(given: list[str]) -> dict[str, Json]:
    """Return arguments from `key=value` words, or from one JSON object.

    A value that is JSON (a number, true, null, a list, an object, a text in quotes) means that; any other is a text.

    Raises:
        Usage: a word is neither.

    """
    if len(given) == 1 and given[0].lstrip().startswith("{"):
        value = _json(given[0])
        if not isinstance(value, dict):
            raise Usage("the arguments are no JSON object", hint='write key=value, or \'{"key": "value"}\'')
        return value
    found: dict[str, Json] = {}
    for word in given:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise Usage(f"`{word}` is no argument", hint="write key=value, again for more, or one JSON object")
        if key in found:
            raise Usage(f"`{key}` is given twice", hint="leave one of them out")
        read = _json(value)
        found[key] = value if read is None and value != "null" else read
    return found


def _json(text: str) -> Json:
    try:
        return parse(text.encode(), max_bytes=_MAX_ARGUMENT_BYTES)
    except (BadJson, UnicodeEncodeError):
        return None
