"""A crash anywhere: a broker dies at every named point while agents work, and agents die around their tools.

Afterwards effects, what everybody was told, and the log are compared: nothing acknowledged is lost, nothing took effect
without a record, nothing ran twice.
"""

import json
import random
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from assent.wiring.failpoints import POINTS, VARIABLE
from tests.hammers import broker, records
from tests.hammers.broker import DidNotStart, Installation, Running
from tests.hammers.budget import Budget, Report, expect
from tests.hammers.crash_crew import Crew
from tests.hammers.records import Leaf

FULL_CYCLES: Final = 2_000
AGENTS: Final = 2
LEAST_AT_EACH_POINT: Final = 80
ANY_MOMENT: Final = "any moment"
REACH_SECONDS: Final = 6.0
QUIET_RESTARTS: Final = 5
RESTART_SECONDS: Final = 2.0

Line = dict[str, Any]


def run(folder: Path, budget: Budget) -> Report:
    """Let brokers die until the budget is spent, then compare what everybody knows."""
    at = broker.install(folder / "crashes", pick_up_seconds=1)
    deaths: Counter[str] = Counter()
    crew = Crew(at, folder, budget.seed, AGENTS)
    rng = budget.random()
    points = _points(rng)
    while budget.goes_on(deaths.total()) and not crew.acknowledged.faults:
        deaths[_one_life(at, next(points), rng)] += 1
    restarts = _last_life(at, crew, budget)
    if deaths.total() >= FULL_CYCLES:
        rare = [point for point in POINTS if deaths[point] < LEAST_AT_EACH_POINT]
        expect(not rare, f"too few brokers died at {rare}: {deaths}")
    expect(not crew.acknowledged.faults, f"the crew could not go on: {crew.acknowledged.faults}")
    log = records.read(at.ledger)
    effects, heard = _lines(crew.effects), _lines(crew.heard)
    begun = check_effects(effects, log)
    check_told(heard, begun, log)
    _check_acknowledged(crew, log)
    fates = Counter(line["fate"] for line in heard)
    return Report(counts=_counts(deaths, crew, fates, effects=len(begun), logged=len(log), restarts=restarts))


def _points(rng: random.Random) -> Iterator[str]:
    """Yield all points in a new order again and again, and in between no point at all: any moment."""
    while True:
        order = [*POINTS, ANY_MOMENT, ANY_MOMENT]
        rng.shuffle(order)
        yield from order


def _one_life(at: Installation, point: str, rng: random.Random) -> str:
    """Serve until the point is reached, or for a while, and die; return where it died."""
    named = {} if point == ANY_MOMENT else {VARIABLE: f"{point}:{rng.randint(1, 3)}"}
    try:
        running = broker.start(at, named)
    except DidNotStart as ended:
        expect(not str(ended), f"a broker did not come up after a crash: {ended}")
        return point
    if point == ANY_MOMENT:
        return _dies_within(running, rng.uniform(0.05, 1.0), ANY_MOMENT)
    return _dies_within(running, REACH_SECONDS, point)


def _dies_within(running: Running, seconds: float, point: str) -> str:
    try:
        code = running.gone(seconds)
    except subprocess.TimeoutExpired:
        running.kill()
        return ANY_MOMENT
    expect(code == -9, f"a broker ended by itself with {code} where it was to die at `{point}`")
    return point


def _last_life(at: Installation, crew: Crew, budget: Budget) -> list[float]:
    """Let everybody finish on a broker that lives; return how long quiet restarts took."""
    running = broker.start(at)
    try:
        crew.finish()
    finally:
        running.kill()
    seconds = []
    for _ in range(budget.choose(by_hits=QUIET_RESTARTS, by_seconds=1)):
        running = broker.start(at)
        seconds.append(running.started_seconds)
        running.kill()
    if budget.hits is not None:
        # The least of several: on a machine that is busy with other things only that is the broker's own time.
        expect(min(seconds) <= RESTART_SECONDS, f"restarts after a kill took {seconds}")
    return seconds


def _lines(path: Path) -> list[Line]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def check_effects(effects: list[Line], log: list[Leaf]) -> dict[tuple[str, int], str]:
    """Return which action ran for which piece of work, after checking that none ran twice or unrecorded."""
    begun: dict[tuple[str, int], str] = {}
    started = _started(log)
    for line in effects:
        if line["part"] == "end":
            continue
        piece = (line["run"], line["number"])
        expect(piece not in begun, f"{piece} ran twice, as {begun.get(piece)} and as {line['action']}")
        expect(line["action"] in started, f"{line} took effect and the log holds no start of it")
        expect(f"{piece[0]}/{piece[1]}.txt" in line["arguments"]["path"], f"{line} ran with other arguments")
        begun[piece] = line["action"]
    expect(len(set(begun.values())) == len(begun), "one action ran for two pieces of work")
    return begun


def _started(log: list[Leaf]) -> set[str]:
    """Return the actions that the log allows to run: held from the ask on, or their grant redeemed."""
    held = {
        leaf["action"]
        for leaf in records.of_kind(log, "action.decided")
        if leaf["decision"] == "allow" and leaf["detail"]["state"] == "executing"
    }
    redeemed = Counter(leaf["action"] for leaf in records.of_kind(log, "grant.redeemed"))
    expect(set(redeemed.values()) <= {1}, "a grant was redeemed twice in the log")
    voted = {leaf["action"] for leaf in records.of_kind(log, "approval.voted")}
    asked = {leaf["action"] for leaf in records.of_kind(log, "approval.asked")}
    expect(set(redeemed) & asked <= voted, "a production change was redeemed without a recorded vote")
    return held | set(redeemed)


def check_told(heard: list[Line], begun: dict[tuple[str, int], str], log: list[Leaf]) -> None:
    """Look that what agents were told fits effects and log. Raises Disproved."""
    reported = {leaf["action"] for leaf in records.of_kind(log, "action.outcome")}
    fates: dict[tuple[str, int], list[str]] = {}
    for line in heard:
        piece = (line["run"], line["number"])
        fates.setdefault(piece, []).append(line["fate"])
        if line["fate"] == "done":
            expect(begun.get(piece) == line["action"], f"{line} and no effect of it")
            expect(line["action"] in reported, f"{line} and its outcome is not in the log")
    last = Counter(said[-1] for said in fates.values())
    expect(set(last) <= {"done", "already"}, f"pieces of work ended with {last}")
    unknown = set(begun) - set(fates)
    expect(not unknown, f"pieces ran whose agents never said what became of them: {unknown}")


def _check_acknowledged(crew: Crew, log: list[Leaf]) -> None:
    told = crew.acknowledged
    voted = {leaf["approval"] for leaf in records.of_kind(log, "approval.voted")}
    expect(set(told.approvals) <= voted, f"acknowledged votes are lost: {set(told.approvals) - voted}")
    trips = Counter(leaf["breaker"] for leaf in records.of_kind(log, "breaker.tripped"))
    expect(trips.total() >= len(told.breakers), "acknowledged trips are lost")
    missing = set(told.records) - {leaf["id"] for leaf in log}
    expect(not missing, f"acknowledged decisions are lost: {missing}")


def _counts(
    deaths: Counter[str], crew: Crew, fates: Counter[str], *, effects: int, logged: int, restarts: list[float]
) -> dict[str, int | float | str]:
    told = crew.acknowledged
    return {
        "brokers killed": deaths.total(),
        **{f"at `{point}`": count for point, count in sorted(deaths.items())},
        "agents killed": told.agent_deaths,
        "runs finished": told.runs,
        "effects": effects,
        "told `done`": fates["done"],
        "told that it had run or may have run": fates["already"],
        "told that nobody could say, then tried again": fates["unavailable"],
        "acknowledged votes, trips and decisions": len(told.approvals) + len(told.breakers) + len(told.records),
        "records": logged,
        "acknowledged and lost": 0,
        "effects without a record": 0,
        "ran twice": 0,
        "restart after a kill, least of several, seconds": round(min(restarts), 2),
    }
