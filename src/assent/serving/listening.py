"""Listening: one socket, bound before anything is opened, and one uvicorn with its limits and without its own voice."""

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any, Final

import uvicorn

from assent.config import Settings
from assent.core.errors import ConfigInvalid

BACKLOG: Final = 2_048


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
    if settings.public_url is not None:
        return settings.public_url.rstrip("/")
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{'https' if settings.has_tls else 'http'}://{host}:{listener.getsockname()[1]}"


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
    config = uvicorn.Config(
        app,
        http=_http(settings.max_head_bytes),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=settings.behind_proxy,
        backlog=BACKLOG,
        limit_concurrency=settings.max_connections,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=settings.shutdown_seconds,
        h11_max_incomplete_event_size=settings.max_head_bytes,
        ssl_certfile=settings.tls_certificate_file,
        ssl_keyfile=settings.tls_key_file,
    )
    return Server(config, on_started)


def _http(max_head_bytes: int) -> Any:  # noqa: ANN401  # a class or a name, as uvicorn takes them
    """Return the faster parser where it is installed, with the bound on heads that it lacks."""
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol  # noqa: PLC0415  # not on every platform
    except ImportError:
        return "h11"

    class Bounded(HttpToolsProtocol):
        """Hangs up on a head that does not end."""

        _head_bytes = 0
        _in_head = True

        def on_message_begin(self) -> None:
            self._head_bytes, self._in_head = 0, True
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._in_head = False
            super().on_headers_complete()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._in_head:
                self._head_bytes += len(data)
                if self._head_bytes > max_head_bytes:
                    self.transport.close()

    return Bounded
