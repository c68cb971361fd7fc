"""A line to a database that can be cut at a word: a socket between a ledger and its server, which knows no protocol."""

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

_BYTES: Final = 65_536


class CutLine:
    """Listens in `folder` as the server does in `server`, and hands everything on until `rule` says what else.

    `rule(text)` is asked about everything that the ledger sends: `pass` hands it on; `cut before` cuts the line and the
    server hears nothing; `cut after` hands it on, waits for the server's answer, and cuts; `swallow` hands on nothing
    more in either direction and keeps the line.
    """

    def __init__(self, server: Path, folder: Path) -> None:
        self.rule: Callable[[bytes], str] = lambda _text: "pass"
        self.met: list[str] = []
        self._server = str(server / ".s.PGSQL.5432")
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listening.bind(str(folder / ".s.PGSQL.5432"))
        self._listening.listen()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def when(self, word: bytes, what: str, *, after: int = 0) -> None:
        """Do `what` once, when the ledger says `word` after so many times."""
        heard = [0]

        def rule(text: bytes) -> str:
            heard[0] += word in text
            if word not in text or heard[0] != after + 1:
                return "pass"
            return what

        self.rule = rule

    def close(self) -> None:
        """Cut everything."""
        self._listening.close()
        for pair in self._pairs:
            _cut(*pair)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                far.connect(self._server)
                self._pairs.append((near, far))
                threading.Thread(target=self._forth, args=(near, far), daemon=True).start()

    def _forth(self, near: socket.socket, far: socket.socket) -> None:
        back = threading.Thread(target=_hand_on, args=(far, near), daemon=True)
        with contextlib.suppress(OSError):
            back.start()
            while text := near.recv(_BYTES):
                what = self.rule(text)
                if what == "pass":
                    far.sendall(text)
                    continue
                self.met.append(what)
                if what == "swallow":
                    return
                if what == "cut after":
                    near.shutdown(socket.SHUT_WR)
                    far.sendall(text)
                    back.join(1.0)
                break
        _cut(near, far)


def _hand_on(near: socket.socket, far: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while text := near.recv(_BYTES):
            far.sendall(text)


def _cut(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
