"""Checks a storm afterwards: `python tests/hammers/storm_check.py LEDGER FACTS JOURNAL…`, a process of its own.

It shares no code with the broker, and knows nothing of it but the form of a leaf. It reads the leaves in order, follows
every action, approval, grant, breaker and agent by itself, and compares with what everybody was told. It prints what it
counted, or the first thing that should never have been, and ends with 1.
"""

import json
import sqlite3
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

# A transaction gives up after two seconds: what was judged just before a new policy may be on record just after it.
JUDGED_BEFORE: Final = timedelta(seconds=2.5)
# What stops something, and what lifts it.
LIFTS: Final = {"trip": "reset", "suspend": "resume"}

Leaf = dict[str, Any]


class Broken(Exception):
    """An invariant does not hold; the message says which and where."""


def demand(holds: object, seen: str) -> None:
    """Go on when `holds`. Raises Broken."""
    if not holds:
        raise Broken(seen)


@dataclass(slots=True)
class Action:
    """What the log says of one action so far."""

    agent: str
    tool: str
    environment: str
    impact: str
    decision: str
    started: int = 0
    over: str = ""
    reported: int = 0
    approval: "Question | None" = None


@dataclass(slots=True)
class Question:
    """What the log says of one approval so far."""

    key: str
    routes: list[str]
    barred: set[str]
    expires_at: str
    votes: list[str] = field(default_factory=list)
    state: str = "pending"


class Log:
    """Follows the leaves of a log in their order."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self._facts = facts
        self.actions: dict[str, Action] = {}
        self.questions: dict[str, Question] = {}
        self.grants: dict[str, dict[str, Any]] = {}
        self.open_breakers: dict[str, Leaf] = {}
        self.suspended: set[str] = set()
        self.policies: list[tuple[datetime, str]] = []
        self.counts: Counter[str] = Counter()
        self.ids: set[str] = set()
        self.votes: Counter[tuple[str, str]] = Counter()
        self.trips: Counter[str] = Counter()
        self._last = ""

    def take(self, leaf: Leaf) -> None:
        """Take the next leaf in."""
        demand(leaf["time"] >= self._last, f"the log goes back in time: {leaf}")
        demand(leaf["id"] not in self.ids, f"two records have one id: {leaf}")
        self._last = leaf["time"]
        self.ids.add(leaf["id"])
        self.counts[leaf["kind"]] += 1
        follow = getattr(self, "_" + leaf["kind"].replace(".", "_"), None)
        if follow is not None:
            follow(leaf)

    # --- policy, breakers, agents ---

    def _policy_activated(self, leaf: Leaf) -> None:
        demand(leaf["policy"] in self._facts["versions"], f"an unknown policy serves: {leaf}")
        self.policies.append((_moment(leaf), leaf["policy"]))

    def _in_force(self, leaf: Leaf) -> list[str]:
        """Return the policies that this record may have been judged by: the one that serves, and one just before."""
        now = _moment(leaf)
        demand(self.policies, f"something is recorded before any policy: {leaf}")
        found = [self.policies[-1][1]]
        for (since, _), (_, before) in zip(self.policies[::-1], self.policies[-2::-1], strict=False):
            if now - since > JUDGED_BEFORE:
                break
            found.append(before)
        return found

    def _breaker_tripped(self, leaf: Leaf) -> None:
        self.open_breakers[leaf["breaker"]] = leaf
        self.trips[leaf["breaker"]] += 1

    def _breaker_reset(self, leaf: Leaf) -> None:
        demand(leaf["breaker"] in self.open_breakers, f"a breaker was closed that was not open: {leaf}")
        del self.open_breakers[leaf["breaker"]]

    def _agent_suspended(self, leaf: Leaf) -> None:
        self.suspended.add(leaf["agent"])

    def _agent_resumed(self, leaf: Leaf) -> None:
        self.suspended.discard(leaf["agent"])

    def _demand_nothing_stops(self, leaf: Leaf, action: Action) -> None:
        for breaker in self.open_breakers.values():
            stops = covers(breaker, agent=action.agent, tool=action.tool, environment=action.environment)
            demand(not stops, f"{leaf} passed while {breaker} was open")
        demand(action.agent not in self.suspended, f"{leaf} passed while its agent was suspended")

    # --- actions ---

    def _action_decided(self, leaf: Leaf) -> None:
        demand(leaf["action"] not in self.actions, f"an action was decided twice: {leaf}")
        demand(leaf["policy"] in self._in_force(leaf), f"{leaf} was decided by a policy that was not in force")
        detail = leaf["detail"]
        action = Action(
            agent=leaf["agent"],
            tool=leaf["tool"],
            environment=leaf.get("environment", ""),
            impact=detail["impact"],
            decision=leaf["decision"],
        )
        self.actions[leaf["action"]] = action
        if leaf["decision"] == "allow":
            self._demand_nothing_stops(leaf, action)
            demand(not _needs_human(action), f"a production change was allowed without a human: {leaf}")
        if detail["state"] == "executing":
            demand(leaf["decision"] == "allow", f"something runs that was not allowed: {leaf}")
            action.started += 1

    def _action_moved(self, leaf: Leaf) -> None:
        action = self._action(leaf)
        demand(not action.started, f"an action ended as if it had not run, and it had begun: {leaf}")
        demand(not action.over, f"an action ended twice: {leaf}")
        action.over = leaf["detail"]["state"]

    def _action_outcome(self, leaf: Leaf) -> None:
        action = self._action(leaf)
        demand(action.started, f"an outcome of something that never ran: {leaf}")
        action.reported += leaf["detail"]["reported"]
        demand(action.reported <= 1, f"two outcomes were taken: {leaf}")

    def _action(self, leaf: Leaf) -> Action:
        demand(leaf["action"] in self.actions, f"a record about an action that was never decided: {leaf}")
        return self.actions[leaf["action"]]

    # --- people ---

    def _approval_asked(self, leaf: Leaf) -> None:
        detail = leaf["detail"]
        barred = {detail["owner"], detail["key_issuer"], *detail["drivers"]}
        question = Question(
            key=leaf["approval"], routes=detail["routes"], barred=barred, expires_at=detail["expires_at"]
        )
        demand(leaf["approval"] not in self.questions, f"a question was asked twice: {leaf}")
        self.questions[leaf["approval"]] = self._action(leaf).approval = question

    def _approval_voted(self, leaf: Leaf) -> None:
        question = self.questions[leaf["approval"]]
        who = leaf["operator"]
        demand(question.state == "pending", f"a vote on a question that is over: {leaf}")
        demand(leaf["time"] < question.expires_at, f"a vote after the end: {leaf}")
        demand(who not in question.votes, f"somebody voted twice: {leaf}")
        demand(who not in question.barred, f"somebody voted who has a part in it: {leaf}")
        eligible = any(who in self._facts["versions"][version]["approvers"] for version in self._in_force(leaf))
        demand(eligible, f"somebody voted who is no approver: {leaf}")
        question.votes.append(who)
        self.votes[question.key, who] += 1

    def _approval_moved(self, leaf: Leaf) -> None:
        question = self.questions[leaf["approval"]]
        demand(question.state == "pending", f"a question ended twice: {leaf}")
        question.state = leaf["detail"]["state"]
        if question.state == "approved":
            self._demand_enough(leaf, question)
        else:
            self._action(leaf).over = question.state

    def _demand_enough(self, leaf: Leaf, question: Question) -> None:
        """Look that enough different people who are eligible now said yes."""
        need = sum(self._facts["needs"][route] for route in question.routes)
        counted = [
            {who for who in question.votes if who in self._facts["versions"][version]["approvers"]}
            for version in self._in_force(leaf)
        ]
        demand(max(map(len, counted)) >= need, f"approved by {question.votes} where {need} must: {leaf}")

    # --- grants ---

    def _grant_issued(self, leaf: Leaf) -> None:
        action = self._action(leaf)
        demand(not action.over and not action.started, f"a grant for something that is over: {leaf}")
        if _needs_human(action):
            approved = action.approval is not None and action.approval.state == "approved"
            demand(approved, f"a grant for a production change that nobody approved: {leaf}")
        self.grants[leaf["grant"]] = {"leaf": leaf, "state": "issued"}

    def _grant_redeemed(self, leaf: Leaf) -> None:
        action, grant = self._action(leaf), self.grants.get(leaf["grant"])
        demand(grant is not None, f"a grant was redeemed that was never issued: {leaf}")
        if grant is None:
            return
        demand(grant["state"] == "issued", f"a grant that is {grant['state']} was redeemed: {leaf}")
        demand(grant["leaf"]["digest"] == leaf["digest"], f"something else was redeemed than granted: {leaf}")
        demand(leaf["time"] < grant["leaf"]["detail"]["expires_at"], f"a grant was redeemed after its end: {leaf}")
        demand(not action.started, f"an action began twice: {leaf}")
        demand(not action.over, f"an action began that was {action.over}: {leaf}")
        self._demand_nothing_stops(leaf, action)
        if _needs_human(action):
            votes = action.approval.votes if action.approval is not None else []
            demand(votes, f"a production change began without a human: {leaf}")
        grant["state"] = "spent"
        action.started += 1

    def _grant_killed(self, leaf: Leaf) -> None:
        grant = self.grants[leaf["grant"]]
        demand(grant["state"] == "issued", f"a grant that is {grant['state']} was withdrawn: {leaf}")
        grant["state"] = "dead"


def covers(breaker: Leaf, *, agent: str, tool: str, environment: str) -> bool:
    """Whether a breaker stops an action; what it does not name it covers all of."""
    return (
        breaker.get("agent", agent) == agent
        and fnmatchcase(tool, breaker.get("tool", tool))
        and breaker.get("environment", environment) == environment
    )


def _needs_human(action: Action) -> bool:
    return action.impact != "read" and action.environment != "staging"


def _moment(leaf: Leaf) -> datetime:
    return datetime.fromisoformat(leaf["time"])


def leaves(ledger: Path) -> Iterator[Leaf]:
    """Yield the leaves of a copy of a ledger in order. Raises Broken for a gap."""
    with closing(sqlite3.connect(ledger)) as database:
        for place, (index, leaf) in enumerate(database.execute("SELECT idx, leaf FROM record ORDER BY idx")):
            demand(index == place, f"record {place} is missing")
            yield json.loads(leaf)


def check_told(log: Log, journal: list[Leaf]) -> Counter[str]:
    """Look that what everybody was told is in the log, and that every effect had its start there."""
    counts: Counter[str] = Counter()
    effects = Counter(line["action"] for line in journal if line["what"] == "effect")
    twice = [action for action, times in effects.items() if times > 1]
    demand(not twice, f"ran twice: {twice[:3]}")
    for action in effects:
        known = log.actions.get(action)
        demand(known is not None and known.started, f"`{action}` ran, and the log holds no start of it")
    counts["effects"] = len(effects)
    counts["effects in production that a human approved"] = sum(_needs_human(log.actions[action]) for action in effects)
    for line in journal:
        if line.get("status") == 200:
            counts["acknowledged answers"] += 1
            _demand_on_record(log, line)
        elif "status" in line:
            counts["refused or denied with a problem"] += 1
        elif line.get("lost"):
            counts["answers lost on the way"] += 1
    return counts


def _demand_on_record(log: Log, line: Leaf) -> None:
    what, told = line["what"], line["told"]
    missing = f"acknowledged and not in the log: {line}"
    if what == "ask":
        demand(told["record_id"] in log.ids, missing)
        started = told["state"] == "executing" and told["decision"] == "allow"
        demand(not started or log.actions[told["action_id"]].started, missing)
    elif what in {"redeem", "began"}:
        demand(log.actions[line["action"]].started, missing)
    elif what == "outcome":
        demand(log.actions[line["action"]].reported, missing)
    elif what == "approve":
        demand(log.votes[line["approval"], line["who"]], missing)
    elif what == "approve blindly":
        demand(log.votes[line["approval"], line["who"]], f"a yes to what was never shown counted: {line}")
    elif what == "deny":
        demand(log.questions[line["approval"]].state == "denied", missing)
    elif what == "cancel":
        demand(log.actions[line["action"]].over, missing)
    elif what == "trip":
        demand(log.trips[told["breaker"]], missing)


def check_stopped(journal: list[Leaf]) -> Counter[str]:
    """Look that nothing that was asked for after a stop had been answered passed before it was lifted."""
    counts: Counter[str] = Counter()
    lines = sorted((line for line in journal if "sent" in line), key=lambda line: line["sent"])
    stopper = [line for line in lines if line["what"] in {*LIFTS, *LIFTS.values()}]
    stops: list[tuple[int, int, Leaf, Leaf]] = []
    for place, line in enumerate(stopper):
        if line["what"] in LIFTS and line.get("status") == 200:
            lifted = (one["sent"] for one in stopper[place:] if one["what"] == LIFTS[line["what"]])
            scope = {"agent": line["agent"]} if line["what"] == "suspend" else line["scope"].get("scope", {})
            stops.append((line["heard"], next(lifted, lines[-1]["sent"]), scope, line))
            counts[f"answered {line['what']}s"] += 1
    for line in filter(_is_success, lines):
        environment = line["told"].get("environment") or line.get("environment", "")
        for since, until, scope, stop in stops:
            inside = line["sent"] > since and line["heard"] < until
            stopped = inside and covers(scope, agent=line["agent"], tool=line["tool"], environment=environment)
            demand(not stopped, f"{line} passed after {stop} had been answered")
    return counts


def _is_success(line: Leaf) -> bool:
    if line.get("status") != 200:
        return False
    if line["what"] == "ask":
        return bool(line["told"]["decision"] == "allow")
    if line["what"] == "began":
        return True
    # The same attempt again hears again what it was told, or lost, before.
    return bool(line["what"] == "redeem" and line["again"] == 0)


def main(ledger: Path, facts_file: Path, *journals: Path) -> None:
    """Check everything and print what was counted as JSON. Raises Broken."""
    facts = json.loads(facts_file.read_text())
    log = Log(facts)
    for leaf in leaves(ledger):
        log.take(leaf)
    journal = [json.loads(line) for file in journals for line in file.read_text().splitlines()]
    counts = check_told(log, journal) + check_stopped(journal)
    kinds = defaultdict(int, log.counts)
    told = {
        "records": sum(log.counts.values()),
        "decisions": kinds["action.decided"],
        "votes": kinds["approval.voted"],
        "votes that were refused": kinds["approval.vote_refused"],
        "redemptions": kinds["grant.redeemed"],
        "replays refused": kinds["grant.replayed"],
        "policies that served": len(log.policies),
        "starts of brokers": kinds["broker.started"],
    }
    print(json.dumps(told | dict(sorted(counts.items()))))


if __name__ == "__main__":
    try:
        main(*map(Path, sys.argv[1:]))
    except Broken as broken:
        sys.exit(f"broken: {broken}")
