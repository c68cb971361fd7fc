"""From what flows answer about breakers to what operators are shown."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from assent.api.breaker_notices import scope_view
from assent.api.operator_views import affected_action, masked_text
from assent.api.replies import encoded, page
from assent.core.breakers import Breaker, Probe
from assent.core.operators import Assurance, Operator, Permission
from assent.core.records import rfc3339
from assent.core.second_person import SECOND_PERSON_WITHIN, FirstAsk
from assent.flows.drill_breaker import Probed
from assent.flows.trip_breaker import ResetAnswer, Tripped
from assent.wire import breakers as wire


def breakers_page(found: Sequence[Breaker], reader: Operator) -> bytes:
    """Return the JSON of all breakers; why somebody tripped one is for who trips them or may read payloads."""
    whole = any(map(reader.may, (Permission.BREAKERS_TRIP, Permission.AUDIT_PAYLOADS)))
    shown = found if whole else [_without_words(breaker) for breaker in found]
    return page([encoded(_breaker(breaker)) for breaker in shown], None)


def _without_words(breaker: Breaker) -> Breaker:
    asked = breaker.reset_asked
    return replace(
        breaker,
        reason=masked_text(breaker.reason),
        reset_asked=None if asked is None else replace(asked, reason=masked_text(asked.reason)),
    )


def tripped_answer(tripped: Tripped, runbook: str) -> bytes:
    """Return the JSON of a trip that is durable."""
    view = wire.TrippedAnswer(
        breaker=_breaker(tripped.breaker),
        cut_off=tuple(affected_action(action) for action in tripped.cut_off),
        running=tuple(affected_action(action) for action in tripped.running),
        cut_off_elsewhere=tripped.cut_off_elsewhere or None,
        unknown=tuple(
            wire.UnknownName(dimension=one.dimension, name=one.name, near=one.near) for one in tripped.unknown
        )
        or None,
        runbook=runbook,
    )
    return encoded(view)


def probe_answer(probed: Probed) -> bytes:
    """Return the JSON of what a replica would decide."""
    view = wire.ProbeAnswer(
        breaker=probed.breaker.id, denied=probed.denied, replica=probed.replica, code=probed.code or None
    )
    return encoded(view)


def drilled_answer(breaker: Breaker) -> bytes:
    """Return the JSON of a drill that is on record."""
    return encoded(wire.DrilledAnswer(breaker=_breaker(breaker)))


def reset_answer(answer: ResetAnswer) -> bytes:
    """Return the JSON of what became of a reset."""
    view = wire.ResetAnswer(
        breaker=_breaker(answer.breaker), closed=answer.closed, who=answer.who, assurance=least_view(answer.assurance)
    )
    return encoded(view)


def _breaker(breaker: Breaker) -> wire.BreakerView:
    return wire.BreakerView(
        id=breaker.id,
        scope=scope_view(breaker.scope),
        covers=breaker.scope.describe(),
        state=breaker.state.value,
        changed_by=breaker.changed_by,
        changed_at=rfc3339(breaker.changed_at),
        revision=breaker.revision,
        reason=breaker.reason,
        ask_again_at=moment_or_none(breaker.ask_again_at),
        reset_asked=first_ask_view(breaker.reset_asked),
        tripped_by=breaker.by,
        tripped_at=rfc3339(breaker.since),
        rule=breaker.rule,
        half_open_at=None if breaker.healing is None else moment_or_none(breaker.healing.half_open_at),
        probes=tuple(map(_probe, breaker.probes)) or None,
    )


def first_ask_view(asked: FirstAsk | None) -> wire.ResetAskedView | None:
    """Return the first person's wish to let something go on, as it is shown."""
    if asked is None:
        return None
    return wire.ResetAskedView(
        by=asked.by,
        at=rfc3339(asked.at),
        expires_at=rfc3339(asked.at + SECOND_PERSON_WITHIN),
        reason=asked.reason,
        assurance=asked.assurance.name.lower(),
    )


def least_view(assurance: Assurance | None) -> str | None:
    """Return what a second person's surface must have, None where any will do."""
    return None if assurance is None else assurance.name.lower()


def _probe(probe: Probe) -> wire.ProbeView:
    return wire.ProbeView(action_id=probe.action, agent=probe.agent, by_human=probe.by_human, succeeded=probe.succeeded)


def moment_or_none(at: datetime | None) -> str | None:
    """Return a moment as it is shown."""
    return None if at is None else rfc3339(at)
