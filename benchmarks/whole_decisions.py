"""Whole decisions in process, durable and not, and how their cost grows with rules, agents and what is stored."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.children import measured
from benchmarks.plan import Plan
from benchmarks.report import Findings, Row, micro, middle, rate

MANY = 64
FEW_AGENTS = 10
GROWTH = 1.1


@dataclass(frozen=True, slots=True)
class Case:
    """One way to run the flow."""

    rules: int
    agents: int
    concurrent: int
    durable: bool = True
    stored: int = 0


def run(plan: Plan, findings: Findings, folder: Path) -> None:
    """Measure all cases, interleaved, and print what they come to."""
    alone = Case(plan.rules, MANY, 1)
    together = Case(plan.rules, MANY, MANY)
    volatile = Case(plan.rules, MANY, MANY, durable=False)
    few = Case(plan.rules, FEW_AGENTS, MANY)
    many_rules = Case(plan.many_rules, MANY, MANY)
    many_agents = Case(plan.rules, plan.many_agents, MANY)
    many_stored = Case(plan.rules, MANY, MANY, stored=plan.many_stored)
    cases = (alone, together, volatile, few, many_rules, many_agents, many_stored)
    found: dict[Case, list[dict[str, Any]]] = {case: [] for case in cases}
    for _ in range(plan.flow_rounds):
        for case in cases:
            found[case].append(_measure(plan, folder, case))
    findings.keep("flows", [one for several in found.values() for one in several])

    def of(case: Case, name: str) -> float:
        return middle(one[name] for one in found[case])

    for case, what in ((alone, "one at a time"), (together, "64 at a time"), (volatile, "64 at a time, not durable")):
        speed, latency = rate(of(case, "per_second")), micro(of(case, "p50_us"))
        beside = f"p99 {micro(of(case, 'p99_us'))}, {micro(of(case, 'cpu_us'))} CPU each"
        findings.add(Row(what=f"whole decision in process, {what}", ours=f"{speed}, p50 {latency}", beside=beside))
    _growth(findings, f"{many_rules.rules:,} ÷ {plan.rules:,} rules", of(many_rules, "cpu_us"), of(together, "cpu_us"))
    _growth(findings, f"{many_agents.agents:,} ÷ {FEW_AGENTS} agents", of(many_agents, "cpu_us"), of(few, "cpu_us"))
    _growth(findings, f"{plan.many_stored:,} ÷ 0 decisions stored", of(many_stored, "cpu_us"), of(together, "cpu_us"))


def _measure(plan: Plan, folder: Path, case: Case) -> dict[str, Any]:
    durable = "yes" if case.durable else "no"
    size = (case.rules, case.agents, case.concurrent)
    return measured("benchmarks.flows", folder, *size, plan.round_seconds, durable, case.stored)


def _growth(findings: Findings, what: str, after: float, before: float) -> None:
    grown = after / before
    findings.add(
        Row(
            goal="F3",
            what=f"whole decision, processor time, {what}",
            ours=micro(after),
            beside=micro(before),
            ratio=grown,
            aim=f"≤ {GROWTH}",
            met=grown <= GROWTH,
        )
    )
