"""Breakers: what is stopped, stopping from any page, and letting go on. No stop is refused for want of a reason."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from starlette.responses import Response

from assent.console.visits import Visit, act, page
from assent.core.breakers import Breaker, BreakerId, BreakerState, Scope
from assent.core.errors import BadRequest
from assent.core.looking import RecordFilter
from assent.core.operators import Permission
from assent.core.records import Record, RecordKind
from assent.core.second_person import FirstAsk, still_open
from assent.core.telling import tell
from assent.flows.read_records import list_records
from assent.flows.tell_story import leaf_of
from assent.flows.trip_breaker import list_breakers, reset, trip

MAX_TIMELINE: Final = 30
MAX_NAME: Final = 200
MAX_WORDS: Final = 2_000
MAX_LISTED: Final = 50
MAX_PLACE: Final = 1_000
_TOLD: Final = (
    RecordKind.BREAKER_TRIPPED,
    RecordKind.BREAKER_RESET_ASKED,
    RecordKind.BREAKER_RESET,
    RecordKind.BREAKER_MOVED,
)
_AGAIN: Final = {"1h": timedelta(hours=1), "4h": timedelta(hours=4), "1d": timedelta(days=1)}
_HOME: Final = "/breakers"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    breaker: Breaker
    reason: str | None
    asked: FirstAsk | None


async def show_breakers(visit: Visit) -> Response:
    """Show what is stopped now, what was, and what became of it."""
    found = await list_breakers(visit.broker, visit.caller)
    operator = visit.caller.operator
    words = any(map(operator.may, (Permission.BREAKERS_TRIP, Permission.AUDIT_PAYLOADS)))
    now = await visit.now()
    shown = [
        _Shown(breaker=one, reason=one.reason if words else None, asked=still_open(one.reset_asked, now))
        for one in found
    ]
    is_open = [one for one in shown if one.breaker.state is not BreakerState.CLOSED]
    begins = _place(visit.query("from"))
    return visit.page(
        "breakers.html",
        count=len(is_open),
        begins=begins,
        rest=begins + MAX_LISTED if len(is_open) > begins + MAX_LISTED else None,
        now_open=is_open[begins : begins + MAX_LISTED],
        closed=[one for one in shown if one.breaker.state is BreakerState.CLOSED][:MAX_LISTED],
        may_reset=operator.may(Permission.BREAKERS_RESET),
        timeline=await _timeline(visit),
        tell=lambda record: tell(leaf_of(record)),
    )


def _place(said: str | None) -> int:
    if said is None:
        return 0
    if not said.isascii() or not said.isdigit() or len(said) > len(str(MAX_PLACE)):
        raise BadRequest("this is no place in the list", hint="follow a link of the page")
    return int(said)


async def _timeline(visit: Visit) -> list[Record] | None:
    """Return what the log says of breakers, newest first, or None for whoever does not read it."""
    if not visit.caller.operator.may(Permission.AUDIT_READ):
        return None
    found = [
        record
        for kind in _TOLD
        for record in (
            await list_records(visit.broker, visit.caller, RecordFilter(kind=kind), limit=MAX_TIMELINE)
        ).records
    ]
    return sorted(found, key=lambda record: record.index or 0, reverse=True)[:MAX_TIMELINE]


async def do_trip(visit: Visit) -> Response:
    """Stop a scope; from the answer on nothing in it passes."""
    named = {name: _name(visit, name) for name in ("agent", "tool", "environment")}
    everything = visit.form.get("all") == "yes"
    if any(named.values()) == everything:
        raise BadRequest(
            "say what to stop: an agent, a tool or an environment, or tick everything, one of them",
            hint="nothing was stopped yet",
        )
    tripped = await trip(
        visit.broker,
        visit.caller,
        Scope(**named),
        reason=visit.form.get("reason", "").strip()[:MAX_WORDS],
        ttl=_AGAIN.get(visit.form.get("again", "")),
    )
    return visit.page("tripped.html", tripped=tripped, limit=MAX_LISTED)


def _name(visit: Visit, name: str) -> str | None:
    said = visit.form.get(name, "").strip()
    if len(said) > MAX_NAME:
        raise BadRequest(f"`{name}` is longer than {MAX_NAME} characters", hint="nothing was stopped yet")
    return said or None


async def do_reset(visit: Visit) -> Response:
    """Let a scope go on, or ask for it until a second person agrees."""
    reason = visit.form.get("reason", "").strip()[:MAX_WORDS]
    if not reason:
        raise BadRequest("say why it may go on", hint="whoever must agree reads it")
    answer = await reset(visit.broker, visit.caller, BreakerId(visit.param("breaker")), reason=reason)
    if answer.refused is not None:
        return visit.refused(answer.refused, back=_HOME, who=answer.who)
    if not answer.closed:
        what = answer.breaker.scope.describe()
        facts = {"what": what, "who": answer.who, "assurance": answer.assurance, "back": _HOME}
        return visit.page("second_person.html", status=202, **facts)
    return visit.go(_HOME)


routes: Final = (
    page(_HOME, show_breakers),
    act(f"{_HOME}/trip", do_trip),
    act(f"{_HOME}/{{breaker}}/reset", do_reset),
)
