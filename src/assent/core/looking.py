"""Looking for records: what is looked for, what was found and where to go on, and how far the log is signed."""

from dataclasses import dataclass, replace
from datetime import datetime

from assent.core.records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFilter:
    """Which records to list; None means any.

    `since` is included, `until` is not; `first` is the lowest index to look at, `before` the lowest not to.
    """

    agent: str | None = None
    operator: str | None = None
    tool: str | None = None
    kind: str | None = None
    decision: str | None = None
    action: str | None = None
    approval: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    first: int | None = None
    before: int | None = None
    oldest_first: bool = False

    def going_on(self, rest: int) -> "RecordFilter":
        """Return the filter for what comes after a look that ended with this `rest`."""
        return replace(self, first=rest) if self.oldest_first else replace(self, before=rest)


@dataclass(frozen=True, slots=True)
class FoundRecords:
    """Records in the order asked for; `rest` says where to go on looking, None when everything was looked at."""

    records: tuple[Record, ...]
    rest: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogState:
    """How far the log is signed: the first `signed` of its `records` stand under a checkpoint of `signed_at`.

    `unsigned_since` is the time of the oldest record that does not, None where there is none.
    """

    records: int
    signed: int
    signed_at: datetime | None
    unsigned_since: datetime | None
