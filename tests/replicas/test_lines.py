"""The lines do what they are told: a proof that cuts nothing proves nothing."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from tests.replicas.fleet import until
from tests.replicas.lines import Lines

ANSWER_SECONDS = 10.0
LATE_SECONDS = 0.15
READY = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
UNREADY = READY.replace(b"200 OK", b"503 Not now")


@contextmanager
def answering(answer: Callable[[bytes], bytes]) -> Iterator[int]:
    """Serve on a port until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def talk(near: socket.socket) -> None:
            with near, suppress(OSError):
                while said := near.recv(4_096):
                    near.sendall(answer(said))

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=talk, args=(listening.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1]


@pytest.fixture
def lines() -> Iterator[Lines]:
    with answering(lambda said: said.upper()) as port, closing(Lines({"line": [port]})) as lines:
        yield lines


def connected(lines: Lines, seconds: float = ANSWER_SECONDS) -> socket.socket:
    return socket.create_connection(("127.0.0.1", lines.ports["line"]), timeout=seconds)


def said(to: socket.socket, words: bytes) -> bytes:
    to.sendall(words)
    return to.recv(100)


def test_what_passes_comes_whole(lines: Lines) -> None:
    with connected(lines) as line:
        assert said(line, b"one") == b"ONE"
        assert lines.open("line") == 1


def test_what_is_late_comes_late_and_in_order(lines: Lines) -> None:
    with connected(lines) as line, lines.broken("line", "late", seconds=LATE_SECONDS):
        began = time.monotonic()
        line.sendall(b"one")
        line.sendall(b"two")
        heard = b""
        while len(heard) < len(b"ONETWO"):
            heard += line.recv(100)
        assert time.monotonic() - began >= 2 * LATE_SECONDS
        assert heard == b"ONETWO"


def test_a_line_that_is_cut_breaks_and_no_new_one_holds_until_it_is_whole(lines: Lines) -> None:
    with connected(lines) as line:
        assert said(line, b"one") == b"ONE"
        with lines.broken("line", "cut"):
            with suppress(ConnectionError):
                assert line.recv(100) == b""
            with suppress(ConnectionError), connected(lines) as other:
                assert said(other, b"two") == b""
    with connected(lines) as line:
        assert said(line, b"three") == b"THREE"


def test_a_hole_swallows_and_gives_back_when_it_is_whole(lines: Lines) -> None:
    with connected(lines, 0.2) as line, connected(lines) as other:
        assert said(line, b"one") == b"ONE"
        with lines.broken("line", "hole"):
            line.sendall(b"two")
            other.sendall(b"three")
            with pytest.raises(TimeoutError):
                line.recv(100)
        line.settimeout(ANSWER_SECONDS)
        assert (line.recv(100), other.recv(100)) == (b"TWO", b"THREE")


def test_all_are_dropped_once_and_may_come_back(lines: Lines) -> None:
    with connected(lines) as line:
        assert said(line, b"one") == b"ONE"
        lines.drop("line")
        with suppress(ConnectionError):
            assert line.recv(100) == b""
    with connected(lines) as line:
        assert said(line, b"two") == b"TWO"
    until(lambda: lines.open("line") == 0, "nobody to be on the line")


def test_a_balancer_leads_to_who_is_ready_and_nowhere_else() -> None:
    healthy = {"first": READY, "second": READY}

    def talking(name: str) -> Callable[[bytes], bytes]:
        return lambda said: healthy[name] if b"/readyz" in said else name.encode()

    with (
        answering(talking("first")) as first,
        answering(talking("second")) as second,
        closing(Lines({"line": [first, second]})) as lines,
    ):
        assert led_to(lines) == {b"first", b"second"}
        healthy["first"] = UNREADY
        until(lambda: lines.ready("line") == [False, True], "the first to be found unready")
        assert led_to(lines) == {b"second"}
        with lines.broken("line", "cut", target=1):
            until(lambda: lines.ready("line") == [False, False], "the second to be found away")
        healthy["first"] = READY
        until(lambda: all(lines.ready("line")), "both to be ready")


def led_to(lines: Lines) -> set[bytes]:
    found = set()
    for _ in range(4):
        with connected(lines) as line:
            found.add(said(line, b"who"))
    return found
