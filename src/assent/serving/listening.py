"""Listening: one socket, bound before anything is opened, and one uvicorn with its limits and without its own voice."""

import asyncio
import errno
import resource
import socket
import sys
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import uvicorn

from assent.config import Settings
from assent.core.errors import ConfigInvalid
from assent.serving.connections import ConnectionLimits, protocol

BACKLOG: Final = 2_048
# For the ledger, the log and the files of policy, whatever strangers hold open.
KEPT_DESCRIPTORS: Final = 64
_LOCALHOST: Final = "localhost"
_LOOPBACK: Final = ("127.0.0.1", _LOCALHOST, "[::1]")
_NAMED_LOCALHOST: Final = frozenset({"127.0.0.1", _LOCALHOST, "::1"})


def listen(settings: Settings) -> socket.socket:
    """Return a socket that listens where `settings` say; connections wait in it until somebody serves them.

    Raises:
        ConfigInvalid: the address is taken, not this machine's, or not allowed.

    """
    address = (settings.host, settings.port)
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server(address, family=family, backlog=BACKLOG)
    except OSError as fault:
        place = f"`{settings.host}` port {settings.port}"
        if fault.errno == errno.EADDRINUSE:
            raise ConfigInvalid(
                f"another process listens on {place} already", hint="stop it, or choose another `port`"
            ) from None
        raise ConfigInvalid(f"cannot listen on {place}: {fault.strerror}", hint="correct `host` or `port`") from None


def url_of(settings: Settings, listener: socket.socket) -> str:
    """Return the URL by which the broker is reached: the public one, or that of the socket."""
    return _url(settings, listener.getsockname()[1])


def _url(settings: Settings, port: int) -> str:
    if settings.public_url is not None:
        return settings.public_url.rstrip("/")
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{'https' if settings.has_tls else 'http'}://{host}:{port}"


def console_url_of(settings: Settings, port: int) -> str:
    """Return the URL by which people reach the console: that of the broker, on loopback by the name `localhost`.

    Browsers bind passkeys to a name and cookies to what was called, so every link says the same. An issuer of single
    sign-on knows the address that it was given: there `public_url` says another one.
    """
    if settings.public_url is None and settings.oidc_issuer is None and settings.host in _NAMED_LOCALHOST:
        return f"{'https' if settings.has_tls else 'http'}://{_LOCALHOST}:{port}"
    return _url(settings, port)


def hosts_of(settings: Settings, listener: socket.socket) -> frozenset[str]:
    """Return the values of `Host` under which people reach the console; any other name was pointed here by a stranger.

    On loopback this machine's own names, elsewhere the address that was set; the one of `public_url` always.
    """
    port = listener.getsockname()[1]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host.lower()
    own = {host, *_LOOPBACK} if settings.is_loopback else {host}
    default = 443 if settings.has_tls else 80
    named = {f"{name}:{port}" for name in own} | (own if port == default else set())
    if settings.public_url is not None:
        named.add(urlsplit(settings.public_url).netloc.rpartition("@")[2].lower())
    return frozenset(named)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes an event loop: the faster one where it is installed."""
    return uvicorn.Config("").get_loop_factory()


class Server(uvicorn.Server):
    """A uvicorn that says when it serves and leaves signals to the process."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept, then say so."""
        await super().startup(sockets)
        self._on_started()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until `should_exit`; the process itself listens to signals."""
        await self._serve(sockets)


def server_for(app: Any, settings: Settings, on_started: Callable[[], None]) -> Server:  # noqa: ANN401  # ASGI's own shape
    """Return the server for `app`."""
    limits = connection_limits(settings, descriptors=_descriptors())
    made: Any = protocol(limits)  # uvicorn calls it like a class
    config = uvicorn.Config(
        app,
        http=made,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=settings.behind_proxy,
        forwarded_allow_ips=list(settings.proxy_addresses),
        backlog=BACKLOG,
        limit_concurrency=limits.connections + 1,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=settings.shutdown_seconds,
        h11_max_incomplete_event_size=settings.max_head_bytes,
        ssl_certfile=settings.tls_certificate_file,
        ssl_keyfile=settings.tls_key_file,
    )
    return Server(config, on_started)


def connection_limits(settings: Settings, *, descriptors: int) -> ConnectionLimits:
    """Return the limits of connections in a process that may have so many `descriptors`.

    Behind a proxy every connection comes from its address, so there is no limit for one.
    """
    connections = max(1, min(settings.max_connections, descriptors - KEPT_DESCRIPTORS))
    each = connections if settings.behind_proxy else settings.max_connections_per_address
    return ConnectionLimits(
        connections=connections,
        connections_per_address=each,
        head_bytes=settings.max_head_bytes,
        arrival_seconds=settings.arrival_seconds,
    )


def _descriptors() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft
