"""The SDK's round trip beside the bare one (F8)."""

from pathlib import Path

from benchmarks import houses
from benchmarks.children import measured
from benchmarks.over_http import broker_server, floor_server
from benchmarks.plan import Plan
from benchmarks.questions import Answer, Question, answers, questions, world
from benchmarks.report import Findings, Row, micro, middle

AIM = 1.5


def run(plan: Plan, findings: Findings, folder: Path) -> None:
    """Measure in interleaved rounds against one broker."""
    of = world(plan.rules)
    house = houses.build(folder / "sdk", of)
    asked = questions(of, 100, plan.seed)
    allowed = next(q for q, right in zip(asked, answers(of, asked), strict=True) if right is Answer.ALLOW)
    trips, commits = [], []
    with broker_server(house) as server, floor_server(folder) as _:
        for _round in range(plan.rounds):
            commits.append(measured("benchmarks.commit", folder, 0.5))
            trips.append(_trips(server.port, house, allowed, plan.round_seconds / 2))
    findings.keep("sdk", trips)
    begun, ended, bare = (middle(one[name] for one in trips) for name in ("begun_us", "ended_us", "bare_us"))
    least = bare + middle(one["p50_us"] for one in commits)
    findings.add(
        Row(
            goal="F8",
            what="SDK: authenticated, decided, durable, held, p50 ÷ (bare GET + commit)",
            ours=micro(begun),
            beside=f"{micro(least)}, bare GET {micro(bare)}",
            ratio=begun / least,
            aim=f"≤ {AIM}",
            met=begun / least <= AIM,
        )
    )
    findings.add(Row(what="SDK: outcome reported, durable, p50", ours=micro(ended)))


def _trips(port: int, house: houses.House, allowed: Question, seconds: float) -> dict[str, float]:
    path = allowed.path.removesuffix(".txt")
    return measured("benchmarks.sdk_trips", port, house.agents[allowed.agent], allowed.tool, path, seconds)
