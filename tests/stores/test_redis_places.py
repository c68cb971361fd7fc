"""Every kind of place that a URL can name is reached, on real servers; over TLS only whom an authority vouches for."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from assent.config.redis_places import RedisPlace
from assent.core.windows import Count
from assent.ports import Known
from assent.stores.redis_signals import Access, RedisSignals, connecting
from tests import valkey_server
from tests.postgres_server import with_patience
from tests.sdk.test_tls import certificate
from tests.valkey_server import SentinelServer, ValkeyServer, free_port

COUNT = [Count("c", 600_000_000)]
LOCAL = ("--bind", "127.0.0.1")


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    reason = valkey_server.why_not()
    if reason is not None:
        pytest.skip(reason)
    with ExitStack() as running:
        yield running


def run(servers: ExitStack, server: ValkeyServer) -> ValkeyServer:
    servers.callback(server.stop)
    server.start()
    return server


def at(url: str, access: Access | None = None) -> RedisSignals:
    place = RedisPlace.of(url)
    connect = connecting(place, access or Access())
    return RedisSignals(connect, name=place.name, secret=bytes(32), pause_seconds=0.01)


async def works(first: RedisSignals, second: RedisSignals) -> None:
    """Two brokers count together, claim once, share a bucket and wake each other."""
    await first.begin([])
    await second.begin([])
    assert [await first.count(COUNT), await second.count(COUNT)] == [[1], [2]], first.link.why
    await first.forget(["c"])
    assert [await first.claim("x", seconds=60), await second.claim("x", seconds=60)] == [True, False]
    first.take("b", per_second=0.001, burst=1)
    await first.buckets.told()
    second.take("b", per_second=0.001, burst=1)
    await second.buckets.told()
    assert second.take("b", per_second=0.001, burst=1) > 0
    async with asyncio.timeout(20):
        await second.wakes.is_listening.wait()
    waiting = second.subscribe(["t"])
    first.wake("t")
    assert await waiting.wait(10)
    assert [first.link.why, second.link.why] == [None, None]
    await first.close()
    await second.close()


async def test_one_server_and_one_of_its_databases(servers: ExitStack) -> None:
    port = free_port()
    server = run(servers, ValkeyServer(valkey_server.folder(), *LOCAL, "--port", str(port)))
    url = f"redis://127.0.0.1:{port}/3"
    await works(at(url), at(url))
    assert server.ask("INFO", "keyspace").keys() == {"db3"}


async def test_a_cluster(servers: ExitStack) -> None:
    port, bus = free_port(), free_port()
    given = (*LOCAL, "--port", str(port), "--cluster-enabled", "yes", "--cluster-port", str(bus))
    server = run(servers, ValkeyServer(valkey_server.folder(), *given))
    server.ask("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
    async with asyncio.timeout(20):
        while "cluster_state:ok" not in server.ask("CLUSTER", "INFO"):
            await asyncio.to_thread(with_patience, 0.02)
    url = f"redis+cluster://127.0.0.1:{port}"
    await works(at(url), at(url))


@pytest.mark.requirement("T11")
async def test_what_sentinels_watch_and_a_replica_that_takes_over_counts_for_nobody(servers: ExitStack) -> None:
    ports = [free_port() for _ in range(3)]
    first = run(servers, ValkeyServer(valkey_server.folder(), *LOCAL, "--port", str(ports[0])))
    follows = ("--replicaof", f"127.0.0.1 {ports[0]}", "--repl-diskless-sync-delay", "0")
    second = run(servers, ValkeyServer(valkey_server.folder(), *LOCAL, "--port", str(ports[1]), *follows))
    sentinel = run(servers, SentinelServer(valkey_server.folder(), ports[2], ports[0]))
    url = f"redis+sentinel://127.0.0.1:{ports[2]}/main"
    await works(at(url), at(url))
    mine = at(url)
    await mine.begin([])
    assert await mine.count(COUNT) == [1]
    assert second.ask("REPLICAOF", "NO", "ONE")
    sentinel.ask("SENTINEL", "REMOVE", "main")
    sentinel.ask("SENTINEL", "MONITOR", "main", "127.0.0.1", str(ports[1]), "1")
    first.kill()
    async with asyncio.timeout(30):
        assert await mine.count(COUNT) is None
        await mine.link.is_reached.wait()
        assert await mine.count(COUNT) is None, "what the other one was told may be old"
        await mine.begin([Known("c", COUNT[0].window_us, 40, 0)])
    assert await mine.count(COUNT) == [41]
    await mine.close()


@pytest.fixture
async def secure(valkey: ValkeyServer, tmp_path: Path) -> AsyncIterator[tuple[int, Path]]:
    """Put TLS before the server; yield the port, and the file of who vouches for it."""
    public, private = certificate()
    (tmp_path / "both.pem").write_bytes(private + public)
    (tmp_path / "ca.pem").write_bytes(public)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")

    async def forth(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(str(valkey.socket))
        await asyncio.gather(hand_on(reader, far_writer), hand_on(far_reader, writer))

    listening = await asyncio.start_server(forth, "127.0.0.1", 0, ssl=context)
    yield listening.sockets[0].getsockname()[1], tmp_path / "ca.pem"
    listening.close()


async def hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while text := await reader.read(65_536):
            writer.write(text)
            await writer.drain()
    writer.close()


async def test_over_tls_whom_the_authority_vouches_for(secure: tuple[int, Path]) -> None:
    port, ca_file = secure
    url, access = f"rediss://127.0.0.1:{port}", Access(ca_file=ca_file)
    await works(at(url, access), at(url, access))


@pytest.mark.requirement("T11")
async def test_nobody_is_believed_whose_certificate_does_not_verify(secure: tuple[int, Path]) -> None:
    mine = at(f"rediss://127.0.0.1:{secure[0]}")
    await mine.begin([])
    assert await mine.count(COUNT) is None
    assert mine.link.why == "its certificate does not verify, or it speaks no TLS"
    await mine.close()
