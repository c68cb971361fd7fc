"""What all tests start from."""

import signal

import pytest


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    # A shell lets a job in the background ignore SIGINT, and every process that the tests start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
