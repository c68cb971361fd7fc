"""Traces: which trace an action belongs to, and the spans that are told of it. Source: W3C Trace Context.

Rules kept here:
- A span holds ids, names of the catalogue and codes; never arguments, resources, reasons, comments or results.
- What an agent says about its trace is its own word: it joins spans to a trace and decides nothing. Garbage is nothing.
- Ids follow from the action's, so that brokers that tell of one action agree without speaking.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from assent.core.actions import Action, ActionState, Outcome
from assent.core.canonical import digest, load
from assent.core.decisions import Answer
from assent.core.refusals import REFUSALS
from assent.core.values import made_quickly

_TRACEPARENT: Final = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)
_INVALID_VERSION: Final = "ff"
_FIRST_VERSION: Final = "00"
_SAMPLED: Final = 1
_TRACE_BYTES: Final = 16
_SPAN_BYTES: Final = 8
_NANO: Final = 1_000_000_000
DECIDE: Final = "assent.decide"
APPROVE: Final = "assent.approval"
RUN: Final = "assent.run"


@dataclass(frozen=True, slots=True)
class Caller:
    """The span of whoever asked: ids in lower-case hex, and whether it is recorded at all."""

    trace: str
    span: str
    sampled: bool


@made_quickly
@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Something that took time, within a trace; ids in lower-case hex, times in nanoseconds since 1970.

    `parent` is empty at the root of a trace, `link` names another span of the same trace, or is empty.
    """

    name: str
    trace: str
    span: str
    parent: str
    link: str
    began: int
    ended: int
    facts: Mapping[str, str]
    failed: bool = False


def caller_of(traceparent: str) -> Caller | None:
    """Return who asked, from a `traceparent`; None where it is none."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None or found["version"] == _INVALID_VERSION or (found["more"] and found["version"] == _FIRST_VERSION):
        return None
    if not int(found["trace"], 16) or not int(found["span"], 16):
        return None
    return Caller(found["trace"], found["span"], bool(int(found["flags"], 16) & _SAMPLED))


def caller_in(action: Action) -> Caller | None:
    """Return who asked for an action, in its own word; None where it did not say, or nothing that can be read."""
    said = load(action.context) if action.context else None
    trace = said.get("trace") if isinstance(said, dict) else None
    return caller_of(trace) if isinstance(trace, str) else None


def decided(action: Action, answer: Answer, code: str | None, *, began: int, ended: int, again: bool) -> Span | None:
    """Return the span of one ask that was answered; None where its caller's trace is not recorded.

    `again`: the action was told of before, so this is a span beside the first.
    """
    reason = {} if code is None else {"assent.reason": code if code in REFUSALS else "other"}
    facts = {"assent.answer": str(answer), **reason}
    named = _id_of(DECIDE, action, str(ended)) if again else _id_of(DECIDE, action)
    return _span(DECIDE, action, began, ended, facts, span=named)


def answered(action: Action) -> Span | None:
    """Return the span of the wait for people, once it is over; None where nobody was asked, or they still are."""
    if not action.decided_by_human or action.decided_at is None or action.state is ActionState.PENDING:
        return None
    facts = {"assent.state": str(action.state)}
    link = _id_of(DECIDE, action)
    return _span(APPROVE, action, _nano(action.created_at), _nano(action.decided_at), facts, link=link)


def ran(action: Action) -> Span | None:
    """Return the span of a run, once its outcome is known; how long it took is its holder's word."""
    outcome = action.outcome
    if outcome is None:
        return None
    ended = _nano(outcome.at)
    facts = {"assent.outcome": str(outcome.status)}
    return _span(RUN, action, _began(action, outcome), ended, facts, failed=outcome.status is not ActionState.SUCCEEDED)


def _began(action: Action, outcome: Outcome) -> int:
    at = _nano(outcome.at)
    earliest = _nano(action.decided_at or action.created_at)
    return min(at, max(earliest, at - (outcome.duration_ms or 0) * 1_000_000))


def _span(
    name: str,
    action: Action,
    began: int,
    ended: int,
    facts: Mapping[str, str],
    *,
    span: str = "",
    link: str = "",
    failed: bool = False,
) -> Span | None:
    caller = caller_in(action)
    if caller is not None and not caller.sampled:
        return None
    return Span(
        name=name,
        trace=digest("assent/trace/v1", action.id.encode())[:_TRACE_BYTES].hex() if caller is None else caller.trace,
        span=span or _id_of(name, action),
        parent="" if caller is None else caller.span,
        link=link,
        began=began,
        ended=max(began, ended),
        facts={**_facts(action), **facts},
        failed=failed,
    )


def _facts(action: Action) -> dict[str, str]:
    """Return what every span says of its action; a tool that is in no catalogue has a name of the agent's making."""
    tool = {"gen_ai.tool.name": action.tool, "assent.environment": action.environment} if action.definition else {}
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.agent.id": action.agent,
        "assent.action.id": action.id,
        **tool,
    }


def _id_of(name: str, action: Action, *more: str) -> str:
    parts = (name, action.id, *more)
    return digest("assent/span/v1", *(part.encode() for part in parts))[:_SPAN_BYTES].hex()


def _nano(at: datetime) -> int:
    return int(at.timestamp() * _NANO)
