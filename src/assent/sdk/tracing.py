"""Spans of the agent's own program, where that has set OpenTelemetry up: one for each action, from ask to outcome.

Nothing of OpenTelemetry is loaded here: a program that does not use it pays for one look into a table. A span holds the
tool's name, ids and words of the contract, as GenAI semantic conventions name them; never arguments, results or
messages. Whatever goes wrong with a span is logged: it neither stops a body nor keeps its outcome from the broker.
"""

import sys
from typing import TYPE_CHECKING, Any, Final

from assent.sdk.trouble import log_event

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.trace import Span

_API: Final = "opentelemetry.trace"
_SAMPLED: Final = 1


def traceparent() -> str | None:
    """Return the span that is open here, in the form of W3C Trace Context; None where there is none."""
    api = sys.modules.get(_API)
    return None if api is None else _written(api.get_current_span())


def _written(span: "Span") -> str | None:
    context = span.get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags & _SAMPLED:02x}"


class ToolSpan:
    """The span of one action; without OpenTelemetry, or when it is not recorded, nothing happens."""

    __slots__ = ("_span", "_token")

    def __init__(self) -> None:
        self._span: Span | None = None
        self._token: Token[Context] | None = None

    def begin(self, tool: str | None, call_id: str | None) -> None:
        """Open the span and make it the one that is open here, so that what the body does stands below it."""
        api: Any = sys.modules.get(_API)
        if api is None:
            return
        try:
            self._begin(api, tool, call_id)
        except Exception as fault:  # noqa: BLE001  # somebody's processor: logged, and never the body's matter
            log_event("span_not_begun", kind=type(fault).__name__)

    def claimed(self, action_id: str) -> None:
        """Name the action, once it may run."""
        if self._span is not None:
            self._span.set_attribute("assent.action.id", action_id)

    def end(self, fault: BaseException | None, outcome: str) -> None:
        """Close the span with what became of the action; of a fault its type is told, its message may hold anything."""
        span, token = self._span, self._token
        if span is None or token is None:
            return
        self._span = None
        try:
            _end(span, token, fault, outcome)
        except Exception as wrong:  # noqa: BLE001  # same
            log_event("span_not_ended", kind=type(wrong).__name__)

    def _begin(self, api: Any, tool: str | None, call_id: str | None) -> None:  # noqa: ANN401  # a module
        facts = {"gen_ai.operation.name": "execute_tool"}
        if tool is not None:
            facts["gen_ai.tool.name"] = tool
        if call_id is not None:
            facts["gen_ai.tool.call.id"] = call_id
        span = api.get_tracer("assent").start_span(f"execute_tool {tool or ''}".rstrip(), attributes=facts)
        if not span.get_span_context().is_valid:
            return
        from opentelemetry.context import attach

        self._span, self._token = span, attach(api.set_span_in_context(span))


def _end(span: "Span", token: "Token[Context]", fault: BaseException | None, outcome: str) -> None:
    from opentelemetry.context import detach
    from opentelemetry.trace import Status, StatusCode

    detach(token)
    span.set_attribute("assent.outcome", outcome)
    if fault is not None:
        span.set_attribute("error.type", type(fault).__name__)
        span.set_status(Status(StatusCode.ERROR))
    span.end()
