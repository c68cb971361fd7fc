"""The parser that runs everywhere, with the deadline that it lacks; it drops trailers and bounds heads by itself."""

from uvicorn.protocols.http.h11_impl import H11Protocol

from assent.serving.connections import Bounded


class BoundedH11(Bounded, H11Protocol):
    """Waits for each message."""

    def handle_events(self) -> None:
        """Handle what came, and wait for the rest where something is missing."""
        super().handle_events()
        state = str(self.conn.their_state)
        if state == "SEND_BODY" or (state == "IDLE" and self.conn.trailing_data[0]):
            self.expect()
        else:
            self.arrived()
