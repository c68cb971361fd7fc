"""The alerts and the dashboard in deploy/: every expression is one, and looks at metrics that the broker tells."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from assent.metrics import FAMILIES

ROOT = Path(__file__).parent.parent
ALERTS = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())
BOARD = json.loads((ROOT / "deploy/grafana/assent.json").read_text())
RULES: list[dict[str, Any]] = [rule for group in ALERTS["groups"] for rule in group["rules"]]
PANELS: list[dict[str, Any]] = BOARD["panels"]
# What Prometheus itself says of a target, and what stands for a variable of Grafana while an expression is read.
NOT_OURS = {"up"}
INTERVAL, WHERE = "5m", ".*"
LABELS = {family.name: {*family.labels, "instance", "job"} for family in FAMILIES}


def expressions() -> Iterator[Any]:
    for rule in RULES:
        yield pytest.param(rule["expr"], id=rule["alert"])
    for panel in PANELS:
        for target in panel["targets"]:
            yield pytest.param(target["expr"], id=f"{panel['title']}-{target['refId']}")


def selectors(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Yield each metric that is looked at, with the labels that it is chosen by."""
    read = promql_parser.parse(expression.replace("$__rate_interval", INTERVAL).replace("$instance", WHERE))
    for found in re.finditer(r"(?P<name>[a-z_]+)(?:\{(?P<labels>[^}]*)\})?", read.prettify()):
        if found["name"].startswith("assent_") or found["name"] in NOT_OURS:
            yield found["name"], set(re.findall(r"(\w+)[=!~]", found["labels"] or ""))


def family_of(name: str) -> str:
    """Return the family of a series: a histogram has three."""
    return re.sub(r"_seconds_(bucket|count|sum)$", "_seconds", name)


@pytest.mark.parametrize("expression", list(expressions()))
def test_an_expression_looks_at_metrics_and_labels_that_there_are(expression: str) -> None:
    found = list(selectors(expression))
    assert found
    for name, labels in found:
        assert name in NOT_OURS or labels <= LABELS[family_of(name)] | {"le"}, (name, labels)


def test_what_is_no_expression_is_noticed() -> None:
    with pytest.raises(ValueError, match="paren"):
        promql_parser.parse("rate(assent_decisions_total[5m]")


def test_every_metric_is_looked_at_by_the_dashboard() -> None:
    looked = {family_of(name) for panel in PANELS for one in panel["targets"] for name, _ in selectors(one["expr"])}
    assert looked - NOT_OURS == {family.name for family in FAMILIES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_urgent_it_is_what_it_means_and_what_to_read(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"].endswith(".")
    page, _, section = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / "docs" / page).read_text(), re.MULTILINE)
    assert not section or section in {heading.lower().replace(" ", "-") for heading in headings}


def test_what_the_page_calls_worth_an_alarm_has_one() -> None:
    page = (ROOT / "docs/metrics.md").read_text()
    worth = page.partition("Worth an alarm")[2]
    assert set(re.findall(r"assent_\w+", worth)) <= {n for r in RULES for n, _ in selectors(r["expr"])}


def test_panels_do_not_lie_on_each_other_and_have_ids_of_their_own() -> None:
    cells = [
        (x, y)
        for at in (panel["gridPos"] for panel in PANELS)
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
