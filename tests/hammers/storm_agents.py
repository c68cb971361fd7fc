"""The agents of the storm: they ask for all kinds of work, run what they may, and sometimes try what they may not."""

import random
import secrets
import threading
from collections.abc import Callable
from typing import Any, Final

from tests.hammers.calls import Answer
from tests.hammers.storm_journal import Journal

TRIES: Final = 40
PAUSE_SECONDS: Final = 0.25
WAIT_SECONDS: Final = 2
LOOKS: Final = 6


class AgentAtWork:
    """One thread of an agent's work; what it runs is a line in its journal, written when it may run."""

    def __init__(self, agent: str, journal: Journal, rng: random.Random, stop: threading.Event) -> None:
        self._agent = agent
        self._journal = journal
        self._rng = rng
        self._stop = stop
        self._stories: list[tuple[int, Callable[[], None]]] = [
            (4, self._reads),
            (3, self._writes_in_staging),
            (3, self._picks_up),
            (5, self._asks_people),
            (1, self._asks_two_people),
            (1, self._swaps_arguments),
            (1, self._asks_again),
            (1, self._changes_its_mind),
            (1, self._forgets),
            (1, self._asks_for_what_is_denied),
        ]

    def work(self) -> None:
        """Go on until told to stop."""
        weights = [weight for weight, _ in self._stories]
        while not self._stop.wait(self._rng.uniform(0.0, 0.05)):
            (story,) = self._rng.choices([story for _, story in self._stories], weights)
            story()
        self._journal.close()

    def _body(self, tool: str, place: str) -> dict[str, Any]:
        path = f"{place}/{secrets.token_hex(6)}.txt"
        content = {} if tool in {"notes.read", "notes.delete"} else {"content": "storm"}
        return {"tool": tool, "arguments": {"path": path, **content}}

    def _ask(self, body: dict[str, Any]) -> Answer | None:
        answer = self._journal.ask(body, agent=self._agent)
        return answer if answer is not None and answer.status == 200 else None

    def _reads(self) -> None:
        self._holds(self._body("notes.read", self._rng.choice(("prod", "stg"))))

    def _writes_in_staging(self) -> None:
        self._holds(self._body("notes.write", "stg"))

    def _holds(self, body: dict[str, Any]) -> None:
        """Ask holding the action; an ask whose answer was lost is asked again with the same attempt and key."""
        attempt = secrets.token_urlsafe(24)
        answer = self._ask({**body, "attempt": attempt})
        if answer is not None and answer.body["state"] == "executing" and answer.body["decision"] == "allow":
            self._run(answer.body["action_id"], attempt)

    def _picks_up(self) -> None:
        answer = self._ask(self._body("notes.write", "stg"))
        if answer is not None and "grant" in answer.body:
            self._redeem(answer.body)

    def _asks_people(self) -> None:
        self._waits(self._body("notes.write", "prod"))

    def _asks_two_people(self) -> None:
        body = self._body("shape.apply", "prod")
        body["arguments"] = {
            "path": body["arguments"]["path"],
            "count": 1,
            "ratio": 0.5,
            "careful": True,
            "note": None,
            "tags": [],
            "window": {"start": "03:00", "minutes": 5, "days": [1]},
        }
        self._waits(body)

    def _waits(self, body: dict[str, Any]) -> None:
        answer = self._ask({**body, "run_id": secrets.token_hex(6)})
        if answer is None or answer.body["decision"] != "pending":
            return
        path, seen = f"/v1/actions/{answer.body['action_id']}", answer.body["revision"]
        for _ in range(LOOKS):
            now = self._journal.get(f"{path}?wait={WAIT_SECONDS}&after={seen}")
            if not now:
                self._stop.wait(PAUSE_SECONDS)
                continue
            seen = now["revision"]
            if "grant" in now:
                self._redeem(now)
            if now["state"] != "pending" or self._stop.is_set():
                return

    def _swaps_arguments(self) -> None:
        """Present other arguments than were granted; running them would be a line in the journal."""
        answer = self._ask(self._body("notes.write", "stg"))
        if answer is not None and "grant" in answer.body:
            attempt = secrets.token_urlsafe(24)
            claim = {"attempt": attempt, "arguments": {"path": "prod/other.txt", "content": "swapped"}}
            redeemed = self._post_redeem(answer.body, claim)
            if redeemed is not None and redeemed.status == 200:
                self._run(answer.body["action_id"], attempt)

    def _asks_again(self) -> None:
        """Ask twice under one idempotency key from two tries: at most one of them may run it."""
        body = {**self._body("notes.write", "stg"), "run_id": secrets.token_hex(6), "call_id": "once"}
        for _ in range(2):
            attempt = secrets.token_urlsafe(24)
            answer = self._ask({**body, "attempt": attempt})
            if answer is not None and answer.body["state"] == "executing" and answer.body["decision"] == "allow":
                self._run(answer.body["action_id"], attempt)

    def _changes_its_mind(self) -> None:
        answer = self._ask({**self._body("notes.write", "prod"), "run_id": secrets.token_hex(6)})
        if answer is not None and answer.body["decision"] == "pending":
            key = answer.body["action_id"]
            self._journal.post(f"/v1/actions/{key}/cancel", {}, "cancel", action=key)

    def _forgets(self) -> None:
        self._ask(self._body("notes.write", self._rng.choice(("prod", "stg"))))

    def _asks_for_what_is_denied(self) -> None:
        self._holds(self._body("notes.delete", "stg"))

    def _redeem(self, body: dict[str, Any]) -> None:
        """Redeem with one attempt, asking again with the same one when the answer was lost; then with another."""
        attempt = secrets.token_urlsafe(24)
        claim = {"attempt": attempt, "digest": body["digest"]}
        for number in range(TRIES):
            redeemed = self._post_redeem(body, claim, again=number)
            if redeemed is not None and redeemed.status != 503:
                break
            if self._stop.wait(PAUSE_SECONDS):
                return
        else:
            return
        if redeemed.status != 200:
            return
        if self._rng.random() < 0.3:
            other = self._post_redeem(body, {**claim, "attempt": secrets.token_urlsafe(24)})
            if other is not None and other.status == 200:
                self._run(body["action_id"], "another attempt")
        self._run(body["action_id"], attempt)

    def _post_redeem(self, body: dict[str, Any], claim: dict[str, Any], again: int = 0) -> Answer | None:
        return self._journal.post(
            f"/v1/grants/{body['grant']['id']}/redeem",
            claim,
            "redeem",
            agent=self._agent,
            action=body["action_id"],
            tool=body["tool"],
            environment=body["environment"],
            again=again,
        )

    def _run(self, action: str, attempt: str) -> None:
        """Run the tool, which is a line in the journal, and mostly say what became of it."""
        self._journal.note("effect", action=action)
        if self._rng.random() < 0.1:
            return
        outcome = {"attempt": attempt, "status": self._rng.choice(("succeeded", "succeeded", "failed"))}
        for _ in range(TRIES):
            told = self._journal.post(f"/v1/actions/{action}/outcome", outcome, "outcome", action=action)
            if (told is not None and told.status != 503) or self._stop.wait(PAUSE_SECONDS):
                return
