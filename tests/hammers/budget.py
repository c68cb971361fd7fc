"""How long a hammer goes on, what it found, and what it says when a promise did not hold."""

import os
import random
import time
from dataclasses import dataclass, field
from typing import Final

SECONDS_VARIABLE: Final = "PROOF_SECONDS"
SEED_VARIABLE: Final = "PROOF_SEED"
DEFAULT_SECONDS: Final = 2.0


class Disproved(AssertionError):
    """A promise did not hold; the message says what was seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Until when a hammer goes on: so many hits, or so many seconds, whichever is given; at least one hit."""

    seed: int
    hits: int | None = None
    seconds: float | None = None
    began: float = field(default_factory=time.monotonic)

    def goes_on(self, done: int) -> bool:
        """Whether another hit is due after `done` of them."""
        if done == 0:
            return True
        if self.hits is not None:
            return done < self.hits
        return self.seconds is not None and self.spent() < self.seconds

    def spent(self) -> float:
        """Return the seconds since the beginning."""
        return time.monotonic() - self.began

    def choose(self, *, by_hits: int, by_seconds: int) -> int:
        """Return a size of the experiment: the full one when hits are counted, a small one for seconds."""
        return by_hits if self.hits is not None else by_seconds

    def random(self) -> random.Random:
        """Return the randomness of this run."""
        return random.Random(self.seed)


def short_budget() -> Budget:
    """Return the budget of a test run; its seed is printed, and PROOF_SEED repeats one."""
    seed = int(os.environ.get(SEED_VARIABLE) or random.SystemRandom().randrange(2**32))
    print(f"{SEED_VARIABLE}={seed}")
    return Budget(seed=seed, seconds=float(os.environ.get(SECONDS_VARIABLE) or DEFAULT_SECONDS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a hammer did and counted; it only exists when nothing was disproved.

    `listed` are lines for the page, below the words of `listed_as`; `rows` are those of a table under `head`.
    """

    counts: dict[str, int | float | str]
    listed_as: str = ""
    listed: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def expect(holds: object, seen: str) -> None:
    """Go on when `holds`.

    Raises:
        Disproved: it does not; `seen` says what was seen instead.

    """
    if not holds:
        raise Disproved(seen)
