"""A broker of a few rules on real sockets, so that the SDK's tests need no server: the contract's actions, no more.

It keeps idempotency keys, attempts, re-finding, long-polls, grants and outcomes as the contract says, and can be told
to answer wrongly: a fault sees the honest answer after everything was carried out, and sends what it likes.
"""

import json
import secrets
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from assent.core.canonical import canonical, sha256_hex

KEY = "asn_k1_" + "s" * 43
SERVICE_KEY = "ass_k2_" + "t" * 43
LEASE = "2026-11-23T10:00:00Z"
RULES = {
    "files.read": ("allow", "read"),
    "files.write": ("allow", "write"),
    "db.delete": ("pending", "destructive"),
    "db.drop": ("deny", "destructive"),
    "svc.deploy": ("allow", "write"),
}
ARGUMENTS = {
    "files.read": ["path"],
    "files.write": ["path", "content"],
    "db.delete": ["table", "where"],
    "db.drop": ["table"],
    "svc.deploy": ["env"],
}
ENDED = {"denied", "succeeded", "failed", "unknown", "lapsed", "revoked", "cancelled"}

Body = dict[str, Any]


@dataclass
class Answer:
    """What the honest broker would send."""

    status: int
    body: Body
    headers: dict[str, str] = field(default_factory=dict)
    media: str = "application/json"

    def raw(self) -> bytes:
        payload = json.dumps(self.body).encode()
        lines = [f"HTTP/1.1 {self.status} X", f"content-type: {self.media}", f"content-length: {len(payload)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + payload


@dataclass
class Seen:
    """One request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    peer: tuple[str, int]


# A fault gets the honest answer and the bytes' way out; it returns whether the connection stays open.
Fault = Callable[[Answer, Callable[[bytes], None]], bool]


class StandIn:
    """The broker; every attribute may be read and changed by tests under `self.moved`."""

    def __init__(self) -> None:
        self.moved = threading.Condition()
        self.actions: dict[str, Body] = {}
        self.by_key: dict[str, str] = {}
        self.seen: list[Seen] = []
        self.faults: list[tuple[str, Fault]] = []
        self.headers: dict[str, str] = {}
        self.executions: list[str] = []
        self.clock = 0
        self.jwks: Body = {"keys": []}
        self.token_for: Callable[[Body], str] = lambda action: f"token-{action['id']}"
        self.away_from = "nothing"

    # --- what tests do -------------------------------------------------------------------------------------------

    def break_next(self, path: str, *faults: Fault) -> None:
        """Answer the next requests whose method and path hold `path` with `faults`, one each."""
        with self.moved:
            self.faults.extend((path, fault) for fault in faults)

    def approve(self, action_id: str) -> None:
        self._move(action_id, state="ready", decision="allow", grant={"id": f"gr_{action_id}"})

    def deny(self, action_id: str, code: str = "approval_denied") -> None:
        reasons = [{"code": code, "message": f"the stand-in says {code}"}]
        self._move(action_id, state="denied", decision="deny", reasons=reasons)

    def when_asked(self, answer: Callable[[str], None], action_id: str = "act_1") -> None:
        """Give a human's answer from another thread, once the action exists."""

        def human() -> None:
            self.wait_until(lambda: action_id in self.actions)
            answer(action_id)

        threading.Thread(target=human, daemon=True).start()

    def pending(self) -> list[str]:
        with self.moved:
            return [action["id"] for action in self.actions.values() if action["state"] == "pending"]

    def wait_until(self, fact: Callable[[], bool], seconds: float = 10) -> None:
        with self.moved:
            assert self.moved.wait_for(fact, timeout=seconds), "the stand-in waited in vain"

    def asks(self) -> list[Seen]:
        return [seen for seen in self.seen if seen.method == "POST" and seen.path == "/v1/actions"]

    def outcomes(self) -> list[str]:
        return [action["outcome"]["status"] for action in self.actions.values() if action.get("outcome")]

    # --- the contract --------------------------------------------------------------------------------------------

    def answer(self, seen: Seen) -> Answer:
        parts = urlsplit(seen.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        with self.moved:
            self.seen.append(seen)
            self.moved.notify_all()
            if seen.headers.get("authorization") not in {f"Bearer {KEY}", f"Bearer {SERVICE_KEY}"}:
                return problem(401, "unauthenticated")
            path = parts.path.strip("/").split("/")
            return self._read(path, query) if seen.method == "GET" else self._write(path, seen)

    def _read(self, path: list[str], query: dict[str, str]) -> Answer:
        match path:
            case ["v1", "actions"]:
                return self._decided(query)
            case ["v1", "actions", action_id]:
                return self._look(action_id, query)
            case ["v1", "me"]:
                return Answer(200, {"agent": "a", "tools": self._tools()})
            case [".well-known", "jwks.json"]:
                return Answer(200, self.jwks)
            case _:
                return problem(404, "not_found")

    def _write(self, path: list[str], seen: Seen) -> Answer:
        match path:
            case ["v1", "actions"]:
                return self._ask(seen)
            case ["v1", "actions", action_id, "outcome"]:
                return self._outcome(action_id, seen.body)
            case ["v1", "actions", action_id, "cancel"]:
                return self._cancel(action_id)
            case ["v1", "grants", "redeem"]:
                return self._redeem_token(seen.body)
            case ["v1", "grants", grant_id, "redeem"]:
                return self._redeem(grant_id, seen.body)
            case _:
                return problem(404, "not_found")

    def _ask(self, seen: Seen) -> Answer:
        body, key = seen.body, seen.headers["idempotency-key"]
        known = self.by_key.get(key) or self._found_again(body)
        if known is None:
            known = self._new_action(body)
        self.by_key[key] = known
        return Answer(200, self._view(self.actions[known], body.get("attempt")))

    def _found_again(self, body: Body) -> str | None:
        if body.get("run_id") is None:
            return None
        for action in reversed(self.actions.values()):
            same = all(action["asked"].get(name) == body.get(name) for name in ("run_id", "call_id", "tool"))
            same = same and action["asked"]["arguments"] == body["arguments"]
            alive = action["state"] in {"pending", "ready"} or (
                action["state"] in {"executing", "unknown"} and RULES[body["tool"]][1] != "read"
            )
            if same and (alive or body.get("call_id")) and action["id"] not in body.get("in_flight", ()):
                return str(action["id"])
        return None

    def _new_action(self, body: Body) -> str:
        decision, _ = RULES.get(body["tool"], ("deny", ""))
        action_id = f"act_{len(self.actions) + 1}"
        action: Body = {"id": action_id, "asked": body, "revision": 1, "decision": decision, "reasons": []}
        action["digest"] = sha256_hex(secrets.token_bytes(8) + canonical(body["arguments"]))
        action["attempt"] = None
        if decision == "allow":
            action |= {"state": "ready", "grant": {"id": f"gr_{action_id}"}}
            if body["tool"] == "svc.deploy":
                action["grant"] |= {"token": self.token_for(action), "redeemed_by": "tool"}
            elif body.get("attempt"):
                self._execute(action, body["attempt"])
        elif decision == "pending":
            approval = {"id": f"apr_{action_id}", "code": "K7QF", "url": "http://127.0.0.1/a/K7QF", "expires_at": LEASE}
            away = {"asked_in": ["console", "cli"], "notice": "Slack is away since 10:00 UTC (status 500)"}
            action |= {"state": "pending", "approval": {**approval, **away}}
        else:
            code = "rule_denied" if body["tool"] in RULES else "unknown_tool"
            action |= {"state": "denied", "reasons": [{"code": code, "message": "no"}]}
        self.actions[action_id] = action
        return action_id

    def _execute(self, action: Body, attempt: str) -> None:
        action |= {"state": "executing", "attempt": attempt, "revision": action["revision"] + 1}
        self.executions.append(action["id"])
        self.moved.notify_all()

    def _look(self, action_id: str, query: dict[str, str]) -> Answer:
        action = self.actions.get(action_id)
        if action is None:
            return problem(404, "not_found")
        after, wait = int(query.get("after", 0)), float(query.get("wait", 0))
        self.moved.wait_for(lambda: action["revision"] > after, timeout=wait)
        return Answer(200, self._view(action, None))

    def _redeem(self, grant_id: str, body: Body) -> Answer:
        action = self.actions.get(grant_id.removeprefix("gr_"))
        if action is None:
            return problem(404, "not_found")
        matches = body.get("digest") == action["digest"] or body.get("arguments") == action["asked"]["arguments"]
        if not matches:
            return problem(409, "digest_mismatch")
        if action["state"] == "ready":
            self._execute(action, body["attempt"])
        elif action["attempt"] != body["attempt"]:
            return problem(409, "grant_spent" if action["attempt"] else "grant_expired")
        frozen = action["asked"]["arguments"]
        return Answer(200, {"action_id": action["id"], "arguments": frozen, "lease_expires_at": LEASE})

    def _redeem_token(self, body: Body) -> Answer:
        for action in self.actions.values():
            if action.get("grant", {}).get("token") == body["token"]:
                return self._redeem(action["grant"]["id"], body)
        return problem(404, "not_found")

    def _outcome(self, action_id: str, body: Body) -> Answer:
        action = self.actions.get(action_id)
        if action is None:
            return problem(404, "not_found")
        if action["attempt"] != body["attempt"]:
            return problem(409, "attempt_mismatch")
        if action["state"] == "executing":
            self._move(action_id, state=body["status"], outcome=body)
        return Answer(200, self._view(action, None))

    def _cancel(self, action_id: str) -> Answer:
        action = self.actions.get(action_id)
        if action is None or action["state"] not in {"pending", "ready"}:
            return problem(409, "already_decided")
        self._move(action_id, state="cancelled", decision="deny", reasons=[{"code": "cancelled", "message": "gone"}])
        return Answer(200, self._view(action, None))

    def _decided(self, query: dict[str, str]) -> Answer:
        after = int(query.get("cursor", 0))

        def found() -> list[Body]:
            later = (a for a in self.actions.values() if a.get("decided_at", 0) > after and "approval" in a)
            return sorted(later, key=lambda a: int(a["decided_at"]))

        self.moved.wait_for(lambda: bool(found()), timeout=float(query.get("wait", 0)))
        items = found()
        cursor = str(items[-1]["decided_at"]) if items else None
        return Answer(200, {"items": [self._view(item, None) for item in items], "next_cursor": cursor})

    def _tools(self) -> list[Body]:
        return [{"name": name, "arguments": dict.fromkeys(ARGUMENTS[name], "string")} for name in RULES]

    def _view(self, action: Body, attempt: str | None) -> Body:
        names = ("decision", "state", "revision", "reasons", "digest", "approval", "outcome")
        body = {"action_id": action["id"]} | {name: action[name] for name in names if name in action}
        holds = action["attempt"] is not None and action["attempt"] == attempt
        if action["state"] == "ready":
            body["grant"] = action["grant"]
        if action["state"] == "executing" and holds:
            body["lease_expires_at"] = LEASE
        return body

    def _move(self, action_id: str, **facts: object) -> None:
        with self.moved:
            action = self.actions[action_id]
            self.clock += 1
            action |= {"revision": action["revision"] + 1, "decided_at": self.clock, **facts}
            self.moved.notify_all()

    def fault_for(self, seen: Seen) -> Fault | None:
        with self.moved:
            for index, (path, fault) in enumerate(self.faults):
                if path in f"{seen.method} {seen.path}":
                    del self.faults[index]
                    return fault
            return None


def problem(status: int, code: str) -> Answer:
    """Return an RFC 9457 answer."""
    return Answer(
        status, {"title": code, "code": code, "detail": f"the stand-in says {code}"}, media="application/problem+json"
    )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        length = int(self.headers.get("content-length", 0))
        raw = self.rfile.read(length)
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = json.loads(raw) if raw else None
        seen = Seen(self.command, self.path, headers, body, self.client_address)
        standin = self.server.standin
        if standin.away_from in f"{self.command} {self.path}":
            self.close_connection = True
            return
        answer = standin.answer(seen)
        answer.headers |= standin.headers
        fault = standin.fault_for(seen) or honest
        try:
            self.close_connection = not fault(answer, self._write)
        except OSError:
            self.close_connection = True  # the client went away, as some tests want

    def _write(self, raw: bytes) -> None:
        self.wfile.write(raw)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
        """Stay silent."""


def honest(answer: Answer, send: Callable[[bytes], None]) -> bool:
    """Send the honest answer."""
    send(answer.raw())
    return True


def lose(answer: Answer, send: Callable[[bytes], None]) -> bool:
    """Carry it out and close without a word."""
    return False


def cut(answer: Answer, send: Callable[[bytes], None]) -> bool:
    """Carry it out and close in the middle of the answer."""
    raw = answer.raw()
    send(raw[: len(raw) - 7])
    return False


def say(raw: bytes) -> Fault:
    """Send these bytes instead."""

    def fault(answer: Answer, send: Callable[[bytes], None]) -> bool:
        send(raw)
        return False

    return fault


def change(**fields: object) -> Fault:
    """Send the honest answer with other fields."""

    def fault(answer: Answer, send: Callable[[bytes], None]) -> bool:
        answer.body |= fields
        send(answer.raw())
        return True

    return fault


def refuse(status: int, code: str) -> Fault:
    """Send this refusal instead."""

    def fault(answer: Answer, send: Callable[[bytes], None]) -> bool:
        send(problem(status, code).raw())
        return True

    return fault


class Server(ThreadingHTTPServer):
    """Serves one stand-in after the other on one free loopback port."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.standin = StandIn()
        self.scheme = "http"
        if tls is not None:
            self.scheme = "https"
            # The handshake belongs to the thread of the connection, not to the one that accepts.
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent about clients that refuse our certificate."""

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Serve until the end of the block."""
    server = Server(tls)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)
