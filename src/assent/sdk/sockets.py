"""Does the steps of a call with blocking sockets: kept-alive connections, one user at a time, every wait bounded.

Thread-safe: a connection belongs to one exchange and returns to the pool only after a complete answer. A forked child
never touches a socket of its parent. Who did not answer, or not now, may be one of several behind a load balancer: the
next try goes by a new connection, which leads to another.
"""

import os
import select
import socket
import threading
import time
import weakref
from typing import TYPE_CHECKING, Final

from assent.sdk.endpoint import Endpoint, Limits
from assent.sdk.errors import BrokerUnavailable
from assent.sdk.http import AnswerReader, BadAnswer, Lost, Request, Response, encode
from assent.sdk.steps import Answer, Pause, Step

if TYPE_CHECKING:
    import ssl

READ_BYTES: Final = 65_536


class SocketDriver:
    """Performs steps by blocking the calling thread."""

    def __init__(self, endpoint: Endpoint, limits: Limits, tls: "ssl.SSLContext | None" = None) -> None:
        self._endpoint = endpoint
        self._limits = limits
        self._tls = tls
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._idle: list[socket.socket] = []
        weakref.finalize(self, _close_all, self._idle)

    def perform(self, step: Step) -> Answer:
        """Do one step. A request that got no complete answer comes back as Lost, never as an exception."""
        if isinstance(step, Request):
            return self._send(step)
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        try:
            step.comes.result(timeout=step.seconds)
        except TimeoutError:
            raise BrokerUnavailable("an ask of the same content was not answered in time") from None
        return None

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            _close_all(self._idle)

    def _send(self, request: Request) -> Response | Lost:
        connection: socket.socket | None = None
        try:
            connection = self._take() or self._connect()
            response, reusable = self._exchange(connection, request)
        except TimeoutError:
            self._leave(connection)
            return Lost("the broker did not answer in time")
        except OSError as fault:
            self._leave(connection)
            return Lost(f"the broker cannot be reached: {fault.strerror or type(fault).__name__}")
        except BadAnswer as fault:
            self._leave(connection)
            return Lost(fault.message)
        except BaseException:
            _close(connection)
            raise
        if response.is_server_error:
            self._leave(connection)
        elif reusable:
            self._give_back(connection)
        else:
            connection.close()
        return response

    def _leave(self, connection: socket.socket | None) -> None:
        """Close this connection and the idle ones: they may lead to the same broker."""
        _close(connection)
        self.close()

    def _exchange(self, connection: socket.socket, request: Request) -> tuple[Response, bool]:
        until = time.monotonic() + self._limits.answer_seconds + request.waits_seconds
        connection.settimeout(until - time.monotonic())
        connection.sendall(encode(request, self._endpoint))
        reader = AnswerReader(self._limits.answer_bytes)
        while True:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            connection.settimeout(left)
            response = reader.feed(connection.recv(READ_BYTES))
            if response is not None:
                return response, reader.reusable

    def _take(self) -> socket.socket | None:
        self._forget_after_fork()
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if _is_quiet(connection):
                return connection
            connection.close()

    def _give_back(self, connection: socket.socket) -> None:
        with self._lock:
            if len(self._idle) < self._limits.idle_connections:
                self._idle.append(connection)
                return
        connection.close()

    def _connect(self) -> socket.socket:
        address = (self._endpoint.host, self._endpoint.port)
        connection = socket.create_connection(address, timeout=self._limits.connect_seconds)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return self._encrypted(connection) if self._endpoint.tls else connection
        except BaseException:
            connection.close()
            raise

    def _encrypted(self, connection: socket.socket) -> socket.socket:
        if self._tls is None:
            import ssl  # only for https

            self._tls = ssl.create_default_context()
        return self._tls.wrap_socket(connection, server_hostname=self._endpoint.host)

    def _forget_after_fork(self) -> None:
        # Closing our copy of a descriptor says nothing to the peer; the parent goes on using its own.
        if self._pid != os.getpid():
            self._lock = threading.Lock()
            self._pid = os.getpid()
            _close_all(self._idle)


def _is_quiet(connection: socket.socket) -> bool:
    """Whether nothing waits on an idle connection; whatever does is the peer's good-bye or not meant for us."""
    poll = select.poll()
    poll.register(connection, select.POLLIN | select.POLLHUP | select.POLLERR)
    return not poll.poll(0)


def _close(connection: socket.socket | None) -> None:
    if connection is not None:
        connection.close()


def _close_all(connections: list[socket.socket]) -> None:
    while connections:
        connections.pop().close()
