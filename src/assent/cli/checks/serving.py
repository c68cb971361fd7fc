"""Whether a broker serves: who holds the ledger, who answers at the address, and whether it can decide."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from assent.cli.checks.findings import Finding, State

if TYPE_CHECKING:
    from assent.config import Settings

ANSWER_SECONDS: Final = 3.0
MOST_BYTES: Final = 65_536


def broker(settings: "Settings") -> Iterator[Finding]:
    """Look at the port and the ledger together: a broker that serves has both."""
    serves, place = _is_held(settings.ledger_file), f"{settings.host} port {settings.port}"
    if settings.port == 0:
        yield Finding("broker", State.NOTE, "the port is 0, so whether it answers cannot be looked up here")
        return
    if settings.has_tls:
        yield from _with_tls(settings, place, serves=serves)
        return
    ready = _ready(settings)
    if ready is None and not _is_taken(settings):
        yield _not_listening(place, serves=serves)
    elif ready is None:
        yield Finding("broker", State.WRONG, f"something else listens on {place}", "stop it, or choose another `port`")
    elif not serves:
        yield Finding("broker", State.WRONG, f"a broker of another ledger answers on {place}", "choose another `port`")
    elif not ready.get("ready"):
        notes = "; ".join(map(str, ready.get("notes", ()))) or "it does not say why"
        yield Finding("broker", State.WRONG, f"it answers and cannot decide: {notes}", "see its log")
    else:
        yield Finding("broker", State.OK, f"serves on {place} and can decide")


def _with_tls(settings: "Settings", place: str, *, serves: bool) -> Iterator[Finding]:
    if not _is_taken(settings):
        yield _not_listening(place, serves=serves)
        return
    state = State.OK if serves else State.WRONG
    said = f"something listens on {place}, and a broker {'serves' if serves else 'does not serve'} this ledger"
    yield Finding("broker", state, said, "" if serves else "stop the other one, or choose another `port`")


def _not_listening(place: str, *, serves: bool) -> Finding:
    if serves:
        said = f"one holds the ledger, and nothing answers on {place}"
        return Finding("broker", State.WRONG, said, "it listens elsewhere (--port), hangs, or has just been started")
    return Finding("broker", State.NOTE, f"none serves; {place} is free")


def _is_held(ledger: Path) -> bool:
    try:
        descriptor = os.open(ledger.with_name(f"{ledger.name}.lock"), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _is_taken(settings: "Settings") -> bool:
    try:
        with socket.create_connection((settings.host, settings.port), timeout=ANSWER_SECONDS):
            return True
    except OSError:
        return False


def _ready(settings: "Settings") -> dict[str, Any] | None:
    """Return what a broker says of itself at the address, or None when what answers is none."""
    request = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    try:
        with socket.create_connection((settings.host, settings.port), timeout=ANSWER_SECONDS) as connection:
            connection.sendall(request)
            answer = b""
            while (part := connection.recv(MOST_BYTES)) and len(answer) < MOST_BYTES:
                answer += part
        body = json.loads(answer.partition(b"\r\n\r\n")[2])
    except (OSError, ValueError):
        return None
    return body if isinstance(body, dict) and "ledger_writable" in body else None
