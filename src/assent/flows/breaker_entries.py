"""Entries about breakers: what is recorded of trips, resets, and what a breaker did by itself.

Why a rule tripped stands in public, because nothing of it is payload; the words of people are committed to.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from assent.core.actions import Action
from assent.core.approvals import Voter
from assent.core.breakers import Breaker, Scope
from assent.core.canonical import Json, canonical
from assent.core.records import Entry, RecordKind
from assent.flows.entries import how


def tripped(breaker: Breaker, *, cancelled: int, running: int, more: Mapping[str, Json] | None = None) -> Entry:
    """Return the record of a trip: over what, by whom or which rule, how much it cut off and what still runs.

    `more` says in public what there is to say about this trip: done by hand on the ledger, in a drill, held before.
    """
    detail: dict[str, Json] = {"state": breaker.state.value, "cancelled": cancelled, "running": running}
    if breaker.rule is not None:
        # Why a rule tripped holds no payload: whoever reads the public log should know it.
        detail |= {"rule": breaker.rule, "because": breaker.reason}
    return Entry(
        kind=RecordKind.BREAKER_TRIPPED,
        operator=None if breaker.rule is not None else breaker.changed_by,
        breaker=breaker.id,
        detail=detail | dict(more or {}),
        payload=_said(breaker.reason if breaker.rule is None else ""),
        **_over(breaker.scope),
    )


def reset(breaker: Breaker, *, by: Voter, closed: bool, reason: str) -> Entry:
    """Return the record of a reset, or of the first person's wish for one."""
    return Entry(
        kind=RecordKind.BREAKER_RESET if closed else RecordKind.BREAKER_RESET_ASKED,
        operator=by.operator.id,
        breaker=breaker.id,
        detail={"state": breaker.state.value, **how(by)},
        payload=_said(reason),
        **_over(breaker.scope),
    )


def moved(breaker: Breaker, because: str) -> Entry:
    """Return the record of a breaker that moved by itself: it lets probes through, opened again, or closed."""
    return _by_itself(RecordKind.BREAKER_MOVED, breaker, because)


def probed(breaker: Breaker, action: Action) -> Entry:
    """Return the record of a place that an action took among the probes of a breaker, or gave back, or succeeded in."""
    entry = _by_itself(RecordKind.BREAKER_PROBED, breaker, "")
    places: list[Json] = [probe.action for probe in breaker.probes]
    return replace(entry, action=action.id, detail={**entry.detail, "probes": places})


def reminded(breaker: Breaker) -> Entry:
    """Return the record that whoever tripped is asked again, because they said when."""
    return _by_itself(RecordKind.BREAKER_REMINDED, breaker, f"tripped by {breaker.by}")


def _by_itself(kind: RecordKind, breaker: Breaker, because: str) -> Entry:
    detail: dict[str, Json] = {"state": breaker.state.value}
    if breaker.rule is not None:
        detail["rule"] = breaker.rule
    if because:
        detail["because"] = because
    return Entry(kind=kind, breaker=breaker.id, detail=detail, **_over(breaker.scope))


def watched(scope: Scope, *, rule: str, because: str) -> Entry:
    """Return the record of a rule that only watches and would have tripped."""
    detail: dict[str, Json] = {"rule": rule, "because": because}
    return Entry(kind=RecordKind.BREAKER_WATCHED, detail=detail, **_over(scope))


def drilled(breaker: Breaker, *, by: str, found: Mapping[str, Json]) -> Entry:
    """Return the record of a drill: that the stop was tried out, how long it took, and what every replica said."""
    return Entry(
        kind=RecordKind.BREAKER_DRILLED, operator=by, breaker=breaker.id, detail=dict(found), **_over(breaker.scope)
    )


def _over(scope: Scope) -> dict[str, Any]:
    return {"agent": scope.agent, "tool": scope.tool, "environment": scope.environment}


def _said(reason: str) -> dict[str, bytes]:
    return {"reason": canonical(reason)} if reason else {}
