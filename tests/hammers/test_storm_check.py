"""Who checks the storm would notice: a sound log and journal pass, and each thing that must never be is told."""

import ast
import copy
import json
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.hammers import storm_check
from tests.hammers.storm_check import Broken, Log, check_stopped, check_told, covers, leaves

Leaf = dict[str, Any]
FACTS = {"versions": {"p1": {"approvers": ["eve", "omar"]}, "p2": {"approvers": ["omar"]}}, "needs": {"default": 1}}
ABOUT = {"agent": "a", "tool": "notes.write", "environment": "production", "action": "act_2", "policy": "p1"}
ASKED = {
    "routes": ["default"],
    "owner": "nora",
    "drivers": ["dana"],
    "key_issuer": "kim",
    "expires_at": "2026-03-01T12:30:00.000000Z",
}


def a_log() -> list[Leaf]:
    """A log in which routine work ran, and a production change that Eve approved; then everything was stopped."""
    read = {"agent": "a", "tool": "notes.read", "environment": "production", "action": "act_1", "policy": "p1"}
    said: list[Leaf] = [
        {"kind": "policy.activated", "policy": "p1"},
        {
            "kind": "action.decided",
            **read,
            "decision": "allow",
            "detail": {"state": "executing", "impact": "read"},
        },
        {"kind": "action.outcome", **read, "detail": {"state": "succeeded", "reported": True}},
        {
            "kind": "action.decided",
            **ABOUT,
            "decision": "pending",
            "detail": {"state": "pending", "impact": "write"},
        },
        {"kind": "approval.asked", **ABOUT, "approval": "apr_2", "detail": ASKED},
        {"kind": "approval.voted", **ABOUT, "approval": "apr_2", "operator": "eve", "detail": {}},
        {"kind": "approval.moved", **ABOUT, "approval": "apr_2", "detail": {"state": "approved"}},
        {
            "kind": "grant.issued",
            **ABOUT,
            "grant": "grt_2",
            "digest": "d",
            "detail": {"expires_at": "2026-03-01T12:30:00.000000Z"},
        },
        {"kind": "grant.redeemed", **ABOUT, "grant": "grt_2", "digest": "d", "detail": {}},
        {"kind": "action.outcome", **ABOUT, "detail": {"state": "succeeded", "reported": True}},
        {"kind": "breaker.tripped", "breaker": "brk_1", "tool": "notes.*", "detail": {}},
        {"kind": "breaker.reset", "breaker": "brk_1", "tool": "notes.*", "detail": {}},
        {"kind": "agent.suspended", "agent": "a", "detail": {}},
        {"kind": "agent.resumed", "agent": "a", "detail": {}},
    ]
    return [stamped(leaf, place) for place, leaf in enumerate(said)]


def stamped(leaf: Leaf, place: int, seconds: int = 0) -> Leaf:
    return {"id": f"rec_{place}", "time": f"2026-03-01T12:{place:02d}:{seconds:02d}.000000Z", **leaf}


def taken(log: list[Leaf]) -> Log:
    found = Log(FACTS)
    for leaf in log:
        found.take(leaf)
    return found


def test_a_sound_log_holds() -> None:
    assert taken(a_log()).counts["grant.redeemed"] == 1


def place_of(log: list[Leaf], kind: str) -> int:
    return next(place for place, leaf in enumerate(log) if leaf["kind"] == kind)


def without(kind: str) -> Callable[[list[Leaf]], None]:
    def drop(log: list[Leaf]) -> None:
        del log[place_of(log, kind)]

    return drop


def again(kind: str, **changes: Any) -> Callable[[list[Leaf]], None]:
    def doubled(log: list[Leaf]) -> None:
        place = place_of(log, kind)
        log.insert(place + 1, {**copy.deepcopy(log[place]), "id": "rec_more", **changes})

    return doubled


def changed(kind: str, detail: Leaf | None = None, **changes: Any) -> Callable[[list[Leaf]], None]:
    def change(log: list[Leaf]) -> None:
        leaf = log[place_of(log, kind)]
        leaf.update(changes)
        leaf["detail"] = {**leaf.get("detail", {}), **(detail or {})}

    return change


def before(one: str, /, **leaf: Any) -> Callable[[list[Leaf]], None]:
    def put(log: list[Leaf]) -> None:
        place = place_of(log, one)
        log.insert(place, {"id": "rec_more", "time": log[place]["time"], "detail": {}, **leaf})

    return put


def at_the_end(**leaf: Any) -> Callable[[list[Leaf]], None]:
    return lambda log: log.append(stamped({"id": "rec_more", "detail": {}, **leaf}, len(log)))


READ_AGAIN = {"kind": "action.decided", **ABOUT, "tool": "notes.read", "action": "act_3", "decision": "allow"}
RUNS = {"state": "executing", "impact": "read"}
BROKEN: dict[str, tuple[Callable[[list[Leaf]], None], str]] = {
    "back in time": (changed("grant.redeemed", time="2026-03-01T11:00:00.000000Z"), "back in time"),
    "one id twice": (changed("grant.redeemed", id="rec_0"), "one id"),
    "an unknown policy": (changed("policy.activated", policy="p9"), "unknown policy"),
    "no policy at all": (without("policy.activated"), "before any policy"),
    "a policy that was not in force": (changed("action.decided", policy="p2"), "not in force"),
    "allowed in production": (changed("action.decided", {"impact": "write"}), "without a human"),
    "run though denied": (changed("action.decided", decision="deny"), "was not allowed"),
    "decided twice": (again("action.decided"), "decided twice"),
    "redeemed twice": (again("grant.redeemed"), "is spent was redeemed"),
    "redeemed and never issued": (without("grant.issued"), "never issued"),
    "redeemed with other content": (changed("grant.redeemed", digest="e"), "something else"),
    "redeemed after its end": (changed("grant.issued", {"expires_at": "2026-03-01T12:08:00.000000Z"}), "after its end"),
    "redeemed once withdrawn": (before("grant.redeemed", kind="grant.killed", grant="grt_2"), "dead was redeemed"),
    "begun once over": (
        before("grant.redeemed", kind="action.moved", action="act_2", detail={"state": "lapsed"}),
        "that was lapsed",
    ),
    "over though begun": (
        at_the_end(kind="action.moved", action="act_2", detail={"state": "lapsed"}),
        "as if it had not run",
    ),
    "granted and never approved": (without("approval.moved"), "nobody approved"),
    "approved without a vote": (without("approval.voted"), "where 1 must"),
    "a vote of the owner": (changed("approval.voted", operator="nora"), "has a part in it"),
    "a vote of the driver": (changed("approval.voted", operator="dana"), "has a part in it"),
    "a vote of the key issuer": (changed("approval.voted", operator="kim"), "has a part in it"),
    "a vote of a stranger": (changed("approval.voted", operator="mallory"), "no approver"),
    "a vote twice": (again("approval.voted"), "voted twice"),
    "a vote after the end": (changed("approval.asked", {"expires_at": "2026-03-01T12:04:30.000000Z"}), "after the end"),
    "a vote once over": (
        before("approval.voted", kind="approval.moved", approval="apr_2", action="act_2", detail={"state": "expired"}),
        "that is over",
    ),
    "a vote of who lost eligibility": (
        before("approval.voted", kind="policy.activated", policy="p2", time="2026-03-01T12:04:00.000000Z"),
        "no approver",
    ),
    "an outcome of nothing": (without("grant.redeemed"), "never ran"),
    "two outcomes": (again("action.outcome"), "two outcomes"),
    "passed while tripped": (
        before("grant.redeemed", kind="breaker.tripped", breaker="brk_9", environment="production"),
        "while .* was open",
    ),
    "allowed while tripped": (
        before("breaker.reset", **READ_AGAIN, detail=RUNS),
        "while .* was open",
    ),
    "allowed while suspended": (before("agent.resumed", **READ_AGAIN, detail=RUNS), "was suspended"),
    "closed and never open": (without("breaker.tripped"), "not open"),
}


@pytest.mark.parametrize(("breaking", "told"), BROKEN.values(), ids=BROKEN.keys())
def test_a_log_in_which_something_happened_that_must_not_is_told(
    breaking: Callable[[list[Leaf]], None], told: str
) -> None:
    log = a_log()
    breaking(log)
    with pytest.raises(Broken, match=told):
        taken(log)


def test_what_was_judged_just_before_a_reload_may_be_on_record_just_after_it() -> None:
    log = a_log()
    before("approval.voted", kind="policy.activated", policy="p2")(log)
    changed("approval.moved", time="2026-03-01T12:05:00.000000Z")(log)
    assert taken(log).votes["apr_2", "eve"] == 1


TOLD: Leaf = {"who": "eve", "status": 200, "told": {}, "sent": 10, "heard": 20}
ANSWERS: dict[str, Leaf] = {
    "ask": {"told": {"record_id": "rec_x", "decision": "deny", "state": "denied", "action_id": "act_1"}},
    "redeem": {"action": "act_9", "again": 0},
    "outcome": {"action": "act_9"},
    "approve": {"approval": "apr_2", "who": "omar"},
    "approve blindly": {"approval": "apr_2", "who": "omar"},
    "deny": {"approval": "apr_2"},
    "cancel": {"action": "act_1"},
    "trip": {"told": {"breaker": "brk_x"}},
}


@pytest.mark.parametrize("what", ANSWERS)
def test_an_acknowledged_answer_that_is_not_in_the_log_is_told(what: str) -> None:
    log = taken(a_log())
    log.actions["act_9"] = storm_check.Action("a", "t", "staging", "read", "allow")
    with pytest.raises(Broken, match=r"not in the log|never shown"):
        check_told(log, [{**TOLD, "what": what, **ANSWERS[what]}])


@pytest.mark.parametrize(
    ("effects", "told"), [(["act_1", "act_1"], "ran twice"), (["act_8"], "holds no start"), (["act_1", "act_2"], "")]
)
def test_an_effect_that_has_no_start_or_came_twice_is_told(effects: list[str], told: str) -> None:
    journal = [{"what": "effect", "action": action} for action in effects]
    if told:
        with pytest.raises(Broken, match=told):
            check_told(taken(a_log()), journal)
    else:
        assert check_told(taken(a_log()), journal)["effects in production that a human approved"] == 1


ASK = {
    "what": "ask",
    "agent": "a",
    "tool": "notes.write",
    **TOLD,
    "told": {"decision": "allow", "environment": "staging"},
}
TRIP = {"what": "trip", **TOLD, "sent": 0, "heard": 5, "scope": {"scope": {"tool": "notes.*"}}}
RESET = {"what": "reset", **TOLD, "sent": 30, "heard": 31}


@pytest.mark.parametrize(
    ("line", "is_told"),
    [
        (ASK, True),
        ({**ASK, "sent": 4}, False),
        ({**ASK, "heard": 30}, False),
        ({**ASK, "tool": "shape.apply"}, False),
        ({**ASK, "told": {"decision": "deny"}}, False),
        ({**ASK, "status": 503}, False),
        ({**ASK, "what": "redeem", "environment": "staging", "again": 0}, True),
        ({**ASK, "what": "redeem", "environment": "staging", "again": 1}, False),
    ],
)
def test_what_passes_after_a_stop_was_answered_is_told(line: Leaf, *, is_told: bool) -> None:
    if is_told:
        with pytest.raises(Broken, match="had been answered"):
            check_stopped([RESET, line, TRIP])
    else:
        assert check_stopped([RESET, line, TRIP])["answered trips"] == 1


def test_what_passes_while_its_agent_is_suspended_is_told() -> None:
    suspend, resume = {**TRIP, "what": "suspend", "agent": "a"}, {**RESET, "what": "resume"}
    with pytest.raises(Broken, match="had been answered"):
        check_stopped([suspend, ASK, resume])
    check_stopped([{**suspend, "agent": "b"}, ASK, resume])


@pytest.mark.parametrize(
    ("scope", "is_covered"),
    [
        ({}, True),
        ({"agent": "a"}, True),
        ({"agent": "b"}, False),
        ({"tool": "notes.*"}, True),
        ({"tool": "notes.read"}, False),
        ({"environment": "staging"}, True),
        ({"environment": "production", "tool": "notes.*"}, False),
    ],
)
def test_a_scope_covers_all_that_it_does_not_name(scope: Leaf, *, is_covered: bool) -> None:
    assert covers(scope, agent="a", tool="notes.write", environment="staging") is is_covered


def test_a_gap_is_told(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as database:
        database.execute("CREATE TABLE record (idx INTEGER PRIMARY KEY, leaf TEXT)")
        database.executemany("INSERT INTO record VALUES (?, ?)", [(0, "{}"), (2, "{}")])
        database.commit()
    with pytest.raises(Broken, match="record 1 is missing"):
        list(leaves(tmp_path / "ledger.db"))


def test_the_checker_shares_no_code_with_the_broker() -> None:
    tree = ast.parse(Path(storm_check.__file__).read_text())
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    found |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in found} <= sys.stdlib_module_names


def test_it_prints_what_it_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as database:
        database.execute("CREATE TABLE record (idx INTEGER PRIMARY KEY, leaf TEXT)")
        database.executemany("INSERT INTO record VALUES (?, ?)", enumerate(map(json.dumps, a_log())))
        database.commit()
    (tmp_path / "facts.json").write_text(json.dumps(FACTS))
    (tmp_path / "journal.jsonl").write_text(json.dumps({"what": "effect", "action": "act_2"}) + "\n")
    storm_check.main(tmp_path / "ledger.db", tmp_path / "facts.json", tmp_path / "journal.jsonl")
    counts = json.loads(capsys.readouterr().out)
    assert (counts["records"], counts["redemptions"], counts["effects"]) == (14, 1, 1)
