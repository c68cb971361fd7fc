"""Hostile JSON: corrupted bodies on every route that takes one. Never a 5xx, never a grant, and the broker goes on."""

import http.client
import json
import secrets
from collections import Counter
from pathlib import Path
from typing import Any, Final

from tests.hammers import broker, records
from tests.hammers.broker import Installation, Running
from tests.hammers.budget import Budget, Report, expect
from tests.hammers.calls import Answer, Caller
from tests.hammers.corruptions import corrupted

FULL_HITS: Final = 20_000
MEDIA: Final = ("application/json", "application/json; charset=utf-8", "application/json; charset=utf-16", "text/plain")

Target = tuple[str, str, dict[str, Any]]


def run(folder: Path, budget: Budget) -> Report:
    """Send corrupted bodies until the budget is spent."""
    at = broker.install(folder / "hostile")
    answered: Counter[int] = Counter()
    with broker.serving(at) as running:
        targets = _targets(at)
        while budget.goes_on(answered.total()):
            _hit(at, budget, targets, answered)
        _check_alive(at, running)
    records.read(at.ledger)
    return Report(
        counts={
            "bodies": answered.total(),
            **{f"answered {status}": count for status, count in sorted(answered.items())},
            "answered 5xx": 0,
        },
    )


def _targets(at: Installation) -> list[Target]:
    """Return path, credential and a right body of every route that takes one, on things that exist."""
    agent = at.agent_keys[0]
    caller = Caller(at.port, agent)
    pending = {"tool": "notes.write", "arguments": {"path": "prod/a.txt", "content": "x"}, "run_id": "r"}
    asked = caller.post("/v1/actions", pending).body
    ready = caller.post("/v1/actions", {**pending, "arguments": {"path": "stg/a.txt", "content": "x"}}).body
    caller.close()
    approval = f"/v1/approvals/{asked['approval']['id']}"
    attempt = secrets.token_urlsafe(24)
    routes: list[Target] = [
        ("/v1/actions", agent, pending | {"attempt": attempt, "reason": "réplicas", "context": {"trace": "t"}}),
        (f"/v1/grants/{ready['grant']['id']}/redeem", agent, {"attempt": attempt, "digest": "0" * 64}),
        (f"/v1/grants/{ready['grant']['id']}/redeem", agent, {"attempt": attempt, "arguments": {"path": "stg/b"}}),
        ("/v1/grants/redeem", at.service_key, {"token": "a.b.c", "arguments": {"path": "x"}, "attempt": attempt}),
        (
            f"/v1/actions/{ready['action_id']}/outcome",
            agent,
            {"attempt": attempt, "status": "failed", "duration_ms": 1},
        ),
        (f"/v1/actions/{ready['action_id']}x/cancel", agent, {"reason": "none"}),
        (f"{approval}/approve", at.eve, {"digest_prefix": "0" * 16, "comment": "no"}),
        (f"{approval}x/deny", at.eve, {"category": "other", "reason": "no"}),
        (f"{approval}x/revoke", at.eve, {"reason": "no"}),
        ("/v1/breakers/trip", at.eve, {"scope": {"tool": "notes.delete"}, "reason": "x", "ttl_seconds": 60}),
        ("/v1/breakers/brk_none/reset", at.eve, {"reason": "x"}),
    ]
    return routes


def _hit(at: Installation, budget: Budget, targets: list[Target], answered: Counter[int]) -> None:
    rng = budget.random()
    number = answered.total()
    rng.seed(f"{budget.seed}/{number}")
    path, key, right = targets[number % len(targets)]
    body = corrupted(json.dumps(right, ensure_ascii=False).encode(), rng)
    media = rng.choice(MEDIA) if rng.random() < 0.1 else MEDIA[0]
    answer = _send(at, path, key, body, media)
    seen = f"{path} with body {body[:300]!r} ({len(body)} bytes, {media}, hit {number}) was answered {answer}"
    expect(200 <= answer.status < 500, seen)
    expect(answer.status == 200 or answer.code, f"no stable code: {seen}")
    expect("grants" not in path or answer.status != 200, f"a corrupted redemption went through: {seen}")
    answered[answer.status] += 1


def _send(at: Installation, path: str, key: str, body: bytes, media: str) -> Answer:
    """Send on a connection of its own: what a refused body leaves behind must not matter to the next."""
    caller = Caller(at.port, key)
    try:
        return caller.send("POST", path, body, content_type=media)
    except (BrokenPipeError, ConnectionResetError, http.client.RemoteDisconnected):
        # A body that is too large is refused while it is still being sent; the answer may be lost on the way.
        expect(len(body) > 200_000, f"{path} hung up on {body[:300]!r}")
        return Answer(413, {"code": "payload_too_large"})
    finally:
        caller.close()


def _check_alive(at: Installation, running: Running) -> None:
    caller = Caller(at.port, at.agent_keys[1])
    answer = caller.post("/v1/actions", {"tool": "notes.read", "arguments": {"path": "prod/a.txt"}})
    caller.close()
    expect(running.is_alive and answer.body.get("decision") == "allow", f"the broker does not go on: {answer}")
