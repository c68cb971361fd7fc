"""How much of everything a run measures; `quick` is about two minutes, the default less than twelve."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Sizes, rounds and seconds of a run."""

    seed: int = 20_260_301
    rules: int = 1_000
    rounds: int = 5
    round_seconds: float = 3.0
    connections: tuple[int, ...] = (1, 16, 64)
    engine_sizes: tuple[int, ...] = (10, 100, 1_000, 10_000, 100_000)
    engine_rounds: int = 3
    engine_seconds: float = 1.5
    many_rules: int = 100_000
    many_agents: int = 100_000
    many_stored: int = 100_000
    flow_rounds: int = 3
    starts: int = 5
    click_rounds: int = 10
    waiting: int = 10_000
    tabs: int = 200
    tab_changes: int = 20
    rows: int = 10_000


QUICK = Plan(
    rounds=1,
    round_seconds=2.0,
    engine_sizes=(10, 1_000, 10_000),
    engine_rounds=1,
    engine_seconds=0.5,
    many_rules=10_000,
    many_agents=10_000,
    many_stored=20_000,
    flow_rounds=1,
    starts=2,
    click_rounds=5,
    tab_changes=10,
    rows=1_000,
)
