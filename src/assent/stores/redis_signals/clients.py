"""Clients of redis-py for every kind of place: nothing is tried twice, nothing waits longer than it is told to."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias, cast

from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from assent.config.redis_places import RedisPlace, Topology

SOCKET_SECONDS: Final = 0.5
MAX_CONNECTIONS: Final = 16
_BOUNDS: Final = {"socket_timeout": SOCKET_SECONDS, "socket_connect_timeout": SOCKET_SECONDS}


class Listening(Protocol):
    """A connection that hears what is published."""

    def subscribe(self, channel: str) -> Awaitable[object]: ...

    def ping(self) -> Awaitable[object]: ...

    def get_message(self, *, timeout: float) -> Awaitable[dict[str, object] | None]: ...

    def aclose(self) -> Awaitable[object]: ...


class Client(Protocol):
    """What is used here of a client; bytes come out."""

    def initialize(self) -> Awaitable[object]: ...

    def fcall(self, function: str, numkeys: int, *keys_and_args: str) -> Awaitable[object]: ...

    def function_load(self, code: str, *, replace: bool) -> Awaitable[object]: ...

    def publish(self, channel: str, message: str) -> Awaitable[object]: ...

    def set(self, name: str, value: str, *, nx: bool, ex: int) -> Awaitable[object]: ...

    def pubsub(self, *, ignore_subscribe_messages: bool) -> Listening: ...

    def aclose(self) -> Awaitable[object]: ...


Connect: TypeAlias = Callable[[], Client]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """With what somebody signs in, and by which authorities a server is believed; None: those of the system."""

    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None


def connecting(place: RedisPlace, access: Access) -> Connect:
    """Return what makes a fresh client of `place`; making one does not connect."""
    tls = _tls(place, access)
    given: dict[str, Any] = {
        **_BOUNDS,
        **tls,
        "username": place.user,
        "password": access.password,
        "max_connections": MAX_CONNECTIONS,
    }
    return lambda: _client(place, given | {"retry": _never()}, tls)


def _client(place: RedisPlace, given: dict[str, Any], tls: dict[str, Any]) -> Client:
    client: Any  # what redis-py says of its own types differs from one kind of client to the next
    if place.topology is Topology.SENTINEL:
        asking = {**_BOUNDS, **tls, "retry": _never()}
        watching = Sentinel(list(place.hosts), sentinel_kwargs=asking, **given)  # type: ignore[no-untyped-call]  # its own
        client = watching.master_for(place.service, redis_class=_Watched, db=place.database)
        client.sentinels = watching.sentinels
    elif place.topology is Topology.CLUSTER:
        client = RedisCluster(startup_nodes=[ClusterNode(host, port) for host, port in place.hosts], **given)
    elif place.socket is not None:
        client = Redis(unix_socket_path=place.socket, **given)
    else:
        host, port = place.hosts[0]
        client = Redis(host=host, port=port, db=place.database, **given)
    return cast("Client", client)


class _Watched(Redis):
    """A client of what sentinels watch, which closes what asks them as well."""

    sentinels: Sequence[Redis] = ()

    async def aclose(self, close_connection_pool: bool | None = None) -> None:  # noqa: FBT001  # as redis-py has it
        await super().aclose(close_connection_pool)
        for sentinel in self.sentinels:
            await sentinel.aclose()


def _never() -> Retry:
    return Retry(NoBackoff(), 0)


def _tls(place: RedisPlace, access: Access) -> dict[str, Any]:
    if not place.has_tls:
        return {}
    ca = None if access.ca_file is None else str(access.ca_file)
    return {"ssl": True, "ssl_cert_reqs": "required", "ssl_check_hostname": True, "ssl_ca_certs": ca}
