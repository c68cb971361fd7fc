"""Any change to an honest answer: either it means the same, or the body does not run."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent import AssentError
from assent.core.credentials import Kind
from assent.sdk.calls import begin, report, wait_for
from assent.sdk.decisions import parse_decision
from assent.sdk.endpoint import Limits, endpoint
from assent.sdk.http import Lost, Request, Response
from assent.sdk.messages import Ask, OutcomeReport
from assent.sdk.spool import Spool
from assent.sdk.state import ClientState
from assent.sdk.steps import Pause, drive
from tests.sdk.standin import KEY

ARGUMENTS = b'{"a":[1,2],"b":{"c":"d"}}'
ASK = Ask(tool="t", arguments=ARGUMENTS, idempotency_key="k" * 22, attempt="a" * 22, run_id="r")
READY: dict[str, Any] = {
    "action_id": "act_1",
    "decision": "allow",
    "state": "ready",
    "revision": 1,
    "reasons": [],
    "digest": "d" * 64,
    "grant": {"id": "gr_1", "expires_at": "2026-11-23T10:00:00Z"},
}
PENDING = READY | {"decision": "pending", "state": "pending", "grant": None}
REDEEMED: dict[str, Any] = {
    "action_id": "act_1",
    "arguments": json.loads(ARGUMENTS),
    "lease_expires_at": "2026-11-23T10:00:00Z",
}

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "allow", "ready", "act_1", "executing", "x"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
    max_leaves=4,
)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from leaves(value[key], (*path, key))


def mutate(body: dict[str, Any], path: tuple[Any, ...], how: str, new: Any) -> dict[str, Any]:
    changed = copy.deepcopy(body)
    inside = changed
    for key in path[:-1]:
        inside = inside[key]
    if how == "drop":
        del inside[path[-1]]
    elif how == "add" and isinstance(inside, dict):
        inside["added"] = new
    else:
        inside[path[-1]] = new
    return changed


def run(perform: Callable[[Request], Response | Lost]) -> bytes:
    """Return the arguments that would run."""
    where = endpoint("http://127.0.0.1:1", KEY, kind=Kind.AGENT)
    limits = Limits(first_pause_seconds=0.0, longest_pause_seconds=0.0)
    state = ClientState(endpoint=where, limits=limits, spool=Spool(Path("/nonexistent/spool")))

    def step(one: object) -> Response | Lost | None:
        return perform(one) if isinstance(one, Request) else None

    return drive(begin(state, ASK, wait=0), step).arguments


def answer(body: dict[str, Any]) -> Response:
    return Response(status=200, headers={"content-type": "application/json"}, body=json.dumps(body).encode())


@given(st.data(), st.sampled_from(["drop", "add", "set"]), anything)
@settings(max_examples=400)
@pytest.mark.requirement("P3", "T1")
def test_a_changed_redemption_runs_what_was_asked_or_nothing(data: st.DataObject, how: str, new: Any) -> None:
    path = data.draw(st.sampled_from(list(leaves(REDEEMED))))
    changed = mutate(REDEEMED, path, how, new)
    try:
        ran = run(lambda request: answer(changed if "redeem" in request.path else READY))
    except AssentError:
        return
    assert ran == ARGUMENTS


@given(st.data(), st.sampled_from(["drop", "add", "set"]), anything)
@settings(max_examples=400)
@pytest.mark.requirement("P1")
def test_a_changed_decision_runs_only_what_is_allowed_and_redeemed(data: st.DataObject, how: str, new: Any) -> None:
    path = data.draw(st.sampled_from(list(leaves(READY))))
    changed = mutate(READY, path, how, new)
    redeemed: list[str] = []

    def perform(request: Request) -> Response:
        if "redeem" in request.path:
            redeemed.append(request.path)
            return answer(REDEEMED)
        return answer(changed)

    try:
        run(perform)
    except AssentError:
        return
    assert (changed["decision"], changed["state"], changed["action_id"]) == ("allow", "ready", "act_1")
    assert len(redeemed) == 1


@given(st.binary(max_size=200), st.integers(200, 599), st.sampled_from(["application/json", "text/html", ""]))
@pytest.mark.requirement("P1")
def test_random_bytes_never_run_anything(body: bytes, status: int, media: str) -> None:
    try:
        run(lambda request: Response(status=status, headers={"content-type": media}, body=body))
    except AssentError:
        return
    raise AssertionError("it ran")


def state_for(spool: Path, **limits: float) -> ClientState:
    where = endpoint("http://127.0.0.1:1", KEY, kind=Kind.AGENT)
    return ClientState(endpoint=where, limits=Limits(**limits), spool=Spool(spool))  # type: ignore[arg-type]  # numbers


def test_a_broker_that_answers_at_once_though_nothing_moved_is_not_asked_in_a_spin(tmp_path: Path) -> None:
    steps: list[object] = []
    pending = PENDING | {"revision": 1}

    def perform(step: object) -> Response | None:
        steps.append(step)
        if len(steps) < 6:
            return answer(pending) if isinstance(step, Request) else None
        return answer(READY | {"revision": 2})

    first = parse_decision(answer(pending))
    assert drive(wait_for(state_for(tmp_path / "s"), first, wait=60), perform).state == "ready"
    assert [type(step) for step in steps] == [Request, Pause] * 3 + [Request]


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), SystemExit()])
def test_an_interrupted_report_is_spooled_and_the_interruption_goes_on(tmp_path: Path, fault: BaseException) -> None:
    state = state_for(tmp_path / "s")
    outcome = OutcomeReport(action_id="act_1", attempt="a", status="succeeded")

    def perform(step: object) -> Response:
        raise fault

    with pytest.raises(type(fault)):
        drive(report(state, outcome), perform)
    assert state.spool.waiting() == (outcome,)


def test_the_honest_answers_run() -> None:
    assert run(lambda request: answer(REDEEMED if "redeem" in request.path else READY)) == ARGUMENTS
