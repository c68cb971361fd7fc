"""Tripped means stopped, at every broker: the hammer of trips over two brokers on one PostgreSQL and one Valkey.

A trip is answered by one of them, or by `--direct` on the database while one was killed, and holds at the other.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.hammers import trips
from tests.hammers.broker import Installation, Running
from tests.hammers.budget import Budget, Report
from tests.hammers.trips import RULES
from tests.replicas.fleet import Fleet, fleet

FULL_TRIPS: Final = 300
BROKERS: Final = 2


class Replicas:
    """Two brokers on one database, each called by itself."""

    def __init__(self, here: Fleet) -> None:
        self._fleet = here
        self.at, self.beside_at = (replica.at for replica in here.replicas)

    @property
    def first(self) -> Running | None:
        """The life of the first, None while it is killed."""
        return self._fleet.replicas[0].running

    def start_first(self) -> None:
        """Start the first again."""
        self._fleet.replicas[0].start()

    def kill_first(self) -> None:
        """End it as a power cut would."""
        replica = self._fleet.replicas[0]
        replica.kill()
        replica.running = None

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve with both until the block ends."""
        self._fleet.start()
        yield

    def leaves(self) -> list[dict[str, Any]]:
        """Return the log, read as the owner of the database."""
        return [json.loads(leaf) for leaf in self._fleet.leaves()]


def run(folder: Path, budget: Budget) -> Report:
    """Trip and reset until the budget is spent while workers ask both brokers."""
    folder.mkdir(exist_ok=True)
    with fleet(folder / "replicas", BROKERS, prepare=_count) as here:
        return trips.trip(Replicas(here), budget)


def _count(at: Installation) -> None:
    rules = at.folder / "policies" / "breakers.yaml"
    rules.write_text(RULES)
    rules.chmod(0o644)
