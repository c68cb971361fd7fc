"""The people of the storm: two who approve and deny, an owner who may not, one who trips, one who suspends."""

import random
import threading
from typing import Any, Final

from tests.hammers import policy
from tests.hammers.storm_journal import Journal

TRIES: Final = 100
PAUSE_SECONDS: Final = 0.2
SCOPES: Final[tuple[dict[str, Any], ...]] = (
    {"scope": {"agent": policy.OTHER_AGENT}},
    {"scope": {"tool": "notes.write"}},
    {"scope": {"tool": "notes.*"}},
    {"scope": {"environment": "staging"}},
    {"scope": {"environment": "production"}},
    {"scope": {"agent": policy.AGENT, "tool": "notes.write", "environment": "production"}},
    {"all": True},
)


class Approver:
    """Answers what is open: mostly yes, sometimes no, sometimes with what was never shown, sometimes not at all."""

    def __init__(self, journal: Journal, rng: random.Random, stop: threading.Event) -> None:
        self._journal = journal
        self._rng = rng
        self._stop = stop

    def work(self) -> None:
        """Go on until told to stop."""
        while not self._stop.wait(self._rng.uniform(0.05, 0.3)):
            for approval in self._journal.get("/v1/approvals?limit=20").get("items", []):
                self._answer(approval["id"], approval["digest"])
        self._journal.close()

    def _answer(self, key: str, digest: str) -> None:
        path, chance = f"/v1/approvals/{key}", self._rng.random()
        if chance < 0.6:
            yes = {"digest_prefix": digest[:16]}
            told = self._journal.post(f"{path}/approve", yes, "approve", approval=key)
            if told is not None and told.status == 200 and self._rng.random() < 0.1:
                self._journal.post(f"{path}/revoke", {"reason": "on second thoughts"}, "revoke", approval=key)
        elif chance < 0.7:
            no = {"category": "too_risky", "reason": "not in a storm"}
            self._journal.post(f"{path}/deny", no, "deny", approval=key)
            # Two denials would end all asking for a day.
            self._journal.post(f"{path}/let-again", {"reason": "the storm goes on"}, "let again", approval=key)
        elif chance < 0.8:
            self._journal.post(f"{path}/approve", {"digest_prefix": "0" * 16}, "approve blindly", approval=key)


class Owner:
    """Owns the agents and approves whatever they ask; nothing of it may ever count."""

    def __init__(self, journal: Journal, rng: random.Random, stop: threading.Event) -> None:
        self._journal = journal
        self._rng = rng
        self._stop = stop

    def work(self) -> None:
        """Go on until told to stop."""
        while not self._stop.wait(self._rng.uniform(0.1, 0.5)):
            for approval in self._journal.get("/v1/approvals?limit=5").get("items", []):
                yes = {"digest_prefix": approval["digest"][:16]}
                self._journal.post(f"/v1/approvals/{approval['id']}/approve", yes, "approve", approval=approval["id"])
        self._journal.close()


class Stopper:
    """Trips breakers and closes them again with a second person; suspends an agent and lets it go on."""

    def __init__(self, first: Journal, second: Journal, rng: random.Random, stop: threading.Event) -> None:
        self._first = first
        self._second = second
        self._rng = rng
        self._stop = stop

    def work(self) -> None:
        """Go on until told to stop, and leave nothing stopped."""
        while not self._stop.wait(self._rng.uniform(0.3, 1.5)):
            if self._rng.random() < 0.7:
                self._trip()
            else:
                self._suspend()
        self._first.close()
        self._second.close()

    def _trip(self) -> None:
        scope = self._rng.choice(SCOPES)
        self._first.post("/v1/breakers/trip", scope, "trip", scope=scope)
        self._stop.wait(self._rng.uniform(0.05, 0.8))
        self._close_all()

    def lift_all(self) -> None:
        """Leave nothing stopped; for whoever comes last, on a broker that nobody harms."""
        self._close_all()
        self._resume()
        self._first.close()
        self._second.close()

    def _close_all(self) -> None:
        # Also one whose trip was never answered: whatever is open is closed before the next.
        for _ in range(TRIES):
            listed = self._first.get("/v1/breakers?limit=50")
            open_ones = [one["id"] for one in listed.get("items", []) if one["state"] != "closed"]
            if "items" in listed and not open_ones:
                return
            for key in open_ones:
                self._close(key)
            self._stop.wait(PAUSE_SECONDS)

    def _close(self, key: str) -> None:
        path, why = f"/v1/breakers/{key}/reset", {"reason": "tried enough"}
        for journal in (self._first, self._second):
            told = None
            while told is None or told.status == 503:
                told = journal.post(path, why, "reset", breaker=key)
                if (told is None or told.status == 503) and self._stop.wait(PAUSE_SECONDS):
                    return
            if told.status != 202:
                return

    def _suspend(self) -> None:
        path, why = f"/v1/agents/{policy.OTHER_AGENT}/suspend", {"reason": "a storm"}
        self._first.post(path, why, "suspend", agent=policy.OTHER_AGENT)
        self._stop.wait(self._rng.uniform(0.05, 0.8))
        self._resume()

    def _resume(self) -> None:
        path, why = f"/v1/agents/{policy.OTHER_AGENT}/resume", {"reason": "the storm goes on"}
        for _ in range(TRIES):
            for journal in (self._first, self._second):
                told = journal.post(path, why, "resume", agent=policy.OTHER_AGENT)
                if told is not None and told.status == 200:
                    return
            self._stop.wait(PAUSE_SECONDS)
