"""Spans at the API's edge: what an ask came to, what people said, what became of the run.

Nothing here may fail a request or hold it up: a span that cannot be made is none. Each broker tells of what is heard
from it, the same thing once as far as it remembers.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from assent.core.actions import Action
from assent.core.tracing import Span, answered, decided, ran
from assent.flows.answers import Answered
from assent.logs import EventLog

log = EventLog("assent.tracing")

REMEMBERED: Final = 4_096
_NANO: Final = 1_000_000_000


class Tracing:
    """Makes spans of what the API answers, and hands each to `tell`, which must not wait."""

    def __init__(self, tell: Callable[[Span], None]) -> None:
        self._tell = tell
        self._told: OrderedDict[tuple[str, str], None] = OrderedDict()

    def asked(self, answer: Answered, seconds: float) -> None:
        """Tell of an ask that was answered just now, after so many seconds."""
        self._safely(lambda: self._asked(answer, seconds))

    def heard(self, action: Action) -> None:
        """Tell what people said, once somebody hears of it."""
        if action.decided_by_human:
            self._safely(lambda: self._once("heard", action, answered))

    def ended(self, action: Action) -> None:
        """Tell what became of a run."""
        self._safely(lambda: self._once("ended", action, ran))

    def _asked(self, answer: Answered, seconds: float) -> None:
        action, decision = answer.action, answer.decision
        ended = time.time_ns()
        code = decision.reasons[0].code if decision.reasons else None
        again = not self._is_first("asked", action)
        began = ended - int(seconds * _NANO)
        span = decided(action, decision.answer, code, began=began, ended=ended, again=again)
        if span is not None:
            self._tell(span)

    def _once(self, what: str, action: Action, make: Callable[[Action], Span | None]) -> None:
        span = make(action)
        if span is not None and self._is_first(what, action):
            self._tell(span)

    def _is_first(self, what: str, action: Action) -> bool:
        key = (what, action.id)
        if key in self._told:
            return False
        self._told[key] = None
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        return True

    def _safely(self, tell: Callable[[], None]) -> None:
        try:
            tell()
        except Exception:
            log.exception("span_not_made")
