"""Several brokers on one database and one Redis, each asked in turn: whoever answers, it is one broker to everybody."""

import itertools
import json
import secrets
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from assent import Assent
from tests.hammers import fault_check, policy
from tests.hammers.calls import Answer, Caller
from tests.postgres_server import with_patience
from tests.replicas.conftest import FEW
from tests.replicas.fleet import Fleet

ASKS_AFTER_A_TRIP = 60
SETTLED_SECONDS = 0.3
REASON = {"reason": "tried enough"}
PATHS = (f"{number}.txt" for number in itertools.count())


@contextmanager
def callers(fleet: Fleet, key: str) -> Iterator[list[Caller]]:
    """Lend a line to each broker, past the load balancer."""
    with ExitStack() as ended:
        lines = [Caller(replica.at.port, key) for replica in fleet.replicas]
        for line in lines:
            ended.callback(line.close)
        yield lines


def writing(place: str, **more: Any) -> dict[str, Any]:
    return {"tool": "notes.write", "arguments": {"path": f"{place}/{next(PATHS)}", "content": "x"}, **more}


def asked(caller: Caller, place: str, **more: Any) -> dict[str, Any]:
    answer = caller.post("/v1/actions", writing(place, **more))
    assert answer.status == 200, answer
    return answer.body


def said(answer: Answer) -> str:
    """Return what an agent hears: the decision, and why where there is a reason."""
    return " ".join([str(answer.body["decision"]), *(reason["code"] for reason in answer.body["reasons"][:1])])


def redeemed(caller: Caller, action: dict[str, Any], attempt: str | None = None) -> Answer:
    claim = {"attempt": attempt or secrets.token_urlsafe(24), "digest": action["digest"]}
    return caller.post(f"/v1/grants/{action['grant']['id']}/redeem", claim)


def approve(caller: Caller, approval: str, digest: str) -> Answer:
    return caller.post(f"/v1/approvals/{approval}/approve", {"digest_prefix": digest[:16]})


def lift(first: Caller, second: Caller, breaker: str) -> None:
    """Close a breaker as two people, each at a broker of their own."""
    assert first.post(f"/v1/breakers/{breaker}/reset", REASON).status == 202
    assert second.post(f"/v1/breakers/{breaker}/reset", REASON).status == 200


@pytest.mark.requirement("P4", "P5")
def test_asked_at_one_approved_at_another_redeemed_at_a_third_reported_at_the_first(trio: Fleet) -> None:
    with callers(trio, trio.at.agent_keys[0]) as agents, callers(trio, trio.at.eve) as people:
        action = asked(agents[0], "prod")
        assert action["decision"] == "pending"
        shown = people[1].get(f"/v1/approvals/{action['approval']['code']}").body
        assert shown["digest"] == action["digest"]
        assert approve(people[1], shown["id"], shown["digest"]).status == 200
        ready = agents[2].get(f"/v1/actions/{action['action_id']}").body
        attempt = secrets.token_urlsafe(24)
        assert redeemed(agents[2], ready, attempt).body["arguments"] == action["arguments"]
        done = {"attempt": attempt, "status": "succeeded"}
        assert agents[0].post(f"/v1/actions/{action['action_id']}/outcome", done).status == 200
        ended = [agent.get(f"/v1/actions/{action['action_id']}").body for agent in agents]
        assert [(one["state"], one["outcome"]["status"]) for one in ended] == [("succeeded", "succeeded")] * 3


def test_the_code_and_the_page_of_a_question_are_the_same_at_each(trio: Fleet) -> None:
    with callers(trio, trio.at.agent_keys[0]) as agents, callers(trio, trio.at.eve) as people:
        for agent in agents:
            approval = asked(agent, "prod")["approval"]
            assert approval["url"] == f"{trio.at.url}/console/approvals/{approval['id']}"
            shown = [person.get(f"/v1/approvals/{approval['code']}").body for person in people]
            assert {one["id"] for one in shown} == {approval["id"]}
            assert len({json.dumps(one["arguments"]) for one in shown}) == 1


@pytest.mark.requirement("P4", "T2", "T21")
def test_of_many_who_redeem_at_all_brokers_at_once_one_may_and_its_retry_hears_so_anywhere(trio: Fleet) -> None:
    with callers(trio, trio.at.agent_keys[0]) as agents, ThreadPoolExecutor(9) as at_once:
        for first in agents:
            action = asked(first, "stg")
            attempts = [secrets.token_urlsafe(24) for _ in range(3)]
            told = list(at_once.map(lambda pair: redeemed(*pair), zip(agents, [action] * 3, attempts, strict=True)))
            assert Counter(answer.status for answer in told) == {200: 1, 409: 2}
            won = attempts[[answer.status for answer in told].index(200)]
            assert [redeemed(agent, action, won).status for agent in agents] == [200, 200, 200]
            assert {redeemed(agent, action).code for agent in agents} == {"grant_spent"}


@pytest.mark.requirement("P5", "T18")
def test_of_two_who_answer_at_two_brokers_at_once_one_hears_that_the_other_did(pair: Fleet) -> None:
    with (
        callers(pair, pair.at.agent_keys[0]) as agents,
        callers(pair, pair.at.eve) as eve,
        callers(pair, pair.at.omar) as omar,
        ThreadPoolExecutor(2) as at_once,
    ):
        for turn in range(10):
            action = asked(agents[turn % 2], "prod")
            question = [(action["approval"]["id"], action["digest"])] * 2
            people = (eve[turn % 2], omar[1 - turn % 2])
            told = list(at_once.map(lambda person, one: approve(person, *one), people, question))
            assert Counter(answer.status for answer in told) == {200: 1, 409: 1}
            assert [answer.code for answer in told if answer.status == 409] == ["already_decided"]


@pytest.mark.requirement("P4")
def test_an_ask_that_is_sent_again_to_others_is_one_action(trio: Fleet) -> None:
    with callers(trio, trio.at.agent_keys[0]) as agents, ThreadPoolExecutor(3) as at_once:
        for _ in range(5):
            key, body = secrets.token_urlsafe(16), writing("stg")

            def ask(agent: Caller, key: str = key, body: dict[str, Any] = body) -> Answer:
                return agent.post("/v1/actions", body, idempotency_key=key)

            told = [*at_once.map(ask, agents), *map(ask, agents)]
            assert {answer.status for answer in told} == {200}
            assert len({answer.body["action_id"] for answer in told}) == 1
            assert agents[1].post("/v1/actions", writing("stg"), idempotency_key=key).code == "idempotency_conflict"


@pytest.mark.requirement("P6", "T11")
def test_after_a_trip_at_one_nothing_passes_at_any(trio: Fleet) -> None:
    with (
        callers(trio, trio.at.agent_keys[0]) as agents,
        callers(trio, trio.at.eve) as eve,
        callers(trio, trio.at.omar) as omar,
        ThreadPoolExecutor(3) as at_once,
    ):
        for tripping in range(3):
            granted = [asked(agent, "stg") for agent in agents]
            trip = eve[tripping].post("/v1/breakers/trip", {"scope": {"tool": "notes.write"}, "reason": "drill"})
            assert trip.status == 200
            assert set(itertools.chain(*at_once.map(asks, agents))) == {"deny breaker_open"}
            told_late = [redeemed(agent, action) for agent, action in zip(agents, granted, strict=True)]
            assert {answer.code for answer in told_late} <= {"breaker_open", "grant_dead"}
            assert {answer.status for answer in told_late} == {409}
            lift(eve[(tripping + 1) % 3], omar[(tripping + 2) % 3], trip.body["breaker"]["id"])
            assert {said(agent.post("/v1/actions", writing("stg"))) for agent in agents} == {"allow"}


def asks(agent: Caller) -> list[str]:
    """Return what somebody hears who goes on asking at one broker."""
    return [said(agent.post("/v1/actions", writing("stg"))) for _ in range(ASKS_AFTER_A_TRIP)]


@pytest.mark.requirement("P6")
def test_an_agent_that_is_suspended_at_one_is_suspended_at_all(pair: Fleet) -> None:
    with (
        callers(pair, pair.at.agent_keys[0]) as agents,
        callers(pair, pair.at.eve) as eve,
        callers(pair, pair.at.omar) as omar,
    ):
        assert eve[0].post(f"/v1/agents/{policy.AGENT}/suspend", {"reason": "drill"}).status == 200
        assert {said(agent.post("/v1/actions", writing("stg"))) for agent in agents} == {"deny agent_suspended"}
        told = [person.post(f"/v1/agents/{policy.AGENT}/resume", REASON).status for person in (eve[1], omar[0])]
        assert told == [202, 200]
        assert {said(agent.post("/v1/actions", writing("stg"))) for agent in agents} == {"allow"}


@pytest.mark.requirement("P5", "T18")
def test_who_waits_at_one_is_woken_by_what_is_decided_at_another(pair: Fleet) -> None:
    with (
        callers(pair, pair.at.agent_keys[0]) as agents,
        callers(pair, pair.at.eve) as people,
        ThreadPoolExecutor(1) as beside,
    ):
        for deciding, waiting in ((0, 1), (1, 0)):
            action = asked(agents[deciding], "prod")
            path = f"/v1/actions/{action['action_id']}?wait=50&after={action['revision']}"
            waits = beside.submit(agents[waiting].get, path)
            with_patience(SETTLED_SECONDS)
            assert approve(people[deciding], action["approval"]["id"], action["digest"]).status == 200
            assert waits.result(20.0).body["state"] == "ready"


@pytest.mark.requirement("T11")
def test_what_is_counted_is_counted_over_all_brokers(pair: Fleet) -> None:
    with callers(pair, pair.at.other_agent_key) as agents:
        told = [said(agents[number % 2].post("/v1/actions", writing("stg"))) for number in range(FEW + 2)]
    assert told == ["allow"] * FEW + ["deny breaker_open"] * 2


@pytest.mark.requirement("P8", "T16")
def test_whoever_shows_the_log_shows_one_tree_and_an_agent_led_from_one_to_another_sees_it_grow(trio: Fleet) -> None:
    shown: list[str] = []
    client = Assent(trio.at.url, trio.at.agent_keys[0])
    for _ in range(60):
        assert client.request("notes.read", {"path": "prod/x"}, run_id="one").decision == "allow"
        client.close()  # the next call is led to the next broker
        shown += [note for note in [client.latest_checkpoint] if note is not None]
    with callers(trio, trio.at.eve) as people:
        shown += [person.text("/log/checkpoint") for person in people]
    sizes = [int(note.split("\n")[1]) for note in shown[:-3]]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 1
    assert fault_check.check_one_tree(trio.leaves(), shown)["checkpoints shown"] >= len(set(sizes))
