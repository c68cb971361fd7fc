"""Alerts: what people are told about breakers and policies, made from the records, so that nothing else is stored.

An alert carries the id of its record: told twice, it is the same one. It holds no payload of any action; the words of
whoever tripped or reset are for the people who answer for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from assent.core.breakers import Scope
from assent.core.records import RecordKind


class Severity(StrEnum):
    """How loudly to tell: `page` wakes somebody, `alert` is seen within minutes, `notice` can wait."""

    NOTICE = "notice"
    ALERT = "alert"
    PAGE = "page"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far a destination was told: up to before the record `told_until`; a row of the ledger."""

    id: str
    told_until: int
    revision: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One thing to tell: what happened to which breaker, when, by whom and why, and what it cut off.

    `by_hand` is the account and the machine, where it was done on the ledger itself. Of a policy it is `policy`, the
    version; `reason` is then what that widens.
    """

    id: str
    event: str
    severity: Severity
    at: str
    breaker: str
    state: str
    scope: Scope
    by: str
    reason: str = ""
    cancelled: int = 0
    running: int = 0
    cut_off_elsewhere: str = ""
    drill: bool = False
    by_hand: str = ""
    policy: str = ""

    @property
    def covers(self) -> str:
        """What is stopped, in words; nothing where the alert is about a policy."""
        return "" if self.policy else self.scope.describe()

    @property
    def tells_of_trip(self) -> bool:
        """Whether something was stopped."""
        return self.event == RecordKind.BREAKER_TRIPPED

    @property
    def headline(self) -> str:
        """What happened over what, without why."""
        drill = "drill: " if self.drill else ""
        return f"{drill}{_WORDS[self.event]} {self.covers or f'`{self.policy[:12]}`'}"

    @property
    def text(self) -> str:
        """The alert in one line, for channels that show text."""
        why = f": {self.reason}" if self.reason else ""
        cut = f"; {self.cancelled} cut off, {self.running} still running" if self.cancelled or self.running else ""
        hand = f", by hand on the ledger as {self.by_hand}" if self.by_hand else ""
        return f"{self.headline}, by {self.by}{hand}{why}{cut}"


_WORDS: Final[dict[str, str]] = {
    RecordKind.BREAKER_TRIPPED: "breaker tripped over",
    RecordKind.BREAKER_MOVED: "breaker moved over",
    RecordKind.BREAKER_RESET_ASKED: "a second person is needed to reset the breaker over",
    RecordKind.BREAKER_RESET: "breaker reset over",
    RecordKind.BREAKER_REMINDED: "still tripped, you wanted to be asked again: the breaker over",
    RecordKind.BREAKER_WATCHED: "would have tripped over",
    RecordKind.POLICY_ACTIVATED: "a policy that widens something serves:",
    RecordKind.POLICY_PROPOSED: "a policy that widens something waits to be confirmed:",
}
TOLD: Final = tuple(map(RecordKind, _WORDS))
_QUIET: Final = frozenset(
    {
        RecordKind.BREAKER_MOVED,
        RecordKind.BREAKER_RESET,
        RecordKind.BREAKER_WATCHED,
        RecordKind.POLICY_ACTIVATED,
    }
)
_OF_POLICIES: Final = frozenset({RecordKind.POLICY_ACTIVATED, RecordKind.POLICY_PROPOSED})
_WIDENINGS_TOLD: Final = 3


def is_told(leaf: Mapping[str, Any]) -> bool:
    """Whether a record of one of the kinds `TOLD` is worth telling: a policy that widens nothing is not."""
    detail = leaf.get("detail", {})
    return leaf["kind"] not in _OF_POLICIES or bool(detail.get("widens")) or detail.get("diff") == "unknown"


def alert_of(leaf: Mapping[str, Any], reason: str, cut_off_elsewhere: str = "") -> Alert:
    """Return what to tell of a record of one of the kinds `TOLD`; `reason` is its disclosed payload."""
    detail = leaf.get("detail", {})
    kind = RecordKind(leaf["kind"])
    if kind in _OF_POLICIES:
        return _of_policy(leaf, kind, detail)
    severity = Severity.NOTICE if kind in _QUIET or detail.get("drill") else Severity.ALERT
    return Alert(
        id=leaf["id"],
        event=kind.value,
        severity=Severity.PAGE if detail.get("agents_at_once") else severity,
        at=leaf["time"],
        breaker=leaf.get("breaker", ""),
        state=detail.get("state", ""),
        scope=Scope(agent=leaf.get("agent"), tool=leaf.get("tool"), environment=leaf.get("environment")),
        by=leaf.get("operator") or f"rule `{detail.get('rule', '?')}`",
        reason=reason or detail.get("because", ""),
        cancelled=detail.get("cancelled", 0),
        running=detail.get("running", 0),
        cut_off_elsewhere=cut_off_elsewhere,
        drill=bool(detail.get("drill")),
        by_hand=_hand(detail.get("by_hand")),
    )


def _of_policy(leaf: Mapping[str, Any], kind: RecordKind, detail: Mapping[str, Any]) -> Alert:
    keys = detail.get("release", {}).get("keys")
    vouched = f"the release key {' and '.join(map(str, keys))}" if keys else ""
    widens = list(map(str, detail.get("widens", ())))
    count = detail["diff"].get("widens", 0) if isinstance(detail.get("diff"), Mapping) else 0
    more = [f"and {count - _WIDENINGS_TOLD} more"] if count > _WIDENINGS_TOLD else []
    unknown = [] if widens else ["what served before is not at hand, so nobody knows what it widens"]
    return Alert(
        id=leaf["id"],
        event=kind.value,
        severity=Severity.NOTICE if kind in _QUIET else Severity.ALERT,
        at=leaf["time"],
        breaker="",
        state="",
        scope=Scope(),
        by=leaf.get("operator") or vouched or "the files in the policy directory",
        reason="; ".join([*widens[:_WIDENINGS_TOLD], *more, *unknown]),
        policy=leaf.get("policy", ""),
    )


def _hand(by_hand: Any) -> str:  # noqa: ANN401  # a leaf's own JSON
    return f"`{by_hand.get('os_user')}` on `{by_hand.get('host')}`" if isinstance(by_hand, Mapping) else ""
