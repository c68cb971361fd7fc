"""Second person: stopping takes one person, letting go on takes two different ones, one soon after the other.

It holds for a breaker that is reset and for a suspended agent that is resumed. The first person's wish stands in the
row of what they want to let go on, and ends with whatever else happens to it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from assent.core.operators import Assurance, OperatorId

SECOND_PERSON_WITHIN: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstAsk:
    """One person's wish to let something go on, which waits for a second person; `assurance` is that of its surface.

    `using` is the id of the bearer token that it rests on, empty where it rests on none.
    """

    by: OperatorId
    at: datetime
    reason: str
    assurance: Assurance = Assurance.TOKEN
    using: str = ""


def still_open(first: FirstAsk | None, now: datetime) -> FirstAsk | None:
    """Return the wish while a second person may agree to it, else None."""
    return None if first is None or now - first.at > SECOND_PERSON_WITHIN else first


def waits_for(first: FirstAsk | None, by: OperatorId, now: datetime) -> FirstAsk | None:
    """Return the wish that a word of `by` would be the second to, or None where it would be a first one.

    It would be where nobody asked, nobody else did, or the time for a second person is over.
    """
    asked = still_open(first, now)
    return None if asked is None or asked.by == by else asked
