"""What a card is made of and what comes of it: plain values, so that a card can be looked at without a broker."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from assent.core.actions import Action
from assent.core.approvals import Approval
from assent.core.deliveries import Past
from assent.core.operators import OperatorId
from assent.core.presence import Presence
from assent.slack.blocks import Block


class Press(StrEnum):
    """What a button of a card stands for."""

    APPROVE = "assent.approve"
    DENY = "assent.deny"
    MORE = "assent.more"
    REVOKE = "assent.revoke"
    TRIP = "assent.trip"
    OPEN = "assent.open"


class More(StrEnum):
    """What stands in the menu of a card that waits."""

    COMMENT = "comment"
    TRIP = "trip"
    WHY_NOT_ME = "why"


class Form(StrEnum):
    """Which dialog was filled in."""

    DENY = "assent.deny"
    REVOKE = "assent.revoke"
    COMMENT = "assent.comment"
    TRIP = "assent.trip"


@dataclass(frozen=True, slots=True)
class Heeded:
    """What to do about an interaction: acknowledge it (`taken`), with `payload`, and tell its person `said`.

    Below what is said stands where the `runbook` is, when it tells of a stop.
    """

    taken: bool = True
    payload: Mapping[str, Any] = field(default_factory=dict)
    said: str = ""
    runbook: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardView:
    """Everything that a card is made of.

    `people` maps operators to user ids of the workspace; `who` could still vote. `page` is where the approval can be
    opened in a browser. `presence` is that of an agent that said it waits, None where nobody knows.
    """

    approval: Approval
    action: Action
    now: datetime
    people: Mapping[OperatorId, str] = field(default_factory=dict)
    who: tuple[OperatorId, ...] = ()
    past: Past | None = None
    presence: Presence | None = None
    page: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A message: `text` for notifications and screen readers, `blocks`, `metadata` (ids and digest only).

    `is_approvable` tells whether it carries Approve; `whole` is what the card could not show, to be sent as a file.
    """

    text: str
    blocks: tuple[Block, ...]
    metadata: Mapping[str, Any]
    is_approvable: bool
    whole: str | None = None
