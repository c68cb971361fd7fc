"""Traces from the agent's call to the outcome: a real broker, a real receiver; what hangs or lies changes no answer."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.exports.collector import Collector, collecting, facts
from tests.serving.broker_process import BrokerProcess, Home, make_home, run
from tests.serving.patience import until

TRACE, SPAN, SECRET = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "canary"
SAID = f"00-{TRACE}-{SPAN}-01"
ATTEMPT = "a" * 32


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return make_home(tmp_path_factory.mktemp("made") / "broker")


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture
def broker(made: Home, tmp_path: Path, collector: Collector) -> Iterator[BrokerProcess]:
    home = made.copied(tmp_path / "broker")
    with BrokerProcess(home=home, env={"ASSENT_OTEL_ENDPOINT": collector.url}) as broker:
        yield broker


def ask(broker: BrokerProcess, path: str, **more: Any) -> Any:
    body = {"tool": "files.write", "arguments": {"path": path, "content": SECRET}, "reason": SECRET}
    return broker.as_agent("POST", "/v1/actions", {**body, **more})


def told(broker: BrokerProcess) -> dict[str, int]:
    with urlopen(f"{broker.url}/metrics", timeout=10) as answer:  # noqa: S310  # our own broker on loopback
        found = re.findall(r'assent_spans_total\{result="(\w+)"\} (\d+)', answer.read().decode())
    return {result: int(count) for result, count in found}


@pytest.mark.requirement("P9")
def test_an_action_that_a_person_approves_is_one_trace_from_the_ask_to_the_outcome(
    broker: BrokerProcess, collector: Collector
) -> None:
    asked = ask(broker, f"prod/{SECRET}", context={"trace": SAID, "model": {"name": SECRET, "version": "1"}})
    approve = f"/v1/approvals/{asked['approval']['id']}/approve"
    broker.as_operator("POST", approve, {"digest_prefix": asked["digest"][:12], "comment": SECRET})
    ready = broker.as_agent("GET", f"/v1/actions/{asked['action_id']}")
    redeem = {"attempt": ATTEMPT, "digest": asked["digest"]}
    broker.as_agent("POST", f"/v1/grants/{ready['grant']['id']}/redeem", redeem)
    outcome = {"attempt": ATTEMPT, "status": "failed", "duration_ms": 5, "error": SECRET}
    for _ in range(2):  # told again, counted once
        broker.as_agent("POST", f"/v1/actions/{asked['action_id']}/outcome", outcome)
    spans = {span.name: span for span in collector.until(3)}
    assert set(spans) == {"assent.decide", "assent.approval", "assent.run"}
    assert {span.trace_id.hex() for span in spans.values()} == {TRACE}
    assert {span.parent_span_id.hex() for span in spans.values()} == {SPAN}
    decide, approval, ran = spans["assent.decide"], spans["assent.approval"], spans["assent.run"]
    assert [link.span_id for link in approval.links] == [decide.span_id]
    assert facts(decide) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.agent.id": "demo-agent",
        "gen_ai.tool.name": "files.write",
        "assent.action.id": asked["action_id"],
        "assent.environment": "production",
        "assent.answer": "pending",
    }
    assert (facts(approval)["assent.state"], facts(ran)["assent.outcome"]) == ("ready", "failed")
    assert approval.end_time_unix_nano > approval.start_time_unix_nano
    assert broker.stop() == 0
    assert SECRET.encode() not in b"".join(collector.raw)
    assert len(collector.spans) == 3


@pytest.mark.requirement("T12")
@pytest.mark.parametrize("said", ["garbage", f"00-{'0' * 32}-{SPAN}-01", "x" * 512])
def test_a_trace_that_is_none_is_ignored_and_the_action_has_one_of_its_own(
    broker: BrokerProcess, collector: Collector, said: str
) -> None:
    asked = ask(broker, "staging/1", context={"trace": said})
    assert asked["decision"] == "allow"
    (span,) = collector.until(1)
    assert (facts(span)["assent.action.id"], span.parent_span_id) == (asked["action_id"], b"")


def test_what_its_caller_does_not_record_is_not_told(broker: BrokerProcess, collector: Collector) -> None:
    ask(broker, "staging/1", context={"trace": SAID.replace("-01", "-00")})
    second = ask(broker, "staging/2", context={"trace": SAID})
    (span,) = collector.until(1)
    assert facts(span)["assent.action.id"] == second["action_id"]


@pytest.mark.requirement("P2")
def test_a_collector_that_hangs_and_one_that_is_gone_change_no_answer(
    broker: BrokerProcess, collector: Collector
) -> None:
    collector.mode = "hang"
    assert ask(broker, "staging/1")["decision"] == "allow"
    collector.until_asked()
    assert [ask(broker, f"staging/{n}")["decision"] for n in range(2, 12)] == ["allow"] * 10
    collector.mode = "take"
    collector.over.set()
    until(lambda: told(broker).get("sent", 0) > 0)
    collector.shutdown()
    collector.server_close()
    assert ask(broker, "staging/12")["decision"] == "allow"
    assert broker.stop() == 0


def test_without_a_collector_nothing_of_it_is_loaded_nor_counted(made: Home, tmp_path: Path) -> None:
    program = "import sys, assent.serving.process; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    theirs = ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.proto", "assent.exports")
    assert [name for name in done.stdout.split() if name.startswith(theirs)] == []
    with BrokerProcess(home=made.copied(tmp_path / "broker")) as broker:
        assert told(broker) == {}


def test_an_endpoint_elsewhere_in_the_clear_is_refused(made: Home) -> None:
    refused = run(
        "serve", "--config", str(made.config), "--port", "0", env={"ASSENT_OTEL_ENDPOINT": "http://collector:4318"}
    )
    assert refused.returncode != 0
    assert "`ASSENT_OTEL_ENDPOINT` is `http://collector:4318`: write it as https" in refused.stderr
