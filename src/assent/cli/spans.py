"""Spans of time as people write them: 90s, 30m, 2h, 1d."""

import re
from typing import Final

from assent.cli.output import Usage

_SPAN: Final = re.compile(r"([1-9][0-9]{0,8})(s|m|h|d)?")
_SECONDS: Final = {None: 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


def seconds_of(text: str) -> int:
    """Return how many seconds `text` means.

    Raises:
        Usage: it means none.

    """
    found = _SPAN.fullmatch(text)
    if found is None:
        raise Usage(f"`{text}` is no time", hint="write it as 90s, 30m, 2h or 1d")
    return int(found[1]) * _SECONDS[found[2]]
