"""The lines between brokers, their database, their Redis and their clients: `python -m tests.replicas.relay`.

It reads what lines there are from its first line of input, says at which ports they listen, and then does what each
further line asks for, until its input ends. A line knows no protocol. It hands everything on, or late; or it is cut,
so that every connection breaks and no new one holds; or it is a hole, where connections stay and nothing comes out at
the other side until it is whole again, when everything does. A line with several targets is a load balancer: it asks
each for `/readyz` and gives a new connection to the next that said yes.
"""

import asyncio
import json
import resource
import sys
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import uvloop

HOST: Final = "127.0.0.1"
LOOK_EACH_SECONDS: Final = 0.1
LOOK_SECONDS: Final = 0.7
PASS, LATE, CUT, HOLE = "pass", "late", "cut", "hole"
_LOOK: Final = b"GET /readyz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n"
_READY: Final = b"HTTP/1.1 200"


class Way:
    """From a line to one of its targets: how it is at the moment, and who is on it."""

    def __init__(self, target: str | int) -> None:
        self.target = target
        self.mode = PASS
        self.late_seconds = 0.0
        self.is_ready = True
        self.whole = asyncio.Event()
        self.whole.set()
        self.ends: set[End] = set()

    def become(self, mode: str, seconds: float) -> None:
        """Be in another way from now on, for who is on it already too."""
        self.mode, self.late_seconds = mode, seconds if mode == LATE else 0.0
        if mode == CUT:
            self.drop()
        if mode == HOLE:
            self.whole.clear()
        else:
            self.whole.set()
        for end in list(self.ends):
            end.read_on()

    def drop(self) -> None:
        """Break every connection."""
        for end in list(self.ends):
            end.transport.abort()

    async def connect(self, make: Callable[[], "End"]) -> None:
        """Connect to the target. Raises OSError."""
        loop = asyncio.get_running_loop()
        if isinstance(self.target, str):
            await loop.create_unix_connection(make, self.target)
        else:
            await loop.create_connection(make, HOST, self.target)


class End(asyncio.Protocol):
    """One end of a connection: what comes in here goes out at the other."""

    transport: asyncio.Transport

    def __init__(self, begin: Callable[["End"], None]) -> None:
        self._begin = begin
        self._other: End | None = None
        self._way: Way | None = None
        self._late: deque[bytes | None] = deque()
        self._is_held = False

    def connection_made(self, transport: Any) -> None:  # asyncio's own, of several kinds
        """Begin; what comes before somebody is at the other side is kept."""
        self.transport = transport
        self._begin(self)

    def join(self, other: "End", way: Way) -> None:
        """Hand on to `other` from now on."""
        self._other, self._way = other, way
        way.ends.add(self)
        kept, self._late = self._late, deque()
        for data in kept:
            self._put(data)
        asyncio.get_running_loop().call_soon(self.read_on)

    def read_on(self) -> None:
        """Read, or do not, as the way is."""
        holds = self._way is not None and self._way.mode == HOLE
        if holds is self._is_held or self.transport.is_closing():
            return
        self._is_held = holds
        if holds:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Hand it on, now or late, and never before what came earlier."""
        self._put(data)

    def connection_lost(self, _fault: Exception | None) -> None:
        """Say goodbye at the other side too."""
        if self._way is not None:
            self._way.ends.discard(self)
        self._put(None)

    def _put(self, data: bytes | None) -> None:
        self._late.append(data)
        if self._way is None:
            return
        if self._way.late_seconds or len(self._late) > 1:
            asyncio.get_running_loop().call_later(self._way.late_seconds, self._hand_on)
        else:
            self._hand_on()

    def _hand_on(self) -> None:
        data = self._late.popleft()
        if self._other is None or self._other.transport.is_closing():
            return
        if data is None:
            self._other.transport.close()
        else:
            self._other.transport.write(data)


class Line:
    """Listens, and leads to a target; to whichever is ready where there are several."""

    def __init__(self, targets: list[str | int]) -> None:
        self.ways = [Way(target) for target in targets]
        self._next = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self) -> int:
        """Return the port."""
        server = await asyncio.get_running_loop().create_server(lambda: End(self._take), HOST, 0, backlog=4_096)
        if len(self.ways) > 1:
            for way in self.ways:
                self._keep(look(way))
        port: int = server.sockets[0].getsockname()[1]
        return port

    def _keep(self, work: Any) -> None:  # a coroutine
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _take(self, near: End) -> None:
        self._keep(self._lead(near))

    async def _lead(self, near: End) -> None:
        """Connect to the next that is ready; whoever cannot be led anywhere is hung up on."""
        start, self._next = self._next, self._next + 1
        turns = [self.ways[(start + number) % len(self.ways)] for number in range(len(self.ways))]
        for way in sorted(turns, key=lambda way: not way.is_ready):
            if way.mode == CUT:
                continue
            await way.whole.wait()
            try:
                await way.connect(lambda way=way: End(lambda far: _join(near, far, way)))  # type: ignore[misc]  # bound
            except OSError:
                continue
            return
        near.transport.abort()


def _join(near: End, far: End, way: Way) -> None:
    near.join(far, way)
    far.join(near, way)


async def look(way: Way) -> None:
    """Look again and again whether the target takes work."""
    while True:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                way.is_ready = way.mode in {PASS, LATE} and await _is_ready(way)
        except (OSError, TimeoutError):
            way.is_ready = False
        await asyncio.sleep(LOOK_EACH_SECONDS)


async def _is_ready(way: Way) -> bool:
    await asyncio.sleep(2 * way.late_seconds)  # there and back
    reader, writer = await asyncio.open_connection(HOST, int(way.target))
    try:
        writer.write(_LOOK)
        return (await reader.read(64)).startswith(_READY)
    finally:
        writer.transport.abort()


def do(lines: dict[str, Line], asked: dict[str, Any]) -> dict[str, Any]:
    """Do what was asked to a line, or to one way of it, and say which of its targets are ready."""
    ways = lines[asked["line"]].ways
    some = ways if asked.get("target") is None else [ways[asked["target"]]]
    for way in some:
        if asked["do"] == "drop":
            way.drop()
        elif asked["do"] != "look":
            way.become(asked["do"], asked.get("seconds", 0.0))
    return {"ready": [way.is_ready for way in ways], "open": sum(len(way.ends) for way in ways)}


async def main() -> None:
    """Relay until nobody says anything more."""
    asks: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), lambda: asks.put_nowait(sys.stdin.readline()))
    lines = {name: Line(targets) for name, targets in json.loads(await asks.get()).items()}
    print(json.dumps({name: await line.listen() for name, line in lines.items()}), flush=True)
    while asked := await asks.get():
        print(json.dumps(do(lines, json.loads(asked))), flush=True)


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    uvloop.run(main())
