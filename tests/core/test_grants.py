"""Grants: redeemed at most once, by one attempt, for exactly what was granted, and only while all of it still holds."""

from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.core import actions, grants
from assent.core.actions import Action, ActionState, Impact, attempt_of
from assent.core.agents import AgentState, AgentStatus
from assent.core.breakers import Scope
from assent.core.canonical import canonical
from assent.core.decisions import Effect, Verdict
from assent.core.errors import IllegalMove
from assent.core.grants import Claim, Grant, GrantId, GrantState, Redeemed, RedeemFacts, issue, redeem
from assent.core.operators import OperatorId
from assent.core.reasons import Reason
from tests.core.samples import NOW, a_breaker, a_credential, a_proposal, an_action, an_agent

MINE, OTHER = attempt_of("a" * 22), attempt_of("b" * 22)
UNTIL = NOW + timedelta(minutes=30)
READY = an_action(state=ActionState.READY)
GRANT = issue(READY, new_id=GrantId("grt_1"), now=NOW, expires_at=UNTIL)
HOLDS = RedeemFacts(
    profile=an_agent(),
    status=None,
    key=a_credential(),
    breakers=(),
    proposal=a_proposal(),
    verdict=Verdict(effect=Effect.REQUIRE_APPROVAL),
)


def claim(attempt: bytes = MINE, **changes: Any) -> Claim:
    return Claim(attempt=attempt, **(changes or {"digest": READY.digest}))


def spent_by(attempt: bytes) -> tuple[Grant, Action]:
    result = redeem(GRANT, READY, claim(attempt), HOLDS, NOW)
    assert isinstance(result, Redeemed)
    return result.grant, actions.start(READY, attempt=attempt, lease_expires_at=UNTIL)


def refusal(result: Redeemed | Reason) -> str:
    assert isinstance(result, Reason)
    return result.code


@pytest.mark.requirement("P4")
def test_the_first_attempt_spends_it_and_the_same_attempt_hears_so_again() -> None:
    grant, action = spent_by(MINE)
    assert grant.state is GrantState.SPENT
    assert redeem(grant, action, claim(), HOLDS, NOW) == Redeemed(grant, repeated=True)


@pytest.mark.requirement("P4", "T2")
def test_every_other_attempt_hears_that_it_is_spent() -> None:
    grant, action = spent_by(MINE)
    assert refusal(redeem(grant, action, claim(OTHER), HOLDS, NOW)) == "grant_spent"


@pytest.mark.requirement("P4")
def test_the_same_attempt_with_other_arguments_is_not_the_same_try() -> None:
    grant, action = spent_by(MINE)
    assert refusal(redeem(grant, action, claim(digest="0" * 64), HOLDS, NOW)) == "grant_spent"


@pytest.mark.requirement("P3", "T1")
@pytest.mark.parametrize(
    "changes", [{"digest": "0" * 64}, {"arguments_sha256": sha256(b"{}").hexdigest()}, {"digest": None}]
)
def test_what_would_run_must_be_what_was_granted(changes: dict[str, Any]) -> None:
    assert refusal(redeem(GRANT, READY, claim(**changes), HOLDS, NOW)) == "digest_mismatch"


def test_a_tool_may_show_the_arguments_instead_of_the_digest() -> None:
    shown = claim(arguments_sha256=sha256(READY.arguments).hexdigest())
    assert isinstance(redeem(GRANT, READY, shown, HOLDS, NOW), Redeemed)


@pytest.mark.requirement("P3", "T19")
def test_a_grant_that_names_another_digest_than_its_action_is_worth_nothing() -> None:
    assert refusal(redeem(replace(GRANT, digest="0" * 64), READY, claim(), HOLDS, NOW)) == "digest_mismatch"


@pytest.mark.requirement("T15")
@pytest.mark.parametrize("late", [timedelta(0), timedelta(seconds=1), timedelta(days=1)])
def test_an_expired_grant_is_not_redeemed(late: timedelta) -> None:
    assert refusal(redeem(GRANT, READY, claim(), HOLDS, UNTIL + late)) == "grant_expired"


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (ActionState.LAPSED, "grant_expired"),
        (ActionState.REVOKED, "grant_dead"),
        (ActionState.CANCELLED, "grant_dead"),
        (ActionState.EXECUTING, "grant_dead"),
    ],
)
def test_an_action_that_does_not_wait_any_more_is_not_started(state: ActionState, code: str) -> None:
    assert refusal(redeem(GRANT, replace(READY, state=state), claim(), HOLDS, NOW)) == code


@pytest.mark.requirement("T21", "P6")
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"profile": None}, "unknown_agent"),
        ({"profile": an_agent(expires=NOW)}, "agent_expired"),
        (
            {
                "status": AgentStatus(
                    id=an_agent().id,
                    state=AgentState.SUSPENDED,
                    revision=1,
                    changed_by=OperatorId("eve"),
                    changed_at=NOW,
                )
            },
            "agent_suspended",
        ),
        ({"key": None}, "agent_suspended"),
        ({"key": a_credential(revoked_at=NOW)}, "agent_suspended"),
        ({"breakers": (a_breaker(Scope(environment="production")),)}, "breaker_open"),
        ({"proposal": a_proposal(definition="e" * 64)}, "definition_changed"),
        ({"proposal": a_proposal(environment="staging")}, "definition_changed"),
        ({"proposal": a_proposal(resource="elsewhere")}, "definition_changed"),
        ({"proposal": None}, "definition_changed"),
        ({"asks_the_same": False}, "definition_changed"),
        ({"verdict": Verdict(effect=Effect.DENY)}, "rule_denied"),
    ],
)
def test_whatever_changed_since_the_yes_stops_it(change: dict[str, Any], code: str) -> None:
    assert refusal(redeem(GRANT, READY, claim(), replace(HOLDS, **change), NOW)) == code


@pytest.mark.requirement("P5", "T23")
@pytest.mark.parametrize(
    ("verdict", "impact", "code"),
    [
        (Verdict(effect=Effect.ALLOW, standing=("s",)), Impact.WRITE, None),
        (Verdict(effect=Effect.ALLOW), Impact.WRITE, "rule_denied"),
        (Verdict(effect=Effect.REQUIRE_APPROVAL), Impact.WRITE, "rule_denied"),
        (Verdict(effect=Effect.ALLOW), Impact.READ, None),
    ],
)
def test_what_nobody_was_asked_about_runs_only_while_nobody_would_be(
    verdict: Verdict, impact: Impact, code: str | None
) -> None:
    routine = replace(READY, decided_by_human=False)
    holds = replace(HOLDS, verdict=verdict, proposal=a_proposal(impact=impact))
    result = redeem(GRANT, routine, claim(), holds, NOW)
    assert (result.code if isinstance(result, Reason) else None) == code


@pytest.mark.requirement("P6")
def test_a_withdrawn_grant_says_what_stops_its_agent_now() -> None:
    dead, suspended = grants.kill(GRANT), replace(HOLDS, key=a_credential(revoked_at=NOW))
    cancelled = replace(READY, state=ActionState.CANCELLED)
    assert refusal(redeem(dead, cancelled, claim(), suspended, NOW)) == "agent_suspended"
    assert refusal(redeem(dead, cancelled, claim(), HOLDS, NOW)) == "grant_dead"
    assert refusal(redeem(dead, replace(READY, state=ActionState.LAPSED), claim(), suspended, NOW)) == "grant_expired"


def test_a_withdrawn_grant_stays_dead() -> None:
    dead = grants.kill(GRANT)
    assert refusal(redeem(dead, READY, claim(), HOLDS, NOW)) == "grant_dead"
    for final in (dead, spent_by(MINE)[0]):
        with pytest.raises(IllegalMove):
            grants.kill(final)


@pytest.mark.requirement("P4")
@given(attempts=st.lists(st.sampled_from([MINE, OTHER, attempt_of("c" * 22)]), min_size=1, max_size=12))
def test_however_often_it_is_tried_one_attempt_gets_it(attempts: list[bytes]) -> None:
    grant, action, winners = GRANT, READY, set()
    for attempt in attempts:
        result = redeem(grant, action, claim(attempt), HOLDS, NOW)
        if isinstance(result, Redeemed):
            winners.add(attempt)
            if not result.repeated:
                grant, action = result.grant, actions.start(action, attempt=attempt, lease_expires_at=UNTIL)
    assert winners == {attempts[0]}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.requirement("P3", "T1")
@given(arguments=st.dictionaries(st.text(max_size=6), json_values, max_size=4))
def test_only_the_very_same_canonical_arguments_redeem(arguments: dict[str, Any]) -> None:
    shown = claim(arguments_sha256=sha256(canonical(arguments)).hexdigest())
    same = canonical(arguments) == READY.arguments
    assert isinstance(redeem(GRANT, READY, shown, HOLDS, NOW), Redeemed) is same


@pytest.mark.requirement("P3")
def test_the_signed_claims_name_everything_that_is_bound() -> None:
    named = grants.claims(GRANT, READY, issuer="assent")
    assert named["act"] == READY.digest
    assert named["args"] == sha256(READY.arguments).hexdigest()
    assert (named["aud"], named["sub"], named["jti"]) == ("k8s.scale", "bot", "grt_1")
    assert named["exp"] == int(UNTIL.timestamp())
