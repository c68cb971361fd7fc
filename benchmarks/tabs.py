"""Open pages of the console over raw sockets: each holds a stream, and every event of it is looked at.

`python -m benchmarks.tabs FOLDER TABS PEOPLE CHANGES` prints as JSON how soon a change stands on every page.
"""

import asyncio
import json
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

import aiohttp

from benchmarks import houses, people
from benchmarks.asking import Asked, Asker
from benchmarks.checks import WrongAnswer
from benchmarks.over_http import broker_server
from benchmarks.pinned import LOAD_CORE, pin
from benchmarks.servers import Server

AGENTS: Final = 20
WAITING: Final = 40
# Two lists of questions; every change stands on both.
PAGES: Final = ("/console/?show=open", "/console/?show=open", "/console/")
COMES_WITHIN_SECONDS: Final = 30.0
BETWEEN_SECONDS: Final = 0.7
_LOOK_AGAIN_SECONDS: Final = 0.005
_HEAD_END: Final = b"\r\n\r\n"
_CHUNK: Final = re.compile(rb"([0-9a-f]+)\r\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How soon changes stood on pages, in milliseconds from sending the request; what the broker spent on one change.

    `kb_each` is the memory of a page that is kept current, in 10^3 bytes, its connection included.
    """

    tabs: int
    people: int
    changes: int
    p50_ms: float
    p99_ms: float
    worst_ms: float
    cpu_ms: float
    kb_each: float
    event_bytes: float


class Tab(asyncio.Protocol):
    """One page: what it was told since the last `forget`, each with the nanosecond at which it was there whole."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._raw = b""
        self._text = b""
        self._is_open = False
        self.told: list[tuple[int, bytes]] = []
        self.fault: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the stream."""
        if isinstance(transport, asyncio.WriteTransport):
            transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that it ended: a page that is kept current never does here."""
        self.fault = self.fault or f"a stream ended: {exc}"

    def data_received(self, data: bytes) -> None:
        """Take the answer apart: its head, then chunks, then events."""
        self._raw += data
        if not self._is_open:
            head, end, rest = self._raw.partition(_HEAD_END)
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 200 ") or b"text/event-stream" not in head:
                self.fault = f"a stream was refused: {head[:100]!r}"
            self._raw, self._is_open = rest, True
        while (size := _CHUNK.match(self._raw)) is not None:
            end_of_it = size.end() + int(size[1], 16)
            if len(self._raw) < end_of_it + 2:
                break
            self._text += self._raw[size.end() : end_of_it]
            self._raw = self._raw[end_of_it + 2 :]
        now = time.perf_counter_ns()
        *events, self._text = self._text.split(b"\n\n")
        self.told += [(now, event) for event in events]

    def first(self, code: bytes, since: int, *, there: bool) -> int | None:
        """Return when the first event since then came that shows the code, or shows it no more."""
        if self.fault is not None:
            raise WrongAnswer(self.fault)
        for at, event in self.told:
            if at >= since and event.startswith(b"data: ") and (code in event) is there:
                return at
        return None

    def forget(self, right: Mapping[str, bool]) -> tuple[int, int]:
        """Check every event, and the newest one for each code whether it stands there; return their count and bytes."""
        shown = [self._checked(event) for _, event in self.told if event.startswith(b"data: ")]
        others = [event for _, event in self.told if not event.startswith((b"data: ", b"retry: ", b": still here"))]
        wrong = others or [
            code.encode() for code, there in right.items() if not shown or (code in shown[-1]) is not there
        ]
        if wrong:
            raise WrongAnswer(f"a page shows otherwise: {wrong[0]!r}")
        size = sum(len(event) for _, event in self.told)
        self.told.clear()
        return len(shown), size

    @staticmethod
    def _checked(event: bytes) -> str:
        page = json.loads(event.removeprefix(b"data: "))
        if not isinstance(page, str) or 'id="inbox"' not in page or "<!doctype" in page:
            raise WrongAnswer(f"no part of an inbox: {event[:100]!r}")
        return page


async def cookies(session: aiohttp.ClientSession, base: str, tokens: Mapping[str, str]) -> list[str]:
    """Return a console session of everybody."""
    found = []
    for token in tokens.values():
        body = urlencode({"secret": token})
        head = {"content-type": "application/x-www-form-urlencoded"}
        async with session.post(f"{base}/console/sign-in", data=body, headers=head, allow_redirects=False) as answer:
            if answer.status != 303:
                raise WrongAnswer(f"signing in answered {answer.status}")
            found.append(answer.headers["set-cookie"].partition(";")[0])
    return found


@asynccontextmanager
async def opened(base: str, signed_in: list[str], count: int) -> AsyncIterator[list[Tab]]:
    """Hold so many pages open, of everybody in turn; each was brought its parts once."""
    host, port = base.removeprefix("http://").split(":")
    transports, tabs = [], []
    for number in range(count):
        page = PAGES[(number // len(signed_in)) % len(PAGES)]
        cookie = signed_in[number % len(signed_in)]
        head = (
            f"GET /console/live?of={quote(page, safe='')} HTTP/1.1\r\nhost: {host}:{port}\r\ncookie: {cookie}\r\n\r\n"
        )
        tab = Tab(head.encode())
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(lambda tab=tab: tab, host, int(port))  # type: ignore[misc]  # bound
        transports.append(transport)
        tabs.append(tab)
    try:
        await _until(tabs, lambda tab: tab.first(b"inbox", 0, there=True))
        yield tabs
    finally:
        for transport in transports:
            transport.close()


async def _until(tabs: list[Tab], came: Callable[[Tab], int | None]) -> list[int]:
    end = time.monotonic() + COMES_WITHIN_SECONDS
    while None in (found := [came(tab) for tab in tabs]):
        if time.monotonic() >= end:
            raise WrongAnswer(f"{found.count(None)} of {len(tabs)} pages were not brought what moved")
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
    return [at for at in found if at is not None]


async def _changes(tabs: list[Tab], asker: Asker, approver: Asker, count: int) -> tuple[list[float], list[float]]:
    """Return milliseconds until each page shows a question that came, and until it shows it no more."""
    came, gone, sizes = list[float](), list[float](), list[float]()
    for number in range(count):
        await asyncio.sleep(BETWEEN_SECONDS)
        began = time.perf_counter_ns()
        asked: Asked = await asker.ask(people.tool(number % AGENTS))
        came += await _shown(tabs, asked.code, began, there=True)
        await asyncio.sleep(BETWEEN_SECONDS)
        sizes += [size / max(1, events) for events, size in (tab.forget({asked.code: True}) for tab in tabs)]
        began = time.perf_counter_ns()
        await approver.approve(asked)
        gone += await _shown(tabs, asked.code, began, there=False)
        for tab in tabs:
            tab.forget({asked.code: False})
    return came + gone, sizes


async def _shown(tabs: list[Tab], code: str, began: int, *, there: bool) -> list[float]:
    found = await _until(tabs, lambda tab: tab.first(code.encode(), began, there=there))
    return [(at - began) / 1e6 for at in found]


async def measure(house: houses.House, count: int, changes: int) -> Kept:
    """Return what `count` open pages come to."""
    with broker_server(house) as server:
        pin(LOAD_CORE)
        base = f"http://127.0.0.1:{server.port}"
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            askers = [Asker(session, base, house.agents[people.agent(number)]) for number in range(AGENTS)]
            for number in range(WAITING):
                await askers[number % AGENTS].ask(people.tool(number % AGENTS))
            signed_in = await cookies(session, base, house.people)
            before = server.memory_mb() or 0.0
            async with opened(base, signed_in, count) as tabs:
                kb_each = ((server.memory_mb() or 0.0) - before) * 1_000 / count
                for tab in tabs:
                    tab.forget({})
                used = _cpu(server)
                idle = await _idle(server)
                spent, sizes = await _changes(tabs, askers[0], Asker(session, base, house.operator), changes)
                seconds = 2 * changes * BETWEEN_SECONDS
                cpu_ms = max(0.0, _cpu(server) - used - idle * seconds) * 1e3 / (2 * changes)
    spent.sort()
    return Kept(
        tabs=count,
        people=len(house.people),
        changes=2 * changes,
        p50_ms=spent[len(spent) // 2],
        p99_ms=spent[int(len(spent) * 0.99)],
        worst_ms=spent[-1],
        cpu_ms=cpu_ms,
        kb_each=kb_each,
        event_bytes=sum(sizes) / len(sizes),
    )


async def _idle(server: Server) -> float:
    used, began = _cpu(server), time.monotonic()
    await asyncio.sleep(2.0)
    return (_cpu(server) - used) / (time.monotonic() - began)


def _cpu(server: Server) -> float:
    return server.cpu_seconds() or 0.0


def furnished(place: Path, persons: int) -> houses.House:
    """Make a house with so many people who may answer."""
    return houses.furnish(
        place / "house",
        lambda directory: people.write(directory, agents=AGENTS, rooms=persons, assurance="token"),
        [people.agent(number) for number in range(AGENTS)],
        people=[people.person(number).name for number in range(persons)],
        more=people.UNLIMITED,
    )


def main() -> None:
    """Measure and print."""
    folder, count, persons, changes = sys.argv[1:5]
    with tempfile.TemporaryDirectory(dir=folder) as place:
        house = furnished(Path(place), int(persons))
        found = asyncio.run(measure(house, int(count), int(changes)))
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()
