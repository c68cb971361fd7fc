"""The SDK's own log: events for what went wrong beside a call, never payloads, never instead of an exception."""


def log_event(event: str, **facts: object) -> None:
    """Log one event as a warning of the logger `assent.sdk`."""
    # Only trouble needs logging, and it costs more than an ask.
    import logging

    told = " ".join(f"{name}={value}" for name, value in facts.items())
    logging.getLogger("assent.sdk").warning("%s %s", event, told)
