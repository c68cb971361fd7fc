"""How the cost of judging grows with the number of rules: ours, stock Casbin and Cedar, the same questions."""

from collections import defaultdict
from dataclasses import replace
from typing import Any, Final

from benchmarks import loading
from benchmarks.children import measured
from benchmarks.plan import Plan
from benchmarks.questions import Shape
from benchmarks.report import Findings, Row, micro, middle

Measured = list[dict[str, Any]]
AIMS: Final = {"load": 3.0, "check": 10.0}
"""Seconds of processor time for 100,000 rules."""
GROWTH: Final = 1.1
DEAREST_MS: Final = 100.0
"""Of processor time for one decision, whatever the policy and the question."""


def run(plan: Plan, findings: Findings) -> None:
    """Measure every engine at every size, interleaved, then the worst shape for an index by role."""
    found: dict[tuple[str, int], Measured] = defaultdict(list)
    for _ in range(plan.engine_rounds):
        for size in plan.engine_sizes:
            for engine in ("assent", "casbin", "cedar"):
                found[engine, size].append(_judge(plan, engine, size, Shape.MIXED))
    findings.keep("engines", [one for several in found.values() for one in several])
    for size in plan.engine_sizes:
        _compare(findings, found, size)
    _grow(plan, findings, found)
    _deep(plan, findings)
    _files(plan, findings)
    _dearest(findings)


def with_predicates(plan: Plan, findings: Findings) -> None:
    """Measure how judging grows with the number of rules while every kind of predicate is in play."""
    sizes = (plan.rules, plan.many_rules)
    found: dict[int, Measured] = {size: [] for size in sizes}
    for _ in range(plan.engine_rounds):
        for size in sizes:
            found[size].append(measured("benchmarks.predicates", size, plan.engine_seconds))
    findings.keep("predicates", [one for several in found.values() for one in several])
    before, after = (_p50(found[size]) for size in sizes)
    what = f"judging with every kind of predicate, 13 conditions each, {sizes[1]:,} ÷ {sizes[0]:,} rules, p50"
    grown = after / before
    row = Row(goal="F3", what=what, ours=micro(after), beside=micro(before), ratio=grown, aim=f"≤ {GROWTH:g}")
    findings.add(replace(row, met=grown <= GROWTH))


def _judge(plan: Plan, engine: str, size: int, shape: Shape) -> dict[str, Any]:
    return measured("benchmarks.engines", engine, size, shape.value, plan.engine_seconds)


def _p50(several: Measured) -> float:
    return middle(one["p50_us"] for one in several)


def _compare(findings: Findings, found: dict[tuple[str, int], Measured], size: int) -> None:
    ours = _p50(found["assent", size])
    for engine, name in (("casbin", "stock Casbin"), ("cedar", "cedarpy")):
        peer = _p50(found[engine, size])
        what = f"judging in process, {size:,} rules, p50; peer ÷ ours"
        findings.add(Row(what=what, ours=micro(ours), beside=f"{name} {micro(peer)}", ratio=peer / ours))


def _grow(plan: Plan, findings: Findings, found: dict[tuple[str, int], Measured]) -> None:
    small, large = plan.rules, plan.engine_sizes[-1]
    before, after = _p50(found["assent", small]), _p50(found["assent", large])
    what = f"judging, {large:,} rules ÷ {small:,} rules, p50"
    grown = after / before
    findings.add(Row(goal="F3", what=what, ours=micro(after), beside=micro(before), ratio=grown))


def _deep(plan: Plan, findings: Findings) -> None:
    sizes = (plan.rules, plan.engine_sizes[-1])
    found = [_judge(plan, "assent", size, Shape.DEEP) for size in sizes]
    findings.keep("engines", found)
    before, after = (one["p50_us"] for one in found)
    what = f"the same with all rules in one role, {sizes[1]:,} ÷ {sizes[0]:,}"
    findings.add(Row(goal="F3", what=what, ours=micro(after), beside=micro(before), ratio=after / before))


def _files(plan: Plan, findings: Findings) -> None:
    """Measure loading and checking as processor time: what else runs on the machine says nothing about a policy."""
    size = plan.many_rules
    for when, described in ((loading.PLAIN, ""), (loading.CONDITIONS, ", each with a condition")):
        for what, aim in AIMS.items():
            several = [_load(what, size, when) for _ in range(plan.engine_rounds)]
            findings.keep("loading", several)
            used = middle(one["cpu_seconds"] for one in several)
            held = middle(one["memory_mb"] for one in several)
            said = f"{what}ing {size:,} rules{described}, processor time"
            beside = f"{middle(one['seconds'] for one in several):.1f} s, {held:.0f} MB more"
            row = Row(what=said, ours=f"{used:.2f} s", beside=beside, ratio=used / aim, aim=f"≤ {aim:g} s")
            findings.add(replace(row, met=used <= aim))


def _load(what: str, size: int, when: str) -> dict[str, Any]:
    return measured("benchmarks.loading", what, size, Shape.MIXED.value, when)


def _dearest(findings: Findings) -> None:
    found = measured("benchmarks.dearest")["dearest"]
    findings.keep("dearest", found)
    worst = max(found, key=lambda one: one["milliseconds"])
    took = worst["milliseconds"]
    row = Row(what="the dearest decision that a policy can ask for, processor time", ours=f"{took:.0f} ms")
    beside, aim = f"{worst['rules']:,} times {worst['kind']}", f"≤ {DEAREST_MS:g} ms"
    findings.add(replace(row, beside=beside, ratio=took / DEAREST_MS, aim=aim, met=took <= DEAREST_MS))
