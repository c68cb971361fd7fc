"""Times as SQLite keeps them: whole microseconds since the epoch, so that they sort, compare and round-trip exactly."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def stamp(moment: datetime) -> int:
    """Return an aware moment as microseconds since the epoch."""
    return (moment - _EPOCH) // _MICROSECOND


def stamp_or_none(moment: datetime | None) -> int | None:
    """Return a moment as microseconds, None as None."""
    return None if moment is None else stamp(moment)


def moment(microseconds: int) -> datetime:
    """Return the aware UTC moment of a stamp."""
    return _EPOCH + timedelta(microseconds=microseconds)


def moment_or_none(microseconds: int | None) -> datetime | None:
    """Return the moment of a stamp, None as None."""
    return None if microseconds is None else moment(microseconds)
