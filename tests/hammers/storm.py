"""A storm: agents, approvers, trips, suspensions and reloads go on while everything is done to the broker that can be.

It is killed, stopped, frozen, its ledger locked, its disk made full, its connections hogged. Afterwards a process that
shares no code with it reads the log and says whether anything happened that must never happen.
"""

import json
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from assent.policy import load
from assent.wiring.assembly import now
from assent.wiring.failpoints import POINTS, VARIABLE
from tests.hammers import broker
from tests.hammers.broker import Installation
from tests.hammers.budget import Budget, Report, expect
from tests.hammers.calls import Caller
from tests.hammers.storm_crew import StormCrew
from tests.hammers.storm_place import Place

FULL_MINUTES: Final = 20
CHECK_SECONDS: Final = 900.0
CALM_SECONDS: Final = 60.0
LEASE_SECONDS: Final = 4
PICK_UP_SECONDS: Final = 4
KILLED: Final = -9
CHECKER: Final = Path(__file__).with_name("storm_check.py")
_ROUTES: Final = """default:
  needs: [{any: 1, of: approvers}]
  assurance: token
  expires_after: 10s
  pick_up_within: 10s
two:
  needs: [{any: 2, of: approvers}]
  assurance: token
  expires_after: 15s
  pick_up_within: 10s
"""
NEEDS: Final = {"default": 1, "two": 2}
_OPERATORS: Final = """nora: {groups: [approvers], may: [approver, operator]}
eve: {groups: [GROUP], may: [approver, operator]}
omar: {groups: [approvers], may: [approver, operator, security_admin]}
"""
# What differs between the versions of the policy: whether Eve is an approver. Nora owns the agents, so she never is.
OPERATORS: Final = (_OPERATORS.replace("GROUP", "approvers"), _OPERATORS.replace("GROUP", "bystanders"))
APPROVERS: Final = (("eve", "omar"), ("omar",))
REFUSED: Final = "eve: {groups: approvers, may: everything}\n"
_RULE: Final = 'tools: [notes.write, "shape.*"]\n      environments: [production]'


def run(folder: Path, budget: Budget) -> Report:
    """Let it blow for as long as the budget says, then have the log checked."""
    at = broker.install(folder / "storm", lease_seconds=LEASE_SECONDS, pick_up_seconds=PICK_UP_SECONDS)
    facts = _prepare(at)
    (folder / "facts.json").write_text(json.dumps(facts))
    place = Place(at, folder)
    crew = StormCrew(at, folder / "journal", budget.seed)
    storm = Storm(place, budget.random())
    try:
        storm.begin()
        crew.start()
        while budget.goes_on(storm.faults.total()):
            storm.blow()
        storm.calm()
        crew.finish()
        storm.end(at)
        copy = _copy(place, folder / "after")
    finally:
        crew.leave()
        place.leave()
    expect(not crew.faults, f"the crew could not go on: {crew.faults[:2]}")
    counts = _check(copy, folder / "facts.json", crew.journals)
    _verify(copy, at, crew.kept)
    return Report(counts=_counts(storm, place, counts, len(crew.kept)))


def _prepare(at: Installation) -> dict[str, Any]:
    """Write the policy of the storm, both versions of it in turn, and return what its checker must know of them."""
    policies, settings = at.folder / "policies", at.folder / "assent.toml"
    (policies / "routes.yaml").write_text(_ROUTES)
    role = policies / "roles" / "hammerer.yaml"
    two = _RULE.replace('notes.write, "shape.*"', '"shape.*"')
    rule = f"    - id: production-two\n      {two}\n      effect: require_approval\n      route: two\n"
    role.write_text(role.read_text().replace(_RULE, _RULE.replace(', "shape.*"', "")) + rule)
    settings.write_text(settings.read_text() + "policy_watch_seconds = 0\n")
    versions = {}
    for operators, approvers in reversed(list(zip(OPERATORS, APPROVERS, strict=True))):
        (policies / "operators.yaml").write_text(operators)
        versions[load(policies, now).version] = {"approvers": approvers}
    return {"versions": versions, "needs": NEEDS}


class Storm:
    """Everything that is done to the broker, one thing after the other, and what became of it."""

    def __init__(self, place: Place, rng: random.Random) -> None:
        self._place = place
        self._rng = rng
        self._may_die = False
        self._trouble_until = 0.0
        self.faults: Counter[str] = Counter()
        self.ended_by_itself = 0
        self.slowest_start = 0.0
        self._kinds: list[tuple[int, str, Callable[[], None]]] = [
            (3, "killed", self._kill),
            (3, "killed at a failpoint", self._kill_at_a_point),
            (2, "asked to stop", self._stop),
            (2, "stood still", self._freeze),
            (2, "ledger held by another process", self._hold),
            (4, "policy reloaded", self._reload),
            (1, "policy refused", self._reload_refused),
            (2, "connections hogged", self._hog),
            *([(2, "disk full", self._fill)] if place.can_be_full else []),
        ]

    def begin(self) -> None:
        """Start the first broker."""
        self._start()

    def blow(self) -> None:
        """Do one thing to the broker, and see that there is one afterwards."""
        kinds = [(name, fault) for _, name, fault in self._kinds]
        ((name, fault),) = self._rng.choices(kinds, [weight for weight, _, _ in self._kinds])
        fault()
        self.faults[name] += 1
        time.sleep(self._rng.uniform(0.2, 1.5))
        if not self._place.is_alive():
            self._mourn(self._place.ended())
            self._start()

    def _start(self, environment: dict[str, str] | None = None) -> None:
        self._may_die = environment is not None
        self.slowest_start = max(self.slowest_start, self._place.start(environment))

    def _mourn(self, code: int) -> None:
        """Look that a broker that ended had a reason to. Raises Disproved."""
        if self._may_die and code == KILLED:
            return
        in_trouble = code > 0 and time.monotonic() < self._trouble_until
        expect(in_trouble, f"a broker ended by itself with {code}")
        self.ended_by_itself += 1

    def _gone(self, *right: int) -> None:
        code = self._place.ended()
        if code not in right:
            self._mourn(code)

    def _kill(self) -> None:
        self._place.signal(signal.SIGKILL)
        self._gone(KILLED)
        self._start()

    def _kill_at_a_point(self) -> None:
        self._place.signal(signal.SIGKILL)
        self._gone(KILLED)
        self._start({VARIABLE: f"{self._rng.choice(list(POINTS))}:{self._rng.randint(1, 5)}"})

    def _stop(self) -> None:
        self._place.signal(signal.SIGTERM)
        self._gone(0)
        self._start()

    def _freeze(self) -> None:
        self._place.signal(signal.SIGSTOP)
        time.sleep(self._rng.uniform(0.2, 3.0))
        self._place.signal(signal.SIGCONT)

    def _hold(self) -> None:
        self._in_trouble()
        self._place.hold_ledger(self._rng.uniform(0.2, 4.0))
        self._in_trouble()

    def _fill(self) -> None:
        self._in_trouble()
        self._place.fill()
        time.sleep(self._rng.uniform(0.3, 3.0))
        self._place.clear()
        self._in_trouble()

    def _in_trouble(self) -> None:
        # What a ledger that could not write does to its process shows within seconds.
        self._trouble_until = time.monotonic() + 10.0

    def _reload(self) -> None:
        self._place.write_policy("operators.yaml", self._rng.choice(OPERATORS))

    def _reload_refused(self) -> None:
        self._place.write_policy("operators.yaml", REFUSED)
        time.sleep(self._rng.uniform(0.1, 0.5))
        self._reload()

    def _hog(self) -> None:
        threading.Thread(target=self._place.hog, args=(self._rng.uniform(0.5, 3.0),), daemon=True).start()

    def calm(self) -> None:
        """Let a broker run that nobody harms any more."""
        self._place.clear()
        if self._may_die or not self._place.is_alive():
            self._place.signal(signal.SIGKILL)
            self._gone(KILLED)
            self._start()

    def end(self, at: Installation) -> None:
        """See that it allows again, and let it stop in good order. Raises Disproved."""
        deadline = time.monotonic() + CALM_SECONDS
        agent = Caller(at.port, at.agent_keys[0])
        ask = {"tool": "notes.read", "arguments": {"path": "prod/calm.txt"}}
        while (answer := agent.post("/v1/actions", ask)).body.get("decision") != "allow":
            expect(time.monotonic() < deadline, f"the storm is over and the broker still refuses: {answer}")
        agent.close()
        self._place.signal(signal.SIGTERM)
        code = self._place.ended()
        expect(code == 0, f"the last broker ended with {code}")


def _copy(place: Place, folder: Path) -> Path:
    """Return a copy of the ledger of a broker that has ended."""
    folder.mkdir()
    for name in (place.ledger.name, f"{place.ledger.name}-wal", f"{place.ledger.name}.pub"):
        if (place.folder / name).exists():
            shutil.copyfile(place.folder / name, folder / name)
    return folder / place.ledger.name


def _check(ledger: Path, facts: Path, journals: list[Path]) -> dict[str, int]:
    """Let the checker read everything; it is no part of this process. Raises Disproved."""
    command = [sys.executable, "-I", str(CHECKER), str(ledger), str(facts), *map(str, journals)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CHECK_SECONDS, check=False)
    expect(done.returncode == 0, done.stderr.strip()[-3_000:])
    counts: dict[str, int] = json.loads(done.stdout)
    return counts


def _verify(ledger: Path, at: Installation, kept: list[Path]) -> None:
    """Let an auditor verify the log, with every checkpoint that was kept during the storm. Raises Disproved."""
    checkpoints = [part for file in kept for part in ("--checkpoint", str(file))]
    command = [sys.executable, "-m", "assent", "audit", "verify", "--ledger", str(ledger)]
    keys = ["--key", f"{ledger}.pub", "--keys", str(at.folder / "keys")]
    done = subprocess.run(
        [*command, *keys, *checkpoints], capture_output=True, text=True, timeout=CHECK_SECONDS, check=False
    )
    expect(done.returncode == 0, f"the log of the storm does not verify: {done.stdout}{done.stderr}")


def _counts(storm: Storm, place: Place, checked: dict[str, int], kept: int) -> dict[str, int | float | str]:
    full = {} if place.can_be_full else {"disk full": "not tried: this machine gives no mount namespaces"}
    return {
        "faults": storm.faults.total(),
        **{f"fault: {name}": count for name, count in sorted(storm.faults.items())},
        **full,
        "brokers that ended by themselves over a ledger fault": storm.ended_by_itself,
        "slowest restart, seconds": round(storm.slowest_start, 2),
        **checked,
        "checkpoints kept during it that the log still holds to": kept,
        "ran without a start in the log, or twice": 0,
        "passed after a stop was answered": 0,
        "production changes without an eligible human": 0,
        "acknowledged answers that are not in the log": 0,
    }
