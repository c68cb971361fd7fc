"""A clock that jumps: it is set forward and back by seconds to a day while people are asked, agents wait, leases end.

The broker's time never goes back; nothing ends before its time or lives on for ever; what ended by time is told as
that, never as somebody's no; a grant stays single-use whatever the clock shows.
"""

import itertools
import random
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from tests.hammers import broker, policy, records
from tests.hammers.broker import Installation, Running
from tests.hammers.budget import Budget, Report, expect
from tests.hammers.calls import Answer, Caller
from tests.hammers.clocked import SPEED, VARIABLE, SetClock
from tests.hammers.crash_crew import LOST
from tests.hammers.lives import SLACK_SECONDS, Life, Timetable
from tests.hammers.records import Leaf

FULL_STEPS: Final = 150
STEPS: Final = tuple(sign * size for size in (1, 10, 60, 3_600, 86_400) for sign in (1, -1))
MOMENTS: Final = ("deciding", "waiting", "expiring", "restarting")
APPROVAL: Final = timedelta(seconds=10)
PICK_UP: Final = timedelta(seconds=5)
LEASE: Final = timedelta(seconds=4)
OF_EACH: Final = 3
LOOK_SECONDS: Final = 0.03
WAIT_SECONDS: Final = 30.0
_TICK: Final = "tick_seconds = 0.2"
_ROUTE: Final = "expires_after: 1h\n  pick_up_within: 1h"
# What ends by time alone, and what is said of it then.
ENDS: Final = {
    "approval": ("denied", "approval_expired"),
    "grant": ("lapsed", "not_picked_up"),
    "lease": ("unknown", ""),
}


@dataclass(slots=True)
class Thing:
    """One action that waits for a person, for its pick-up or for its outcome, and how long it may."""

    kind: str
    body: dict[str, Any]
    life: Life
    use_at: float | None = None

    @property
    def path(self) -> str:
        """Where its agent looks at it."""
        return f"/v1/actions/{self.body['action_id']}"


# What an agent that waited was told of a thing, and when.
Heard = tuple[Thing, Answer, float]


@dataclass(slots=True)
class Seen:
    """What was counted over all steps."""

    steps: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    used: Counter[str] = field(default_factory=Counter)
    heard_waiting: int = 0


def run(folder: Path, budget: Budget) -> Report:
    """Set the clock until the budget is spent, each time with fresh things that live by it."""
    at = broker.install(folder / "clock", lease_seconds=_seconds(LEASE), pick_up_seconds=_seconds(PICK_UP))
    _hurry(at)
    clock = SetClock.create(folder / "clock.bin")
    timetable = Timetable(speed=SPEED, shown=clock.wall, set_by=clock.step)
    rng, seen = budget.random(), Seen()
    order = _order(rng)
    running = _start(at, folder)
    try:
        while budget.goes_on(seen.steps.total()):
            seconds, moment = next(order)
            running = _one_step(_Stage(at, folder, timetable, rng, seen), running, seconds, moment)
            seen.steps[moment] += 1
    finally:
        broker.end(running)
    log = records.read(at.ledger)
    check_log(log)
    return Report(counts=_counts(seen, timetable, log))


def _seconds(span: timedelta) -> int:
    return int(span.total_seconds())


def _hurry(at: Installation) -> None:
    """Let approvals live as shortly as a policy may say, and the broker look often."""
    routes, settings = at.folder / "policies" / "routes.yaml", at.folder / "assent.toml"
    routes.write_text(policy.FILES["routes.yaml"].replace(_ROUTE, "expires_after: 10s\n  pick_up_within: 10s"))
    settings.write_text(settings.read_text().replace(_TICK, "tick_seconds = 0.05"))


def _order(rng: random.Random) -> Iterator[tuple[int, str]]:
    """Yield every size of step at every moment in a new order, again and again."""
    while True:
        order = list(itertools.product(STEPS, MOMENTS))
        rng.shuffle(order)
        yield from order


def _start(at: Installation, folder: Path) -> Running:
    named = {VARIABLE: str(folder / "clock.bin")}
    return broker.start(at, named, module=("tests.hammers.clocked",))


@dataclass(frozen=True, slots=True)
class _Stage:
    """Where one step is played."""

    at: Installation
    folder: Path
    timetable: Timetable
    rng: random.Random
    seen: Seen


def _one_step(on: _Stage, running: Running, seconds: int, moment: str) -> Running:
    """Make things, set the clock at the moment, and follow everything to its end; return the broker that serves."""
    with ThreadPoolExecutor(4 * OF_EACH) as pool:
        making = [pool.submit(make, on.at) for make in (_ask_people, _leave_a_grant, _hold) for _ in range(OF_EACH)]
        if moment == "deciding":
            time.sleep(on.rng.uniform(0, 0.01))
            on.timetable.step(seconds)
        things = [made.result() for made in making]
        for thing in things:
            if thing.kind != "lease" and on.rng.random() < 0.5:
                thing.use_at = thing.life.heard + on.rng.uniform(0, 1.5) * thing.life.lasts.total_seconds() / SPEED
        waiting = [pool.submit(_wait_for, on.at, thing) for thing in things[::OF_EACH]]
        if moment == "waiting":
            time.sleep(on.rng.uniform(0, 0.2))
            on.timetable.step(seconds)
        elif moment == "expiring":
            time.sleep(max(0.0, _first_end(things) + on.rng.uniform(-0.1, 0.1) - time.monotonic()))
            on.timetable.step(seconds)
        elif moment == "restarting":
            running = _restart(on, running, seconds)
        _follow(on, things)
        if moment != "restarting":
            for waited in waiting:
                _check_heard(on, waited.result())
    return running


def _first_end(things: list[Thing]) -> float:
    return min(thing.life.heard + thing.life.lasts.total_seconds() / SPEED for thing in things)


def _restart(on: _Stage, running: Running, seconds: int) -> Running:
    """Kill the broker, set the clock, and let it come back."""
    running.kill()
    on.timetable.step(seconds)
    running = _start(on.at, on.folder)
    on.timetable.resumed = time.monotonic()
    return running


def _ask_people(at: Installation) -> Thing:
    asked = {"tool": "notes.write", "arguments": {"path": f"prod/{secrets.token_hex(8)}", "content": "x"}}
    return _made(at, "approval", APPROVAL, asked, lambda body: body["approval"]["expires_at"])


def _leave_a_grant(at: Installation) -> Thing:
    asked = {"tool": "notes.write", "arguments": {"path": f"stg/{secrets.token_hex(8)}", "content": "x"}}
    return _made(at, "grant", PICK_UP, asked, lambda body: body["grant"]["expires_at"])


def _hold(at: Installation) -> Thing:
    asked = {"tool": "notes.read", "arguments": {"path": "prod/a"}, "attempt": secrets.token_urlsafe(24)}
    return _made(at, "lease", LEASE, asked, lambda body: body["lease_expires_at"])


def _made(
    at: Installation, kind: str, lasts: timedelta, ask: dict[str, Any], until: Callable[[dict[str, Any]], str]
) -> Thing:
    sent = time.monotonic()
    with closing(Caller(at.port, at.agent_keys[0])) as agent:
        answer = agent.post("/v1/actions", ask)
    expect(answer.body.get("decision") in {"allow", "pending"}, f"an ask for a {kind} was answered {answer}")
    return Thing(kind, answer.body, _life(kind, sent, lasts, until(answer.body)))


def _life(what: str, sent: float, lasts: timedelta, until: str) -> Life:
    moment = datetime.fromisoformat(until)
    return Life(what=what, sent=sent, heard=time.monotonic(), lasts=lasts, until=moment)


def _wait_for(at: Installation, thing: Thing) -> Heard | None:
    """Return what an agent hears that waits for a thing to move, or nothing when its broker was killed."""
    with closing(Caller(at.port, at.agent_keys[1], seconds=WAIT_SECONDS + SLACK_SECONDS)) as agent:
        try:
            answer = agent.get(f"{thing.path}?wait={WAIT_SECONDS:.0f}&after={thing.body['revision']}")
        except LOST:
            return None
    return thing, answer, time.monotonic()


def _check_heard(on: _Stage, told: Heard | None) -> None:
    if told is None:
        expect(holds=False, seen="an agent that waited lost a broker that nobody had killed")
        return
    thing, answer, heard = told
    moved = answer.body.get("revision", 0) > thing.body["revision"]
    expect(moved, f"an agent waited {WAIT_SECONDS:.0f} s for a {thing.kind} that lives shorter, and heard {answer}")
    on.seen.heard_waiting += 1
    if answer.body["state"] == ENDS[thing.kind][0]:
        thing.life.expect_may_be_over(heard, on.timetable, answer)


def _follow(on: _Stage, things: list[Thing]) -> None:
    """Look at all things again and again, use some, and check each look against its bounds, until all are over."""
    alive = list(things)
    with closing(Caller(on.at.port, on.at.agent_keys[0])) as agent, closing(Caller(on.at.port, on.at.eve)) as eve:
        while alive:
            alive = [now for thing in alive if (now := _look(on, agent, eve, thing)) is not None]
            time.sleep(LOOK_SECONDS)


def _look(on: _Stage, agent: Caller, eve: Caller, thing: Thing) -> Thing | None:
    """Return the thing, or what became of it, or None when it is over."""
    if thing.use_at is not None and time.monotonic() >= thing.use_at:
        return _approve(on, agent, eve, thing) if thing.kind == "approval" else _redeem(on, agent, thing)
    sent = time.monotonic()
    answer = agent.get(thing.path)
    if answer.body["state"] == thing.body["state"]:
        thing.life.expect_may_live(sent, on.timetable, answer)
        return thing
    _check_over(on, thing, answer)
    return None


def _check_over(on: _Stage, thing: Thing, answer: Answer) -> None:
    thing.life.expect_may_be_over(time.monotonic(), on.timetable, answer)
    state, code = ENDS[thing.kind]
    said = answer.body["reasons"][-1]["code"] if code else ""
    expect((answer.body["state"], said) == (state, code), f"a {thing.kind} whose time is over is told as {answer}")
    on.seen.ended[thing.kind] += 1


def _approve(on: _Stage, agent: Caller, eve: Caller, thing: Thing) -> Thing | None:
    path, prefix = f"/v1/approvals/{thing.body['approval']['id']}/approve", thing.body["digest"][:16]
    sent = time.monotonic()
    answer = eve.post(path, {"digest_prefix": prefix})
    if answer.status != 200:
        expect(answer.code == "approval_expired", f"an approval was answered {answer}")
        thing.life.expect_may_be_over(time.monotonic(), on.timetable, answer)
        thing.use_at = None
        return thing
    thing.life.expect_may_live(sent, on.timetable, answer)
    on.seen.used["approved in time"] += 1
    ready = agent.get(thing.path).body
    if "grant" not in ready:
        # A step forward ended the grant before anybody looked.
        return None if ready["state"] == "lapsed" else thing
    return Thing("grant", ready, _life("grant", sent, APPROVAL, ready["grant"]["expires_at"]))


def _redeem(on: _Stage, agent: Caller, thing: Thing) -> Thing | None:
    claim = {"attempt": secrets.token_urlsafe(24), "digest": thing.body["digest"]}
    path, sent = f"/v1/grants/{thing.body['grant']['id']}/redeem", time.monotonic()
    answer = agent.post(path, claim)
    if answer.status != 200:
        expect(answer.code == "grant_expired", f"a redemption was answered {answer}")
        thing.life.expect_may_be_over(time.monotonic(), on.timetable, answer)
        thing.use_at = None
        return thing
    thing.life.expect_may_live(sent, on.timetable, answer)
    on.seen.used["redeemed in time"] += 1
    life = _life("lease", sent, LEASE, answer.body["lease_expires_at"])
    again = agent.post(path, {**claim, "attempt": secrets.token_urlsafe(24)})
    expect((again.status, again.code) == (409, "grant_spent"), f"a spent grant was answered {again}")
    return Thing("lease", {**thing.body, "state": "executing"}, life)


def check_log(log: list[Leaf]) -> None:
    """Look that times in the log never go back, and that nothing was redeemed twice. Raises Disproved."""
    for before, after in itertools.pairwise(log):
        expect(before["time"] <= after["time"], f"the log goes back in time: {before} then {after}")
    redeemed = Counter(leaf["grant"] for leaf in records.of_kind(log, "grant.redeemed"))
    expect(set(redeemed.values()) <= {1}, "a grant was redeemed twice in the log")
    ended = Counter(leaf["action"] for leaf in log if leaf["kind"] in {"action.moved", "action.outcome"})
    expect(set(ended.values()) <= {1}, "an action ended twice in the log")


def _counts(seen: Seen, timetable: Timetable, log: list[Leaf]) -> dict[str, int | float | str]:
    back = [step.seconds for step in timetable.steps if step.seconds < 0]
    return {
        "steps of the clock": len(timetable.steps),
        "of them back": len(back),
        "largest step, seconds": int(max(abs(step.seconds) for step in timetable.steps)),
        **{f"while {moment}": count for moment, count in sorted(seen.steps.items())},
        **{f"{what} ended by time": count for what, count in sorted(seen.ended.items())},
        **dict(sorted(seen.used.items())),
        "agents that waited and were told": seen.heard_waiting,
        "records": len(log),
        "ended before their time": 0,
        "lived on": 0,
        "records that go back in time": 0,
    }
