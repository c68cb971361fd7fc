"""Does the steps of a call with asyncio streams: kept-alive connections per event loop, every wait bounded.

A connection belongs to one exchange and returns to the pool only after a complete answer; a cancelled exchange takes
its connection with it. Connections of another loop, or of the process that forked us, are never used.
"""

import asyncio
import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assent.sdk.endpoint import Endpoint, Limits
from assent.sdk.errors import BrokerUnavailable
from assent.sdk.http import AnswerReader, BadAnswer, Lost, Request, Response, encode
from assent.sdk.sockets import READ_BYTES
from assent.sdk.steps import Answer, Pause, Step

if TYPE_CHECKING:
    import ssl


@dataclass(frozen=True, slots=True, eq=False)
class _Connection:
    loop: asyncio.AbstractEventLoop
    pid: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def is_ours(self) -> bool:
        return self.loop is asyncio.get_running_loop() and self.pid == os.getpid()

    def is_open(self) -> bool:
        return not self.writer.is_closing() and not self.reader.at_eof()

    def drop(self) -> None:
        self.writer.transport.abort()


class StreamDriver:
    """Performs steps without blocking the event loop."""

    def __init__(self, endpoint: Endpoint, limits: Limits, tls: "ssl.SSLContext | None" = None) -> None:
        self._endpoint = endpoint
        self._limits = limits
        self._tls = tls
        self._lock = threading.Lock()  # loops of several threads may share one client
        self._idle: list[_Connection] = []

    async def perform(self, step: Step) -> Answer:
        """Do one step. A request that got no complete answer comes back as Lost, never as an exception."""
        if isinstance(step, Request):
            return await self._send(step)
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        try:
            await asyncio.wait_for(asyncio.wrap_future(step.comes), step.seconds)
        except TimeoutError:
            raise BrokerUnavailable("an ask of the same content was not answered in time") from None
        return None

    async def aclose(self) -> None:
        """Close the idle connections of this event loop and forget all others."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            if connection.is_ours():
                connection.writer.close()
                await _closed(connection.writer)

    async def _send(self, request: Request) -> Response | Lost:
        connection: _Connection | None = None
        try:
            connection = self._take() or await self._connect()
            async with asyncio.timeout(self._limits.answer_seconds + request.waits_seconds):
                response, reusable = await self._exchange(connection, request)
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
            _drop(connection)
            raise
        if response.is_server_error:
            self._leave(connection)
        else:
            self._give_back(connection, reusable=reusable)
        return response

    def _leave(self, connection: _Connection | None) -> None:
        """Drop this connection and the idle ones of this loop: they may lead to the same broker."""
        _drop(connection)
        with self._lock:
            ours = [one for one in self._idle if one.is_ours()]
            self._idle = [one for one in self._idle if one not in ours]
        for one in ours:
            one.drop()

    async def _exchange(self, connection: _Connection, request: Request) -> tuple[Response, bool]:
        connection.writer.write(encode(request, self._endpoint))
        await connection.writer.drain()
        reader = AnswerReader(self._limits.answer_bytes)
        while True:
            response = reader.feed(await connection.reader.read(READ_BYTES))
            if response is not None:
                return response, reader.reusable

    def _take(self) -> _Connection | None:
        with self._lock:
            self._idle = [one for one in self._idle if not one.loop.is_closed()]
            ours = [one for one in self._idle if one.is_ours()]
            while ours:
                connection = ours.pop()
                self._idle.remove(connection)
                if connection.is_open():
                    return connection
                connection.drop()
            return None

    def _give_back(self, connection: _Connection, *, reusable: bool) -> None:
        with self._lock:
            if reusable and len(self._idle) < self._limits.idle_connections:
                self._idle.append(connection)
                return
        connection.drop()

    async def _connect(self) -> _Connection:
        async with asyncio.timeout(self._limits.connect_seconds):
            reader, writer = await asyncio.open_connection(
                self._endpoint.host,
                self._endpoint.port,
                ssl=self._context() if self._endpoint.tls else None,
                server_hostname=self._endpoint.host if self._endpoint.tls else None,
            )
        return _Connection(asyncio.get_running_loop(), os.getpid(), reader, writer)

    def _context(self) -> "ssl.SSLContext":
        if self._tls is None:
            import ssl  # only for https

            self._tls = ssl.create_default_context()
        return self._tls


def _drop(connection: _Connection | None) -> None:
    if connection is not None:
        connection.drop()


async def _closed(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):  # the peer was faster
        await writer.wait_closed()
