"""The life of a call: asked, waited for, redeemed, run once with the frozen arguments, reported."""

import threading

import pytest

from assent import (
    ActionDenied,
    AlreadyExecuted,
    ApprovalPending,
    ApprovalTimeout,
    Assent,
    BreakerOpen,
    BrokerUnavailable,
    ConfigurationError,
)
from tests.sdk.standin import StandIn, change, lose, refuse

WHERE = {"table": "orders", "where": "id=7"}


def test_routine_work_runs_in_one_round_trip_and_reports_its_outcome(broker: Assent, standin: StandIn) -> None:
    with broker.action("files.read", {"path": "a"}) as action:
        assert action.arguments == {"path": "a"}
        assert action.id == "act_1"
        action.set_result({"lines": 3})
    assert [seen.path for seen in standin.seen] == ["/v1/actions", "/v1/actions/act_1/outcome"]
    assert standin.actions["act_1"]["outcome"]["result_digest"] is not None
    assert standin.outcomes() == ["succeeded"]


def test_a_denied_action_never_runs_and_tells_the_model_what_to_do(broker: Assent, standin: StandIn) -> None:
    with pytest.raises(ActionDenied) as caught, broker.action("db.drop", {"table": "t"}):
        pytest.fail("the body ran")
    assert caught.value.code == "rule_denied"
    assert caught.value.reasons[0].code == "rule_denied"
    assert "`db.drop` did not run" in caught.value.model_message
    assert "do not retry" in caught.value.model_message
    assert standin.executions == []


def test_waiting_for_a_human_ends_with_the_run(broker: Assent, standin: StandIn) -> None:
    ran: list[object] = []

    def work() -> None:
        with broker.action("db.delete", WHERE, wait=None, run_id="r") as action:
            ran.append(action.arguments)

    thread = threading.Thread(target=work)
    thread.start()
    standin.wait_until(lambda: any("wait=" in seen.path for seen in standin.seen))
    standin.approve("act_1")
    thread.join(timeout=10)
    assert ran == [WHERE]
    assert standin.executions == ["act_1"]
    assert standin.outcomes() == ["succeeded"]


def test_not_waiting_raises_pending_with_all_a_person_needs_and_a_later_ask_resumes(
    broker: Assent, standin: StandIn
) -> None:
    with pytest.raises(ApprovalPending) as caught, broker.action("db.delete", WHERE, wait=0):
        pytest.fail("the body ran")
    assert (caught.value.approval_code, caught.value.action_id) == ("K7QF", "act_1")
    assert caught.value.url is not None
    assert caught.value.expires_at is not None
    assert "K7QF" in caught.value.model_message
    assert str(caught.value).endswith("(`K7QF`); Slack is away since 10:00 UTC (status 500)")
    standin.approve("act_1")
    with broker.action("db.delete", WHERE, wait=0) as action:
        assert action.id == "act_1"
    assert len(standin.actions) == 1


@pytest.mark.requirement("P7")
def test_a_wait_that_is_over_says_that_nobody_denied(broker: Assent, standin: StandIn) -> None:
    with pytest.raises(ApprovalTimeout, match="the approval goes on"), broker.action("db.delete", WHERE, wait=0.01):
        pytest.fail("the body ran")
    assert standin.pending() == ["act_1"]


def test_a_human_who_denies_while_the_agent_waits_stops_it(broker: Assent, standin: StandIn) -> None:
    standin.when_asked(standin.deny)
    with pytest.raises(ActionDenied) as caught, broker.action("db.delete", WHERE):
        pytest.fail("the body ran")
    assert caught.value.code == "approval_denied"


@pytest.mark.requirement("P7")
def test_an_approval_that_expired_is_not_told_as_a_denial(broker: Assent, standin: StandIn) -> None:
    with pytest.raises(ApprovalPending), broker.action("db.delete", WHERE, wait=0):
        pytest.fail("the body ran")
    standin.deny("act_1", "approval_expired")
    decision = broker.wait("act_1", timeout=0)
    assert decision.reasons[0].code == "approval_expired"


DENIED = {"decision": "deny", "reasons": [{"code": "already_executed", "message": "it ran"}]}


@pytest.mark.parametrize("words", [DENIED, {"decision": "deny"}, {}])
@pytest.mark.parametrize("state", ["executing", "succeeded", "failed", "unknown"])
@pytest.mark.requirement("P4", "T2", "T21")
def test_an_action_that_another_attempt_ran_is_never_run_again(
    broker: Assent, standin: StandIn, state: str, words: dict[str, object]
) -> None:
    outcome = None if state == "executing" else {"status": state}
    told = {"state": state, "outcome": outcome, "lease_expires_at": None} | words
    standin.break_next("POST /v1/actions", change(**told))
    with pytest.raises(AlreadyExecuted) as caught, broker.action("files.write", {"path": "a", "content": "b"}):
        pytest.fail("the body ran")
    assert caught.value.outcome == (None if state == "executing" else state)
    assert "was not run again" in caught.value.model_message


@pytest.mark.parametrize("state", ["lapsed", "revoked", "cancelled", "denied"])
def test_an_action_that_ended_unrun_is_denied_whatever_the_decision_word(
    broker: Assent, standin: StandIn, state: str
) -> None:
    reasons = [{"code": "not_picked_up", "message": "too late"}]
    standin.break_next("POST /v1/actions", change(state=state, reasons=reasons))
    with pytest.raises(ActionDenied) as caught, broker.action("files.read", {"path": "a"}):
        pytest.fail("the body ran")
    assert caught.value.code == "not_picked_up"


def test_an_open_breaker_has_its_own_error(broker: Assent, standin: StandIn) -> None:
    reasons = [{"code": "breaker_open", "message": "production"}]
    standin.break_next("POST /v1/actions", change(decision="deny", state="denied", reasons=reasons))
    with pytest.raises(BreakerOpen), broker.action("files.read", {"path": "a"}):
        pytest.fail("the body ran")


@pytest.mark.requirement("P6", "T21")
def test_a_trip_after_the_ask_was_carried_out_is_told_as_a_trip(broker: Assent, standin: StandIn) -> None:
    reasons = [{"code": "breaker_open", "message": "production"}]
    standin.break_next("POST /v1/actions", lose, change(decision="deny", reasons=reasons, lease_expires_at=None))
    with pytest.raises(BreakerOpen), broker.action("files.write", {"path": "a", "content": "b"}):
        pytest.fail("the body ran")


def test_a_request_returns_no_as_a_value_and_runs_nothing(broker: Assent, standin: StandIn) -> None:
    assert broker.request("db.drop", {"table": "t"}).decision == "deny"
    assert broker.request("db.delete", WHERE).is_pending
    allowed = broker.request("files.read", {"path": "a"})
    assert (allowed.decision, allowed.state) == ("allow", "ready")
    assert standin.executions == []
    with broker.resume(allowed) as action:
        assert action.arguments == {"path": "a"}
    assert standin.executions == [allowed.action_id]


def test_a_worker_resumes_what_was_decided_while_nobody_waited(broker: Assent, standin: StandIn) -> None:
    pending = broker.request("db.delete", WHERE)
    standin.approve(pending.action_id)
    page = broker.decided(wait_seconds=5)
    assert [decision.action_id for decision in page.items] == [pending.action_id]
    with broker.resume(page.items[0]) as action:
        assert action.arguments == WHERE
    assert broker.decided(since=page.cursor).cursor is not None


def test_a_cancelled_action_cannot_run_and_cannot_be_cancelled_after_it_ran(broker: Assent, standin: StandIn) -> None:
    pending = broker.request("db.delete", WHERE)
    broker.cancel(pending.action_id, "not needed")
    with pytest.raises(ActionDenied) as caught, broker.resume(broker.wait(pending.action_id)):
        pytest.fail("the body ran")
    assert caught.value.code == "cancelled"
    with pytest.raises(ActionDenied):
        broker.cancel(pending.action_id)


def test_the_same_read_three_times_in_a_loop_reads_three_times(broker: Assent, standin: StandIn) -> None:
    for _ in range(3):
        with broker.action("files.read", {"path": "a"}):
            pass
    assert len(standin.executions) == 3


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (ValueError("secret"), "failed"),
        (KeyboardInterrupt(), "unknown"),
        (SystemExit(1), "unknown"),
        (GeneratorExit(), "unknown"),
    ],
)
def test_only_an_exception_of_the_tool_is_a_failure(
    broker: Assent, standin: StandIn, fault: BaseException, status: str
) -> None:
    with pytest.raises(type(fault)), broker.action("files.read", {"path": "a"}):
        raise fault
    outcome = standin.actions["act_1"]["outcome"]
    assert outcome["status"] == status
    assert outcome["error"] == type(fault).__name__
    assert "secret" not in str(outcome)


def test_arguments_are_a_fresh_copy_that_nobody_can_change(broker: Assent) -> None:
    mine: dict[str, object] = {"path": "a"}
    entered = broker.action("files.read", mine)  # type: ignore[arg-type]  # a caller's own mutable dict
    mine["path"] = "changed after asking"
    with entered as action:
        action.arguments["path"] = "changed inside"
        assert action.arguments == {"path": "a"}


def test_the_tool_s_side_redeems_by_token_and_the_agent_neither_redeems_nor_reports(
    broker: Assent, standin: StandIn
) -> None:
    with broker.action("svc.deploy", {"env": "prod"}) as action:
        assert action.token == "token-act_1"
    assert standin.executions == []
    assert len(standin.seen) == 1


def test_a_result_without_a_digest_is_still_a_success(broker: Assent, standin: StandIn) -> None:
    with broker.action("files.read", {"path": "a"}) as action:
        action.set_result(object())  # type: ignore[arg-type]  # the point of the test
    assert standin.outcomes() == ["succeeded"]


def test_an_action_outside_its_block_has_nothing_to_show(broker: Assent) -> None:
    with pytest.raises(ConfigurationError, match="has not begun"):
        _ = broker.action("files.read", {"path": "a"}).arguments


def test_an_action_runs_once(broker: Assent) -> None:
    action = broker.action("files.read", {"path": "a"})
    with action:
        pass
    with pytest.raises(Exception, match="an action runs once"), action:
        pytest.fail("the body ran")


def test_a_wait_survives_a_broker_that_is_away_for_a_moment(broker: Assent, standin: StandIn) -> None:
    standin.break_next("GET /v1/actions/act_1", lose, refuse(503, "broker_unavailable"), lose)
    standin.when_asked(standin.approve)
    with broker.action("db.delete", WHERE) as action:
        assert action.id == "act_1"


def test_a_broker_that_stays_away_while_we_wait_ends_the_wait_closed(broker: Assent, standin: StandIn) -> None:
    standin.away_from = "GET /v1/actions/act_1"
    with pytest.raises(BrokerUnavailable), broker.action("db.delete", WHERE):
        pytest.fail("the body ran")
    assert standin.executions == []
