"""Moments as people write them: a time with its zone, or how long ago it was."""

from datetime import datetime

from assent.cli.output import Usage, ago
from assent.cli.spans import seconds_of

HINT = "write it as 2027-03-31T12:00:00Z, or how long ago it was: 30m, 2h, 3d"


def moment_of(text: str | None) -> str | None:
    """Return the RFC 3339 moment that `text` means, None for None.

    Raises:
        Usage: it means none, or has no zone.

    """
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return _ago(text)
    if found.tzinfo is None:
        raise Usage(f"`{text}` has no zone", hint=HINT)
    return found.isoformat()


def _ago(text: str) -> str:
    try:
        return ago(seconds=seconds_of(text))
    except (Usage, OverflowError):
        raise Usage(f"`{text}` is no time", hint=HINT) from None
