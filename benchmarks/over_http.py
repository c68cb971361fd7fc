"""Decisions over HTTP at 1, 16 and 64 connections, beside the floor; and one connection at a time, and a fixed rate.

Every contender serves from the same core, one after the other, in interleaved rounds; the load has the other core.
"""

import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import asks, houses, load
from benchmarks.children import measured
from benchmarks.load import Counters, Measured, Requests
from benchmarks.plan import Plan
from benchmarks.questions import answers, questions, world
from benchmarks.report import Findings, Row, micro, middle, rate
from benchmarks.servers import Server, serving

QUESTIONS: Final = 512
AIM_AT_64: Final = 0.15
FIXED_RATE: Final = 1_000.0
FIXED_CONNECTIONS: Final = 10
MEMORY_DISK: Final = Path("/dev/shm")  # noqa: S108  # a file system in memory is what is wanted
BUSY: Final = 0.95


@dataclass(frozen=True, slots=True)
class Contender:
    """A server with the requests that it is asked."""

    name: str
    server: Server
    requests: Requests


Rounds = dict[tuple[str, int], list[Measured]]


@contextmanager
def floor_server(folder: Path) -> Iterator[Server]:
    """Serve the floor."""
    with serving([sys.executable, "-m", "benchmarks.floor"], folder / "floor.log") as server:
        yield server


@contextmanager
def broker_server(house: houses.House, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Serve a broker from its folder, as `assent serve` does; `environment` is added to ours."""
    command = [sys.executable, "-m", "assent", "serve", "--config", str(house.settings_file)]
    with serving(command, house.folder / "serve.log", environment=environment) as server:
        yield server


@contextmanager
def contenders(plan: Plan, folder: Path) -> Iterator[list[Contender]]:
    """Serve the floor, the broker, and where there is a file system in memory the broker without a disk."""
    of = world(plan.rules)
    asked = questions(of, QUESTIONS, plan.seed)
    right = answers(of, asked)
    with ExitStack() as stack:
        floor = stack.enter_context(floor_server(folder))
        found = [Contender("floor", floor, asks.of_the_floor(asked))]
        places = {"durable": folder / "ledger.db"}
        if MEMORY_DISK.is_dir():
            places["not durable"] = MEMORY_DISK / f"assent-bench-{folder.name}.db"
        for name, ledger in places.items():
            house = houses.build(folder / name.replace(" ", "-"), of, ledger=ledger)
            stack.callback(_remove, ledger)
            server = stack.enter_context(broker_server(house))
            found.append(Contender(name, server, asks.of_questions(asked, right, house.agents)))
        yield found


def _remove(ledger: Path) -> None:
    # Beside the file lie its log and the copies of the policies that it served.
    for path in ledger.parent.glob(ledger.name + "*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def run(plan: Plan, findings: Findings, folder: Path) -> None:
    """Measure all contenders, interleaved, and print what they come to."""
    counters = Counters()
    found: Rounds = {}
    paced: Rounds = {}
    commits: list[dict[str, Any]] = []
    with contenders(plan, folder) as all_of_them:
        for contender in all_of_them:
            _one(contender, counters, 1, 0.5)
        for _ in range(plan.rounds):
            commits.append(measured("benchmarks.commit", folder, 1.0))
            for contender in all_of_them:
                for connections in plan.connections:
                    one = _one(contender, counters, connections, plan.round_seconds)
                    found.setdefault((contender.name, connections), []).append(one)
                if contender.name != "not durable":
                    paced.setdefault((contender.name, 0), []).append(_paced(contender, counters, plan))
    _tell(findings, plan, found)
    _tell_latency(findings, found, paced, commits)
    for name, rounds in (("http", found), ("http_fixed_rate", paced)):
        findings.keep(name, _raw(rounds))
    findings.keep("commit", commits)


def _one(contender: Contender, counters: Counters, connections: int, seconds: float) -> Measured:
    return load.run(
        contender.server,
        contender.requests,
        connections=connections,
        seconds=seconds,
        first_counter=counters.first(),
    )


def _paced(contender: Contender, counters: Counters, plan: Plan) -> Measured:
    return load.run(
        contender.server,
        contender.requests,
        connections=FIXED_CONNECTIONS,
        seconds=plan.round_seconds,
        first_counter=counters.first(),
        per_second=FIXED_RATE,
    )


def _raw(rounds: Rounds) -> Iterator[dict[str, Any]]:
    for (name, connections), several in rounds.items():
        for one in several:
            yield {"contender": name, "connections": connections, **asdict(one)}


def _of(rounds: Rounds, name: str, connections: int, what: str) -> float:
    return middle(getattr(one, what) for one in rounds[name, connections])


def _tell(findings: Findings, plan: Plan, found: Rounds) -> None:
    for connections in plan.connections:
        for name in ("floor", "durable", "not durable"):
            if (name, connections) in found:
                findings.add(_row(found, name, connections))
    _tell_ratio(findings, found, max(plan.connections))
    _tell_processor_time(findings, found, max(plan.connections))
    if ("not durable", 64) in found:
        durable, volatile = (_of(found, name, 64, "per_second") for name in ("durable", "not durable"))
        what = "what durability costs at 64 connections; not durable ÷ durable"
        findings.add(Row(goal="F4", what=what, ours=rate(durable), beside=rate(volatile), ratio=volatile / durable))


def _row(found: Rounds, name: str, connections: int) -> Row:
    speed, p50 = (_of(found, name, connections, what) for what in ("per_second", "p50_us"))
    p99 = _of(found, name, connections, "p99_us")
    return Row(
        what=f"HTTP, {connections} connections, {name}",
        ours=rate(speed),
        beside=f"p50 {micro(p50)}, p99 {micro(p99)}, {_cpu(found, name, connections)} CPU",
        ratio=speed / _of(found, "floor", connections, "per_second"),
    )


def _cpu(found: Rounds, name: str, connections: int) -> str:
    several = [one.cpu_us for one in found[name, connections] if one.cpu_us is not None]
    return micro(middle(several)) if several else "?"


def _tell_ratio(findings: Findings, found: Rounds, connections: int) -> None:
    ours, floor = (_of(found, name, connections, "per_second") for name in ("durable", "floor"))
    limited = _of(found, "floor", connections, "loader_busy") > BUSY
    findings.add(
        Row(
            goal="F1",
            what=f"durable decisions at {connections} connections ÷ floor",
            ours=rate(ours),
            beside=f"floor {rate(floor)}" + (", limited by the load" if limited else ""),
            ratio=ours / floor,
            aim=f"≥ {AIM_AT_64}",
            met=ours / floor >= AIM_AT_64,
        )
    )


def _tell_processor_time(findings: Findings, found: Rounds, connections: int) -> None:
    """The same ratio by processor time for each answer, which a busy neighbour disturbs less."""
    ours, floor = ([one.cpu_us for one in found[name, connections] if one.cpu_us] for name in ("durable", "floor"))
    if ours and floor:
        what = f"processor time at {connections} connections; floor ÷ ours"
        ratio = middle(floor) / middle(ours)
        findings.add(Row(goal="F1", what=what, ours=micro(middle(ours)), beside=micro(middle(floor)), ratio=ratio))


def _tell_latency(findings: Findings, found: Rounds, paced: Rounds, commits: list[dict[str, Any]]) -> None:
    commit50, commit99 = (middle(one[name] for one in commits) for name in ("p50_us", "p99_us"))
    bare = _of(found, "floor", 1, "p50_us") + commit50
    ours = _of(found, "durable", 1, "p50_us")
    what = "one connection, p50 ÷ (floor's round trip + one commit)"
    aim = {"aim": "≤ 1.25"}
    findings.add(
        Row(
            goal="F2",
            what=what,
            ours=micro(ours),
            beside=micro(bare),
            ratio=ours / bare,
            met=ours / bare <= 1.25,
            **aim,
        )
    )
    bare99 = 3 * _of(paced, "floor", 0, "p99_us") + commit99
    ours99 = _of(paced, "durable", 0, "p99_us")
    findings.add(
        Row(
            goal="F2",
            what="at 1,000/s, p99 ÷ (3 floor's p99 + one commit)",
            ours=f"{micro(ours99)}, kept {rate(_of(paced, 'durable', 0, 'per_second'))}",
            beside=micro(bare99),
            ratio=ours99 / bare99,
            aim="≤ 1",
            met=ours99 <= bare99,
        )
    )
