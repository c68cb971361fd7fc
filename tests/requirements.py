"""What Assent promises and which attacks it must stand, as data.

Rules: an id is never reused; every requirement has a test that names it with `@pytest.mark.requirement(...)`, or says
in `deferred` what it waits for; every id stands in docs/promises.md. tests/test_requirements.py holds all sides to it.
"""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Whether we promise it or somebody attacks it."""

    PROMISE = "promise"
    THREAT = "threat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One thing that must hold; `deferred` says what it waits for when the code to test is not there yet."""

    id: str
    kind: Kind
    text: str
    deferred: str | None = None

    @property
    def anchor(self) -> str:
        """Where docs/promises.md explains it."""
        return f"docs/promises.md#{self.id.lower()}"


def _promise(number: int, text: str) -> Requirement:
    return Requirement(id=f"P{number}", kind=Kind.PROMISE, text=text)


def _threat(number: int, text: str, *, deferred: str | None = None) -> Requirement:
    return Requirement(id=f"T{number}", kind=Kind.THREAT, text=text, deferred=deferred)


PROMISES = (
    _promise(1, "deny by default: an unknown agent, tool, environment, field, file, state or error runs nothing"),
    _promise(2, "no record, no effect: a decision leaves the broker only after its record is durable"),
    _promise(3, "what you saw is what runs: judged, shown, bound and executed bytes are the same canonical bytes"),
    _promise(4, "once: a grant is redeemed at most once, across crashes, retries and replays"),
    _promise(5, "a person decides: approvals count distinct eligible humans, checked at the click"),
    _promise(6, "tripped means stopped: after the acknowledgement nothing in scope is decided or redeemed"),
    _promise(7, "silence is no: time-outs, outages and expiry deny, and are never told as a human's denial"),
    _promise(8, "the log tells on its keeper: any edit below a checkpoint held elsewhere is detected"),
    _promise(9, "secrets stay home: sensitive arguments reach no channel, log, metric or public record"),
)

THREATS = (
    _threat(1, "arguments swapped between approval and run"),
    _threat(2, "one approval run twice"),
    _threat(3, "approving what cannot be seen"),
    _threat(4, "self-approval by owner, driver, key issuer or a second account"),
    _threat(5, "the ledger fails: full, unreadable, locked, hung or gone"),
    _threat(6, "policy fails open: typo, truncated file, reload race, matcher error"),
    _threat(7, "a resource spelled so that the rule does not see it"),
    _threat(8, "a forged or replayed Slack request"),
    _threat(9, "stolen key, confused deputy, delegation laundering"),
    _threat(10, "an MCP tool redefined, shadowed, hidden or parsed in two ways", deferred="the MCP gateway"),
    _threat(11, "a breaker that is stale"),
    _threat(12, "hostile JSON"),
    _threat(13, "text injection into Slack messages"),
    _threat(14, "flooding with asks, denials and costly patterns"),
    _threat(15, "a clock that jumps back or forward"),
    _threat(16, "a log edited, dropped, reordered, forked or rolled back"),
    _threat(17, "console attacks: CSRF, XSS, clickjacking, missing object checks"),
    _threat(18, "late or racing decisions"),
    _threat(19, "a database row edited by hand"),
    _threat(20, "a crash anywhere"),
    _threat(21, "a replay after a crash or a trip"),
    _threat(22, "an agent that uses its human's credential"),
    _threat(23, "a policy author who widens at run time"),
    _threat(24, "a database writer who inserts approvals, votes or credentials"),
    _threat(25, "lying outcomes"),
    _threat(26, "one factor behind many clicks"),
)

REQUIREMENTS = {requirement.id: requirement for requirement in (*PROMISES, *THREATS)}
