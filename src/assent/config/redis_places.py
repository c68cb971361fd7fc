"""Where Redis is: one server, servers that sentinels watch, or a cluster; the URL that says so, taken apart.

redis://[USER@]HOST[:PORT][/DATABASE]                              rediss:// with TLS
unix:///PATH                                                       a socket on this machine
redis+sentinel://[USER@]HOST[:PORT][,HOST[:PORT]…]/NAME[/DATABASE]   rediss+sentinel:// with TLS
redis+cluster://[USER@]HOST[:PORT][,HOST[:PORT]…]                  rediss+cluster:// with TLS
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final, Self

_URL: Final = re.compile(
    r"(?P<scheme>redis|rediss)(\+(?P<how>sentinel|cluster))?://"
    r"((?P<user>[A-Za-z0-9_.-]+)@)?(?P<hosts>[A-Za-z0-9.,:\[\]-]+)(?P<path>(/[A-Za-z0-9_.-]*)*)"
)
_SOCKET: Final = re.compile(r"unix://(?P<path>/[A-Za-z0-9_./-]+)")
_HOST: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:(?P<port>[0-9]{1,5}))?")
_PORT: Final = 6379
_SENTINEL_PORT: Final = 26379
_MAX_PORT: Final = 65_535
_MAX_DATABASE: Final = 10_000
_MAX_HOSTS: Final = 16
_WRITE: Final = "write it as rediss://USER@HOST:PORT/DATABASE, rediss+sentinel://… or rediss+cluster://…"


class Topology(Enum):
    """What answers there."""

    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisPlace:
    """A URL taken apart; `name` is how people call the place, without who signs in there."""

    name: str
    topology: Topology = Topology.SINGLE
    hosts: tuple[tuple[str, int], ...] = ()
    socket: str | None = None
    has_tls: bool = False
    user: str | None = None
    database: int = 0
    service: str = ""

    @classmethod
    def of(cls, url: str) -> Self:
        """Take a URL apart. What was written is not repeated: a password may stand in it.

        Raises:
            ValueError: it is none, or holds a password.

        """
        if socket := _SOCKET.fullmatch(url):
            return cls(name=url, socket=socket["path"])
        match = _URL.fullmatch(url)
        if match is None:
            authority = url.partition("://")[2].partition("/")[0]
            if ":" in authority.rpartition("@")[0]:
                raise ValueError("a password stands in it: put that into `redis_password_file`")
            raise ValueError(_WRITE)
        topology = Topology(match["how"] or "single")
        service, database = _named(topology, match["path"])
        return cls(
            name=url.replace(f"{match['user']}@", "", 1) if match["user"] else url,
            topology=topology,
            hosts=_hosts(match["hosts"], topology),
            has_tls=match["scheme"] == "rediss",
            user=match["user"],
            database=database,
            service=service,
        )


def _hosts(text: str, topology: Topology) -> tuple[tuple[str, int], ...]:
    found = [_HOST.fullmatch(part) for part in text.split(",")]
    usual = _SENTINEL_PORT if topology is Topology.SENTINEL else _PORT
    hosts = tuple((one["host"].strip("[]"), int(one["port"] or usual)) for one in found if one is not None)
    is_one = topology is not Topology.SINGLE or len(hosts) == 1
    if len(hosts) != len(found) or not is_one or len(hosts) > _MAX_HOSTS or any(p > _MAX_PORT for _, p in hosts):
        raise ValueError(_WRITE)
    return hosts


def _named(topology: Topology, path: str) -> tuple[str, int]:
    """Return the sentinels' name of the service, and the number of the database."""
    parts = [part for part in path.split("/") if part]
    service = parts.pop(0) if topology is Topology.SENTINEL and parts else ""
    database = parts.pop(0) if topology is not Topology.CLUSTER and parts else "0"
    if parts or (topology is Topology.SENTINEL and not service):
        raise ValueError(_WRITE)
    if not database.isascii() or not database.isdigit() or int(database) > _MAX_DATABASE:
        raise ValueError("a database of Redis is a number, such as /0")
    return service, int(database)
