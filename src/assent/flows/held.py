"""Held: trips that the ledger could not take yet. This process lets nothing in their scopes pass until it did.

It only ever says no. What is held here is lost with the process, and whoever tripped was told so (`held_not_durable`).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from assent.core.breakers import Scope
from assent.core.errors import LedgerUnavailable
from assent.ports import Tx

# More than anybody trips while a disk hangs; the scopes of one rule and agent are held once.
MAX_HELD = 1_000


@dataclass(frozen=True, slots=True)
class HeldTrip:
    """A trip that is to be written first when the ledger is back: `write` does it in a transaction."""

    scope: Scope
    write: Callable[[Tx], Awaitable[object]]


class Held:
    """The trips that hold in memory only; all calls come from the event loop's thread."""

    def __init__(self) -> None:
        self.trips: tuple[HeldTrip, ...] = ()

    def hold(self, trip: HeldTrip) -> None:
        """Stop what is in this scope from now on."""
        others = tuple(one for one in self.trips if one.scope != trip.scope)
        # Everything is stopped rather than one of them forgotten.
        kept = trip if len(others) < MAX_HELD else HeldTrip(Scope(), trip.write)
        self.trips = (*others[-MAX_HELD:], kept)

    def written(self, trip: HeldTrip) -> None:
        """Let go of a trip that the ledger has taken."""
        self.trips = tuple(one for one in self.trips if one is not trip)

    def refuse(self, *, agent: str, tool: str, environment: str) -> None:
        """Let nothing pass that is in the scope of a held trip; call it after the commit and before the answer.

        Raises:
            LedgerUnavailable: it is in scope. What was committed a moment ago is not told, and asking again finds it
                behind the trip.

        """
        for trip in self.trips:
            if trip.scope.covers(agent=agent, tool=tool, environment=environment):
                raise LedgerUnavailable(
                    f"a trip over {trip.scope.describe()} holds in memory, the ledger cannot be written",
                    hint="see why the ledger cannot be written; the trip is stored first when it can",
                )
