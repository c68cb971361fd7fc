"""The run that asks belong to: who set it, for whom, with which model; carried by a context variable.

A new thread starts outside every run: pass `run_id` there, or run it in a copy of the context.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One piece of an agent's work; the names of people and models are the agent's own word."""

    run_id: str | None = None
    on_behalf_of: tuple[str, ...] = ()
    model: tuple[str, str] | None = None


OUTSIDE = Run()
_current: ContextVar[Run] = ContextVar("assent_run", default=OUTSIDE)


def current_run() -> Run:
    """Return the run that this context is in, OUTSIDE when it is in none."""
    return _current.get()


@contextmanager
def enter_run(run: Run) -> Iterator[Run]:
    """Make every ask inside belong to `run`; the one around is back afterwards."""
    token = _current.set(run)
    try:
        yield run
    finally:
        _current.reset(token)
