"""Crashes at every named point: what was answered is kept, nothing half happened, and the broker comes back."""

from collections.abc import Callable
from itertools import count, pairwise
from typing import Any

import pytest

from assent.core.errors import ConfigInvalid
from assent.wiring.failpoints import POINTS, failpoint
from tests.serving.broker_process import BrokerProcess, Home, run

KILLED = -9
ATTEMPT = "a" * 22
RUNS = count()


def asked(broker: BrokerProcess) -> Any:
    run = f"run-{next(RUNS)}"
    what = {"tool": "files.write", "arguments": {"path": "prod/a", "content": "x"}, "run_id": run}
    return broker.as_agent("POST", "/v1/actions", what)


def approved(broker: BrokerProcess) -> Any:
    action = asked(broker)
    path = f"/v1/approvals/{action['approval']['code']}/approve"
    broker.as_operator("POST", path, {"digest_prefix": action["digest"][:12]})
    return broker.as_agent("GET", f"/v1/actions/{action['action_id']}")


def redeemed(broker: BrokerProcess) -> Any:
    action = approved(broker)
    claim = {"attempt": ATTEMPT, "digest": action["digest"]}
    broker.as_agent("POST", f"/v1/grants/{action['grant']['id']}/redeem", claim)
    return action


def reported(broker: BrokerProcess) -> None:
    action = redeemed(broker)
    outcome = {"attempt": ATTEMPT, "status": "succeeded"}
    broker.as_agent("POST", f"/v1/actions/{action['action_id']}/outcome", outcome)


def tripped(broker: BrokerProcess) -> None:
    broker.as_operator("POST", "/v1/breakers/trip", {"scope": {"agent": "somebody-else"}})


# Which story dies at a point, and how many records of that kind the ledger holds afterwards.
STORIES: dict[str, tuple[Callable[[BrokerProcess], Any], str, int]] = {
    "before_commit": (asked, "action.decided", 0),
    "after_commit": (asked, "action.decided", 1),
    "before_answer": (asked, "action.decided", 1),
    "after_answer": (asked, "action.decided", 1),
    "before_vote_commit": (approved, "approval.voted", 0),
    "after_vote_commit": (approved, "approval.voted", 1),
    "before_redeem_commit": (redeemed, "grant.redeemed", 0),
    "after_redeem_commit": (redeemed, "grant.redeemed", 1),
    "before_outcome_commit": (reported, "action.outcome", 0),
    "after_outcome_commit": (reported, "action.outcome", 1),
    "before_trip_commit": (tripped, "breaker.tripped", 0),
    "after_trip_commit": (tripped, "breaker.tripped", 1),
}
BY_ITSELF = {
    "during_tick",
    "during_integration",
    "during_delivery",
}  # the last one's stories: tests/slack/test_crash.py


def test_every_point_has_a_story() -> None:
    assert STORIES.keys() | BY_ITSELF == POINTS.keys()


@pytest.mark.timeout(300)
@pytest.mark.requirement("P2", "T20")
def test_a_crash_at_each_named_point_leaves_all_or_nothing(home: Home) -> None:
    with BrokerProcess(home=home, env=dying_at("before_commit")) as broker:
        for name, following in pairwise([*STORIES, None]):
            story, kind, more = STORIES[str(name)]
            before = len(broker.records(kind))
            with pytest.raises(ConnectionError):
                tell(story, broker)
            assert (name, broker.end()) == (name, KILLED)
            broker.env = dying_at(following)
            broker.start()
            assert (name, len(broker.records(kind)) - before) == (name, more)
        assert len(broker.records("broker.started")) == len(STORIES) + 1
        assert broker.ask("files.read", path="staging/a")["decision"] == "allow"


def dying_at(name: str | None) -> dict[str, str]:
    many = {"ASSENT_OPEN_PER_AGENT": "100", "ASSENT_ASKS_PER_AGENT_PER_HOUR": "100"}
    return many if name is None else {**many, "ASSENT_FAILPOINT": name}


def tell(story: Callable[[BrokerProcess], Any], broker: BrokerProcess) -> None:
    story(broker)
    asked(broker)  # the point after an answer: whoever asks next finds nobody


@pytest.mark.requirement("P2", "T20")
def test_a_crash_while_a_lease_ends_is_made_up_for_once(home: Home) -> None:
    env = {"ASSENT_FAILPOINT": "during_tick", "ASSENT_LEASE_SECONDS": "1"}
    with BrokerProcess(home=home, env=env) as broker:
        what = {"tool": "files.read", "arguments": {"path": "prod/a"}, "attempt": ATTEMPT}
        action = broker.as_agent("POST", "/v1/actions", what)
        assert broker.end() == KILLED
        come_back(broker)
        path = f"/v1/actions/{action['action_id']}?wait=30&after={action['revision']}"
        assert broker.as_agent("GET", path)["state"] == "unknown"
        assert len(broker.records("action.outcome")) == 1


@pytest.mark.requirement("P8", "T20")
def test_a_crash_while_a_checkpoint_is_signed_leaves_one_that_can_be_signed_again(home: Home) -> None:
    # The first signature is made before anybody is served, the second is made for the record of the start.
    with BrokerProcess(home=home, env={"ASSENT_FAILPOINT": "during_integration:2"}) as broker:
        assert broker.end() == KILLED
        come_back(broker)
        assert broker.stop() == 0
    assert run("audit", "verify", "--ledger", str(home.ledger)).returncode == 0


def come_back(broker: BrokerProcess) -> None:
    broker.env = {}
    broker.start()
    assert len(broker.records("broker.started")) == 2
    assert broker.ask("files.read", path="staging/a")["decision"] == "allow"


def test_an_unknown_point_stops_the_start(home: Home) -> None:
    ended = run("serve", "--config", str(home.config), "--port", "0", env={"ASSENT_FAILPOINT": "before_comit"})
    assert ended.returncode == 2
    assert "before_redeem_commit" in ended.stderr


@pytest.mark.parametrize("value", ["nothing", "before_commit:0", "before_commit:x", "before_commit:-1"])
def test_a_point_is_named_exactly(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ASSENT_FAILPOINT", value)
    with pytest.raises(ConfigInvalid):
        failpoint()


def test_without_the_variable_there_is_no_point(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ASSENT_FAILPOINT", raising=False)
    assert failpoint() is None
