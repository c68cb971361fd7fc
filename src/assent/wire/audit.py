"""What auditors send and are shown beyond plain records: the life of an action, payload, exports, findings."""

from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import StringConstraints

from assent.wire.shapes import Body, Count, PageLimit, Query, Text, WrittenMoment


class RevealBody(Body):
    """Why payload is to be shown; `cursor` goes on where an earlier answer ended."""

    reason: Text | None = None
    cursor: Count | None = None


class EraseBody(Body):
    """On which legal basis payload is erased, which stands in the log for all to read, and why, which does not."""

    basis: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    reason: Text | None = None


class ExportBody(Body):
    """Which part of the log is exported: from `since` (included) to `until` (not)."""

    since: WrittenMoment | None = None
    until: WrittenMoment | None = None


class StoryQuery(Query):
    """Where the life of an action goes on."""

    cursor: Count | None = None
    limit: PageLimit = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryApproval:
    """The question to people that the action waited for."""

    id: str
    code: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryLine:
    """One record in words. `about` is `action`, or `stop` for a breaker or suspension that held over it."""

    index: int | None
    record_id: str
    time: str
    kind: str
    about: str
    what: str
    leaf: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryHead:
    """Which action a story is about.

    `state` is where it stands now; without one its row is damaged or gone, and only the log tells of it.
    """

    action_id: str
    state: str | None = None
    approval: StoryApproval | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryPage(StoryHead):
    """The life of one action, oldest first."""

    items: tuple[StoryLine, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevealedField:
    """One value with the salt of its commitment, hex; both are left out where they are not kept any more."""

    salt: str | None = None
    value: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevealedRecord:
    """What one record commits to, by field; the commitments stand in its leaf."""

    record_id: str
    index: int | None
    fields: dict[str, RevealedField] = field(default_factory=dict)
    leaf: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevealedHead:
    """The record that says who was shown payload."""

    record_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RevealedPage(RevealedHead):
    """Payload, oldest record first."""

    items: tuple[RevealedRecord, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasedAnswer:
    """What was erased, and what that cannot reach.

    `records` is how many records lost their payload; `record_id` is the one that says so. `seen_by` are operators who
    were shown it, `shown_at` places outside of the broker where it stood on a card.
    """

    record_id: str
    action_id: str
    records: int
    seen_by: tuple[str, ...] = ()
    shown_at: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportAnswer:
    """Which records an export holds, read with `GET /v1/records?order=oldest&cursor=FIRST`."""

    record_id: str
    records: int
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingView:
    """One question about log and ledger: what holds, or what is wrong and what to do."""

    check: str
    ok: bool
    what: str
    do: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingPage:
    """The answer to every question."""

    items: tuple[FindingView, ...]
    next_cursor: str | None = None
