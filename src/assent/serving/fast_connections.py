"""The faster parser with the bounds that it lacks; importing this fails where the parser is not installed."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from assent.serving.connections import Bounded, ConnectionLimits, Places


class TrailerRefused(Exception):
    """A header came after the head."""


class BoundedHttpTools(Bounded, HttpToolsProtocol):
    """Waits for each message, refuses trailers, and hangs up on bytes that get a message nowhere."""

    def __init__(self, limits: ConnectionLimits, places: Places, **given: Any) -> None:  # noqa: ANN401  # uvicorn's own
        super().__init__(limits, places, **given)
        self._in_head = True
        self._moved = False
        self._idle_bytes = 0

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._in_head, self._idle_bytes = True, 0
        self.expect()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header of the head; a later one ends the connection.

        Raises:
            TrailerRefused: the parser gives up then, and the connection is answered 400 and closed.

        """
        if not self._in_head:
            raise TrailerRefused
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """End a head."""
        self._in_head = False
        self._advance()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self._advance()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a message."""
        self._advance()
        self.arrived()
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Feed the parser; what got no message any further is counted."""
        self.expect()
        self._moved = False
        super().data_received(data)
        if self._in_head or not self._moved:
            self._idle_bytes += len(data)
            if self._idle_bytes > self.limits.head_bytes:
                self.transport.close()

    def _advance(self) -> None:
        self._moved, self._idle_bytes = True, 0
