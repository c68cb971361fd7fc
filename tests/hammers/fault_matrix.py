"""The fault matrix: brokers on one PostgreSQL and one Valkey at work, and one fault after the other done to them.

Each row has brokers, a database and a Redis of its own. Agents with the SDK and without, approvers, an owner who may
not approve, and somebody who trips, resets and suspends are at work behind a load balancer while the fault is done and
undone. Then a process that shares no code with the broker reads the log, what agents did and what everybody was told.
"""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from assent.policy import load
from tests.hammers import broker, policy, trips
from tests.hammers.broker import Installation
from tests.hammers.budget import Budget, Disproved, Report, expect
from tests.hammers.fault_agents import Plan
from tests.hammers.fault_rows import ROWS, Fault, Load, Stage, is_possible
from tests.hammers.storm_crew import StormCrew
from tests.replicas.fleet import Fleet, fleet

FULL_FAULTS: Final = len(ROWS)
RECOVERY_SECONDS: Final = 60.0
CHECK_SECONDS: Final = 300.0
LOOK_EACH_SECONDS: Final = 0.05
NOT_NOW: Final = "broker_unavailable"
ALARMS: Final = ("row_forged", "verification_failed")
PEOPLE: Final = frozenset({policy.EVE, policy.OMAR, policy.OWNER})
HEAD: Final = (
    "fault",
    "lasted, s",
    "first decision after it, s",
    "longest without one, s",
    "runs",
    "agents told that nothing can be decided now",
    "people: answered / not now / no answer",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How many seconds there are before a fault, while it lasts, and after it."""

    before: float = 2.0
    during: float
    after: float = 3.0


SHORT: Final = Times(before=0.5, during=0.5, after=0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One row that held: when the fault began and ended, what was counted, and what was seen from outside."""

    row: Fault
    lasted: float
    first_after: float
    gap: float
    counts: Counter[str]
    agents: Counter[str]
    people: Counter[str]

    def line(self) -> tuple[str, ...]:
        """Return its line of the table."""
        people = self.people
        return (
            self.row.name,
            f"{self.lasted:.1f}",
            f"{self.first_after:.2f}",
            f"{self.gap:.2f}",
            f"{self.agents['ran']:,}",
            f"{self.agents[NOT_NOW]:,}",
            f"{people['answered']:,} / {people['not now']:,} / {people['no answer']:,}",
        )


def run(folder: Path, budget: Budget) -> Report:
    """Play every row, or some that are quick, as the budget says."""
    is_full = budget.hits is not None
    rows = [row for row in ROWS if is_possible(row) and (is_full or row.is_quick)]
    if not is_full:
        budget.random().shuffle(rows)
    played: list[Played] = []
    while len(played) < len(rows) and budget.goes_on(len(played)):
        row = rows[len(played)]
        played.append(play(row, folder / f"row-{len(played)}", budget.seed, is_short=not is_full))
        print("  " + " | ".join(played[-1].line()), flush=True)
    return _report(played, [row.name for row in ROWS if not is_possible(row)])


def play(row: Fault, folder: Path, seed: int, *, is_short: bool = False) -> Played:
    """Play one row. Raises Disproved."""
    folder.mkdir()
    try:
        with row.stage(folder) as stage, _fleet(row, stage, folder) as here:
            stage.begin(here)
            here.start()
            facts = _facts(here)
            with _at_work(row, here, seed) as crew:
                began, ended = _done(row, here, SHORT if is_short else Times(during=row.seconds))
            codes = here.stop()
            expect(not any(codes), f"brokers ended with {codes}")
            _demand_no_alarm(here)
            (folder / "facts.json").write_text(json.dumps(facts))
            counts = _check(here, folder, crew) + here.seen + Counter(stage.count())
            _verify(here, crew.kept)
    except Disproved as seen:
        raise Disproved(f"{row.name}: {seen}") from seen
    return _seen(row, folder, counts, began, ended)


def _fleet(row: Fault, stage: Stage, folder: Path) -> AbstractContextManager[Fleet]:
    def prepare(at: Installation) -> None:
        # Redis counts what is asked; nothing is ever too much.
        rules = at.folder / "policies" / "breakers.yaml"
        rules.write_text(trips.RULES)
        rules.chmod(0o644)
        stage.prepare(at)

    return fleet(folder, row.brokers, prepare=prepare, data=stage.data, more_lines=stage.more_lines)


def _facts(here: Fleet) -> dict[str, Any]:
    """Return what the checker must know of the policy."""
    version = load(here.replicas[0].at.folder / "policies", lambda: datetime.now(UTC)).version
    return {"versions": {version: {"approvers": [policy.EVE, policy.OMAR]}}, "needs": {"default": 1}}


@contextmanager
def _at_work(row: Fault, here: Fleet, seed: int) -> Iterator[StormCrew]:
    """Let everybody work until the block ends, and finish what they have begun."""
    crew = StormCrew(here.at, here.folder / "journal", seed, answers=row.answers)
    agents = _agents(row.load, here, seed)
    try:
        crew.start()
        yield crew
        said, _ = agents.communicate(timeout=RECOVERY_SECONDS)
        expect(said == "done\n", f"the agents ended with {agents.returncode}")
        crew.finish()
    finally:
        agents.kill()
        agents.communicate()
        crew.leave()
    expect(not crew.faults, f"the crew could not go on: {crew.faults[:2]}")


def _agents(load: Load, here: Fleet, seed: int) -> "subprocess.Popen[str]":
    keys = {policy.AGENT: list(here.at.agent_keys[-4:]), policy.OTHER_AGENT: [here.at.other_agent_key]}
    plan = Plan(here.at.url, keys, str(here.folder), seed, load.workers, load.pause_seconds, load.places)
    file = here.folder / "plan.json"
    file.write_text(json.dumps(asdict(plan)))
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.hammers.fault_agents", str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=broker.ROOT,
    )
    expect(process.stdout and process.stdout.readline() == "working\n", "the agents did not come up")
    return process


def _done(row: Fault, here: Fleet, times: Times) -> tuple[int, int]:
    """Do the fault and undo it; return when it began and ended, once all is well again. Raises Disproved."""
    with row.around(here):
        time.sleep(times.before)
        began = time.monotonic_ns()
        with row.done(here):
            time.sleep(times.during)
            ended = time.monotonic_ns()
        here.until_ready()
        until = time.monotonic() + RECOVERY_SECONDS
        while not any(when > ended for when in _decided(here.folder)):
            expect(time.monotonic() < until, "nothing was decided any more")
            time.sleep(LOOK_EACH_SECONDS)
        time.sleep(times.after)
    return began, ended


def _journal(folder: Path, pattern: str) -> Iterator[dict[str, Any]]:
    for file in sorted(folder.glob(pattern)):
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        yield from (json.loads(line) for line in lines if line.endswith("\n"))


def _demand_no_alarm(here: Fleet) -> None:
    """Look that no broker took a fault for somebody's hand in the database. Raises Disproved."""
    for replica in here.replicas:
        told = replica.at.log.read_text(encoding="utf-8").splitlines() if replica.at.log.exists() else []
        alarms = [line for line in told if any(f'"code": "{code}"' in line for code in ALARMS)]
        expect(not alarms, f"a false alarm: {alarms[:1]}")


def _decided(folder: Path) -> list[int]:
    """Return when agents with the SDK were told what was decided, a denial too, in order."""
    told = (line for line in _journal(folder, "sdk-*.jsonl") if "heard" in line)
    return sorted(line["heard"] for line in told if line.get("code") != NOT_NOW)


def _check(here: Fleet, folder: Path, crew: StormCrew) -> Counter[str]:
    """Let the checker read everything; it is no part of this process. Raises Disproved."""
    log = folder / "log.jsonl"
    log.write_text("".join(f"{leaf}\n" for leaf in here.leaves()), encoding="utf-8")
    kept = folder / "kept.jsonl"
    kept.write_text("".join(json.dumps({"what": "checkpoint", "note": one.read_text()}) + "\n" for one in crew.kept))
    journals = [kept, *crew.journals, *sorted(folder.glob("sdk-*.jsonl"))]
    command = [sys.executable, "-m", "tests.hammers.fault_check", str(log), str(folder / "facts.json")]
    done = subprocess.run(
        [*command, *map(str, journals)],
        capture_output=True,
        text=True,
        timeout=CHECK_SECONDS,
        check=False,
        cwd=broker.ROOT,
    )
    expect(done.returncode == 0, done.stderr.strip()[-3_000:])
    return Counter(json.loads(done.stdout))


def _verify(here: Fleet, kept: Sequence[Path]) -> None:
    """Let an auditor verify the log, with every checkpoint that was kept meanwhile. Raises Disproved."""
    at = here.replicas[0].at
    command = [sys.executable, "-m", "assent", "audit", "verify", "--config", str(at.folder / "assent.toml")]
    checkpoints = [part for file in kept for part in ("--checkpoint", str(file))]
    keys = ["--keys", str(at.folder / "keys")]
    done = subprocess.run(
        [*command, *keys, *checkpoints], capture_output=True, text=True, timeout=CHECK_SECONDS, check=False
    )
    expect(done.returncode == 0, f"the log does not verify: {done.stdout}{done.stderr}")


def _seen(row: Fault, folder: Path, counts: Counter[str], began: int, ended: int) -> Played:
    """Return what was seen from outside from the beginning of the fault on."""
    decided = [when for when in _decided(folder) if when > began]
    told: Counter[str] = Counter()
    for line in _journal(folder, "sdk-*.jsonl"):
        if line.get("heard", 0) > began:
            told["ran" if line["what"] == "began" else line["code"]] += 1
    people: Counter[str] = Counter()
    for line in _journal(folder / "journal", "*.jsonl"):
        if line["who"] in PEOPLE and line.get("sent", 0) > began:
            people["no answer" if line.get("lost") else "not now" if line["status"] == 503 else "answered"] += 1
    if row.spares:
        counts[f"decisions a second while {row.name}"] = _rate(decided, ended)
    spared = {code: times for code, times in told.items() if code == NOT_NOW}
    expect(not row.spares or not spared, f"agents were told that it cannot be decided now: {spared}")
    return Played(
        row=row,
        lasted=(ended - began) / 1e9,
        first_after=(next(when for when in decided if when > ended) - ended) / 1e9,
        gap=max(later - earlier for earlier, later in zip([began, *decided], decided, strict=False)) / 1e9,
        counts=counts,
        agents=told,
        people=people,
    )


def _rate(decided: Sequence[int], until: int) -> int:
    """Return how many decisions a second there were from the beginning of a fault to its end."""
    during = [when for when in decided if when <= until]
    return round(len(during) / ((during[-1] - during[0]) / 1e9)) if len(during) > 1 else 0


def _report(played: Sequence[Played], untried: Sequence[str]) -> Report:
    counts: Counter[str] = sum((one.counts for one in played), Counter())
    return Report(
        counts={
            "faults": len(played),
            "brokers": "2 behind a load balancer, where nothing else is said",
            **{f"not tried, because only root can: {name}": 0 for name in untried},
            **{name: counts[name] for name in sorted(counts)},
            "allowed or redeemed after a trip was answered, or without a yes": 0,
            "ran twice": 0,
            "effects without a record": 0,
            "acknowledged and lost": 0,
            "logs that do not verify": 0,
            "checkpoints that are not of the one tree": 0,
            "false alarms of forgery": 0,
        },
        head=HEAD,
        rows=tuple(one.line() for one in played),
    )


def main(*names: str) -> None:
    """Play the rows whose name begins so, by hand."""
    import tempfile

    for row in (row for row in ROWS if row.name.startswith(names)):
        with tempfile.TemporaryDirectory(prefix="assent-fault-") as folder:
            played = play(row, Path(folder) / "row", seed=1)
            print(played.line(), dict(played.agents), dict(played.people), dict(played.counts), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
