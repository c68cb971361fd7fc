"""One real server over raw sockets: what strangers can hold open, and what comes after the head."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import uvicorn

from assent.config import Settings
from assent.serving.connections import ConnectionLimits, Places
from assent.serving.listening import connection_limits, listen, server_for
from assent.serving.plain_connections import BoundedH11

PATIENCE_SECONDS = 20
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"

Open = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


class App:
    """Remembers the heads of the requests that came whole, and answers them."""

    def __init__(self) -> None:
        self.whole: list[dict[bytes, bytes]] = []
        self.callers: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        while message["type"] == "http.request" and message["more_body"]:
            message = await receive()
        if message["type"] != "http.request":
            return
        self.whole.append(dict(scope["headers"]))
        self.callers.append(scope["client"][0])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def served(app: App, *, parser: str = "fast", **changes: Any) -> AsyncIterator[Open]:
    settings = Settings(port=0, **changes)
    started = asyncio.Event()
    server = server_for(app, settings, started.set)
    if parser == "h11":
        server.config = on_h11(app, settings)
    with contextlib.closing(listen(settings)) as listener:
        port = listener.getsockname()[1]
        serving = asyncio.create_task(server.serve([listener]))
        await asyncio.wait_for(started.wait(), PATIENCE_SECONDS)
        writers: list[asyncio.StreamWriter] = []

        async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writers.append(writer)
            return reader, writer

        try:
            yield connect
        finally:
            for writer in writers:
                writer.close()
            server.should_exit = True
            server.force_exit = True
            await asyncio.wait_for(serving, PATIENCE_SECONDS)


def on_h11(app: App, settings: Settings) -> uvicorn.Config:
    limits = connection_limits(settings, descriptors=10_000)
    made: Any = partial(BoundedH11, limits, Places(limits))
    return uvicorn.Config(app, http=made, lifespan="off", ws="none", log_config=None)


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Return everything until the server hangs up."""
    try:
        return await asyncio.wait_for(reader.read(), PATIENCE_SECONDS)
    except ConnectionResetError:
        return b""


async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(GET)
    return await asyncio.wait_for(reader.readuntil(b"ok"), PATIENCE_SECONDS)


@pytest.mark.parametrize(
    ("proxies", "seen"),
    [(("127.0.0.1",), "192.0.2.7"), (("127.0.0.0/8",), "192.0.2.7"), (("10.0.4.0/24",), "127.0.0.1")],
)
async def test_only_a_proxy_says_who_calls(proxies: tuple[str, ...], seen: str) -> None:
    app = App()
    async with served(app, behind_proxy=True, proxy_addresses=proxies) as connect:
        reader, writer = await connect()
        writer.write(GET.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n"))
        await asyncio.wait_for(reader.readuntil(b"ok"), PATIENCE_SECONDS)
    assert app.callers == [seen]


@pytest.mark.requirement("T12")
@pytest.mark.parametrize("trailer", [b"Authorization: Bearer x", b"Idempotency-Key: k", b"X-Any: 1"])
async def test_a_header_after_the_head_ends_the_connection_and_the_request_never_came_whole(trailer: bytes) -> None:
    app = App()
    async with served(app) as connect:
        reader, writer = await connect()
        writer.write(CHUNKED + trailer + b"\r\n\r\n")
        assert b" 200 " not in await rest(reader)
    assert app.whole == []


async def test_a_chunked_body_without_trailers_is_served() -> None:
    app = App()
    async with served(app) as connect:
        reader, writer = await connect()
        writer.write(CHUNKED + b"\r\n")
        await asyncio.wait_for(reader.readuntil(b"ok"), PATIENCE_SECONDS)
    assert len(app.whole) == 1


@pytest.mark.requirement("T12")
@pytest.mark.parametrize(
    "beginning", [GET[:-2] + b"X: ", CHUNKED + b"X: ", POST + b"Transfer-Encoding: chunked\r\n\r\n1;a="]
)
async def test_bytes_that_get_a_request_nowhere_are_bounded(beginning: bytes) -> None:
    app = App()
    async with served(app, max_head_bytes=4_096) as connect:
        reader, writer = await connect()
        writer.write(beginning)
        with contextlib.suppress(ConnectionError):
            for _ in range(1_000):
                writer.write(b"a" * 4_096)
                await writer.drain()
        assert writer.is_closing() or b" 200 " not in await rest(reader)
    assert app.whole == []


@pytest.mark.requirement("T12")
@pytest.mark.parametrize("parser", ["fast", "h11"])
@pytest.mark.parametrize("sent", [b"", b"\r\n", GET[:-2], POST + b"Content-Length: 9\r\n\r\n{"])
async def test_what_does_not_arrive_in_time_is_hung_up_on(sent: bytes, parser: str) -> None:
    app = App()
    async with served(app, arrival_seconds=0.1, parser=parser) as connect:
        reader, writer = await connect()
        writer.write(sent)
        assert b" 200 " not in await rest(reader)
    assert app.whole == []


@pytest.mark.parametrize("parser", ["fast", "h11"])
async def test_a_second_request_has_a_deadline_of_its_own(parser: str) -> None:
    app = App()
    async with served(app, arrival_seconds=0.2, parser=parser) as connect:
        reader, writer = await connect()
        await answered(reader, writer)
        writer.write(GET[:-2])
        assert await rest(reader) == b""
    assert len(app.whole) == 1


@pytest.mark.parametrize("parser", ["fast", "h11"])
async def test_a_slow_answer_and_an_idle_connection_are_no_late_request(parser: str) -> None:
    class Slow(App):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            other_reader, _ = await connect()
            await rest(other_reader)  # another connection came later and is late already
            await super().__call__(scope, receive, send)

    async with served(Slow(), arrival_seconds=0.1, parser=parser) as connect:
        reader, writer = await connect()
        await answered(reader, writer)
        await answered(reader, writer)


@pytest.mark.requirement("T12")
async def test_one_address_takes_only_so_many_places_and_gives_them_back() -> None:
    app = App()
    async with served(app, max_connections_per_address=2) as connect:
        (one, first), (two, second) = await connect(), await connect()
        await answered(one, first)
        await answered(two, second)
        third, _ = await connect()
        assert await rest(third) == b""
        first.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b" 200 " in await rest(one)
        await answered(*await connect())


@pytest.mark.requirement("T12")
async def test_connections_that_are_only_held_open_keep_nobody_out() -> None:
    app = App()
    async with served(app, max_connections_per_address=3) as connect:
        held = [await connect() for _ in range(3)]
        reader, writer = await connect()
        assert b" 200 " in await answered(reader, writer)
        assert await rest(held[0][0]) == b""
        assert b" 200 " in await answered(*held[1])


async def test_a_full_house_serves_those_inside_and_hangs_up_on_the_next() -> None:
    app = App()
    async with served(app, max_connections=8) as connect:
        inside = [await connect() for _ in range(8)]
        for reader, writer in inside:
            assert b" 200 " in await answered(reader, writer)
        outside, _ = await connect()
        assert await rest(outside) == b""


def test_places_are_counted_in_all_and_by_address() -> None:
    limits = ConnectionLimits(connections=3, connections_per_address=2, head_bytes=1, arrival_seconds=1)
    places = Places(limits)
    assert [places.take(address) for address in ("a", "a", "a", "b", "b")] == [True, True, False, True, False]
    places.leave("a")
    assert [places.take(address) for address in ("b", "a")] == [True, False]


@pytest.mark.requirement("T12")
def test_connections_leave_the_ledger_its_descriptors() -> None:
    few, many = [connection_limits(Settings(), descriptors=count) for count in (1_024, 1_000_000)]
    proxied = connection_limits(Settings(behind_proxy=True), descriptors=1_024)
    assert (few.connections, few.connections_per_address) == (960, 512)
    assert many.connections == 10_000
    assert proxied.connections_per_address == 960
    assert connection_limits(Settings(), descriptors=10).connections == 1
