"""Every hammer that `./run prove` knows: what it shows, what that proves, and what its full count is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.agentdojo import hammer as agentdojo
from tests.hammers import (
    clicks,
    clock,
    crashes,
    double_spend,
    fault_matrix,
    hostile,
    judging,
    mutation_score,
    mutations,
    reloads,
    replica_trips,
    sabotage,
    sinks,
    spellings,
    storm,
    tampering,
    trips,
    widening,
)
from tests.hammers.budget import Budget, Report
from tests.hammers.sabotages import SABOTAGES


@dataclass(frozen=True, slots=True, kw_only=True)
class Hammer:
    """What to run, and its full size: so many hits of a kind, so many minutes, or all there is, said in `whole`."""

    run: Callable[[Path, Budget], Report]
    promise: str
    requirements: tuple[str, ...]
    hits: int | None = None
    of: str = "hits"
    minutes: int | None = None
    whole: str = ""

    @property
    def full(self) -> str:
        """The full size in words."""
        if self.whole:
            return self.whole
        return f"{self.minutes} minutes" if self.minutes is not None else f"{self.hits:,} {self.of}"

    def budget(self, seed: int) -> Budget:
        """Return the budget of a run in full, which begins now."""
        if self.minutes is not None:
            return Budget(seed=seed, seconds=60.0 * self.minutes)
        return Budget(seed=seed, hits=self.hits)


HAMMERS: Final = {
    "double-spend": Hammer(
        run=double_spend.run,
        promise="a grant is redeemed once, whoever tries",
        requirements=("P4", "T2"),
        hits=double_spend.FULL_GRANTS,
        of="grants",
    ),
    "clicks": Hammer(
        run=clicks.run,
        promise="two processes, two approvers, double clicks: each approval ends once",
        requirements=("P4", "P5", "T18"),
        hits=clicks.FULL_APPROVALS,
        of="approvals",
    ),
    "mutations": Hammer(
        run=mutations.run,
        promise="what was approved runs, and nothing else",
        requirements=("P3", "T1"),
        hits=mutations.FULL_HITS,
        of="mutations",
    ),
    "trips": Hammer(
        run=trips.run,
        promise="after a trip is answered nothing in its scope passes",
        requirements=("P6", "T11"),
        hits=trips.FULL_TRIPS,
        of="trips",
    ),
    "replica-trips": Hammer(
        run=replica_trips.run,
        promise="after a trip is answered by one broker nothing in its scope passes at any",
        requirements=("P6", "T11"),
        hits=replica_trips.FULL_TRIPS,
        of="trips",
    ),
    "hostile": Hammer(
        run=hostile.run,
        promise="hostile JSON is refused before anything looks at it",
        requirements=("P1", "T12"),
        hits=hostile.FULL_HITS,
        of="bodies",
    ),
    "sinks": Hammer(
        run=sinks.run,
        promise="when the ledger fails nothing is allowed, and nothing is lost",
        requirements=("P2", "P7", "T5"),
        hits=sinks.FULL_HITS,
        of="faults",
    ),
    "crashes": Hammer(
        run=crashes.run,
        promise="a crash anywhere loses nothing acknowledged and runs nothing twice",
        requirements=("P2", "P4", "T20", "T21"),
        hits=crashes.FULL_CYCLES,
        of="kills",
    ),
    "clock": Hammer(
        run=clock.run,
        promise="a clock that is set forward or back ends nothing early, keeps nothing alive, and turns nothing back",
        requirements=("P7", "P4", "T15"),
        hits=clock.FULL_STEPS,
        of="steps",
    ),
    "reloads": Hammer(
        run=reloads.run,
        promise="every decision is that of one whole version of the policy, however often it is reloaded",
        requirements=("P1", "T6"),
        hits=reloads.FULL_DECISIONS,
        of="decisions on each Python",
    ),
    "tampering": Hammer(
        run=tampering.run,
        promise="every changed byte of a log is found with its public key alone, and the record is named",
        requirements=("P8", "T16"),
        hits=tampering.FULL_RECORDS,
        of="records, every byte",
    ),
    "storm": Hammer(
        run=storm.run,
        promise="whatever happens under whatever load, the log shows that nothing happened that must never happen",
        requirements=("P1", "P2", "P4", "P5", "P6", "T5", "T11", "T18", "T20"),
        minutes=storm.FULL_MINUTES,
    ),
    "faults": Hammer(
        run=fault_matrix.run,
        promise="whatever fails around several brokers, nothing wrong passes, runs twice or is lost",
        requirements=("P2", "P4", "P5", "P6", "P7", "P8", "T5", "T11", "T15", "T20"),
        hits=fault_matrix.FULL_FAULTS,
        of="faults",
    ),
    "judging": Hammer(
        run=judging.run,
        promise="the broker, stock Casbin on its export and a plain reference come to the same verdict",
        requirements=("P1", "T6"),
        hits=judging.FULL_PAIRS,
        of="pairs of policy and action",
    ),
    "spellings": Hammer(
        run=spellings.run,
        promise="no other spelling of what a rule is about gets more than the canonical one",
        requirements=("P1", "T7"),
        hits=spellings.FULL_SPELLINGS,
        of="spellings",
    ),
    "widening": Hammer(
        run=widening.run,
        promise="no accident to policy files, and no edit of them, widens an answer untold",
        requirements=("P1", "T6", "T23"),
        hits=widening.FULL_MUTATIONS,
        of="mutations",
    ),
    "sabotage": Hammer(
        run=sabotage.run,
        promise="breaking a promise on purpose, by one line, is noticed by the tests that are there for it",
        requirements=tuple(f"P{number}" for number in range(1, 10)),
        hits=len(SABOTAGES),
        of="lines changed",
    ),
    "agentdojo": Hammer(
        run=agentdojo.run,
        promise="users of AgentDojo's banking and travel suites get what they want, and attackers nothing but words",
        requirements=("P1", "P3", "P5"),
        hits=agentdojo.FULL_PAIRS,
        of="pairs of a task and an attack",
    ),
    "mutation-score": Hammer(
        run=mutation_score.run,
        promise="the tests of core notice small changes to it, and all where it decides, votes and redeems",
        requirements=("P1", "P3", "P4", "P5", "P6"),
        hits=mutation_score.EVERY,
        whole="every change",
    ),
}
