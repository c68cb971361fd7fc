"""People's answers (F6): from a click in Slack to the agent running, and ten thousand agents who wait at once.

The two are measured apart: at Slack's one message a second and channel, ten thousand cards would take hours.
"""

from pathlib import Path
from typing import Any, Final

from benchmarks.children import measured
from benchmarks.plan import Plan
from benchmarks.report import Findings, Row, micro, middle

RUNNING_MS: Final = 50.0
KB_EACH: Final = 30.0
WAYS: Final = {"socket": "Socket Mode", "http": "HTTP"}
ANSWERS: Final = 50


def run(plan: Plan, findings: Findings, folder: Path) -> None:
    """Measure clicks over both ways in, and agents that wait."""
    for way, name in WAYS.items():
        rounds = [measured("benchmarks.slack_clicks", folder, way, plan.click_rounds) for _ in range(plan.flow_rounds)]
        findings.keep("clicks", rounds)
        _tell_clicks(findings, name, rounds)
    parked = measured("benchmarks.parked", folder, plan.waiting, ANSWERS)
    findings.keep("parked", [parked])
    _tell_parked(findings, parked)


def _tell_clicks(findings: Findings, name: str, rounds: list[dict[str, Any]]) -> None:
    p50, p99 = (middle(one[part] for one in rounds) for part in ("p50_ms", "p99_ms"))
    acknowledged = middle(one["acknowledged_p99_ms"] for one in rounds)
    clicks = sum(one["clicks"] for one in rounds)
    findings.add(
        Row(
            goal="F6",
            what=f"click to agent running, {name}, {clicks} clicks, p99",
            ours=f"{p99:.1f} ms",
            beside=f"p50 {p50:.1f} ms, acknowledged {acknowledged:.1f} ms p99",
            ratio=p99 / RUNNING_MS,
            aim=f"≤ {RUNNING_MS:g} ms",
            met=p99 <= RUNNING_MS,
        )
    )


def _tell_parked(findings: Findings, parked: dict[str, Any]) -> None:
    count = f"{parked['count']:,}"
    findings.add(
        Row(
            goal="F6",
            what=f"memory for each of {count} pending with its long-poll",
            ours=f"{parked['kb_each']:.1f} kB",
            beside=f"{parked['idle_share']:.0%} of a core while nothing happens",
            ratio=parked["kb_each"] / KB_EACH,
            aim=f"≤ {KB_EACH:g} kB",
            met=parked["kb_each"] <= KB_EACH,
        )
    )
    findings.add(
        Row(
            what=f"processor time of an ask and its poll, last ÷ first of {count}",
            ours=micro(parked["last_us"]),
            beside=f"{micro(parked['first_us'])}, {parked['put_off']} put off",
            ratio=parked["last_us"] / parked["first_us"],
        )
    )
    findings.add(
        Row(
            what=f"yes over HTTP to agent running, beside {count} that wait, p50",
            ours=f"{parked['p50_ms']:.1f} ms",
            beside=f"worst of {ANSWERS}: {parked['worst_ms']:.1f} ms",
        )
    )
