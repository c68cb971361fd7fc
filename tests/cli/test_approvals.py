"""`assent approvals`: everything that will run is shown, nothing is approved unseen, and every no has its exit code."""

import json
import re
import signal
import subprocess
from itertools import count
from typing import Any

import pytest

from assent.cli.exits import Exit
from assent.cli.margin import MARGIN
from tests.cli.conftest import Shell
from tests.cli.terminal import at_a_terminal, on_a_terminal
from tests.serving.broker_process import BrokerProcess, clean_environment
from tests.serving.warm import PROGRAM

RUNS = count()


def asked(broker: BrokerProcess, reason: str = "because", **arguments: Any) -> Any:
    """Return the answer to an ask that a person has to decide, in a run of its own."""
    what = {"path": "prod/a", "content": "hello"} | arguments
    body = {"tool": "files.write", "arguments": what, "run_id": f"run-{next(RUNS)}", "reason": reason}
    answer = broker.as_agent("POST", "/v1/actions", body)
    assert answer["decision"] == "pending", answer
    return answer


def code_of(action: Any) -> str:
    return str(action["approval"]["code"])


@pytest.fixture(autouse=True)
def _nothing_stays_open(broker: BrokerProcess) -> Any:
    yield
    for approval in broker.as_operator("GET", "/v1/approvals")["items"]:
        no = {"category": "other", "reason": "the test is over"}
        broker.as_operator("POST", f"/v1/approvals/{approval['id']}/deny", no)
    for approval in broker.as_operator("GET", "/v1/approvals?state=denied")["items"]:
        broker.as_operator("POST", f"/v1/approvals/{approval['id']}/let-again", {})


def test_the_list_names_what_waits_and_what_it_needs(broker: BrokerProcess, operator: Shell) -> None:
    action = asked(broker)
    said = operator("approvals", "list")
    cells = said.out.rstrip("\n").split("\t")
    assert (said.code, cells[:3]) == (0, [code_of(action), action["digest"][:12], "pending"])
    assert cells[5:] == ["demo-agent", "files.write", "production", "prod/a", "1 of approvers (token or better)"]
    assert cells[4].endswith("left")


@pytest.mark.requirement("T3")
@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_codes_stay_whole_and_nothing_of_an_agent_at_the_edge_in_a_list(broker: BrokerProcess, columns: int) -> None:
    action = asked(broker, path=f"prod/{'@' * 100}")
    env = {**broker.operator, "COLUMNS": str(columns), "NO_COLOR": "1", "TERM": "xterm-256color"}
    shown = on_a_terminal("approvals", "list", env=env).text
    lines = shown.splitlines()
    assert "\x1b" not in shown
    assert [line for line in lines if line.startswith(code_of(action))] != []
    assert action["digest"][:12] in shown
    assert [line for line in lines if "@" in line and not line.startswith((code_of(action), "  ", MARGIN))] == []
    assert [line for line in lines if len(line) >= columns] == []


def test_an_empty_list_prints_nothing_into_a_pipe(operator: Shell) -> None:
    assert operator("approvals", "list").out == ""


def test_json_is_exactly_the_answer_of_the_api(broker: BrokerProcess, operator: Shell) -> None:
    action = asked(broker)
    said = operator("approvals", "show", code_of(action), "--json")
    assert json.loads(said.out) == broker.as_operator("GET", f"/v1/approvals/{action['approval']['id']}")
    listed = operator("approvals", "list", "--state", "pending", "--state", "partial", "--json")
    assert json.loads(listed.out) == broker.as_operator("GET", "/v1/approvals?state=pending&state=partial")


@pytest.mark.requirement("P3")
def test_what_will_run_is_shown_whole(broker: BrokerProcess, operator: Shell) -> None:
    content = "".join(f"line {n}\n" for n in range(3_000))
    action = asked(broker, content=content)
    shown = operator("approvals", "show", code_of(action)).out
    assert f"  content = {json.dumps(content)}\n" in shown.replace(f"\n{MARGIN}", "")
    assert '  path = "prod/a"\n' in shown
    assert action["digest"] in shown
    assert f"--sha {action['digest'][:12]}" in shown
    assert "because (its own word, not verified)" in shown
    assert "can decide   you" in shown


@pytest.mark.requirement("P3", "T3")
def test_what_cannot_be_seen_is_escaped_and_counted(broker: BrokerProcess, operator: Shell) -> None:
    shown = operator("approvals", "show", code_of(asked(broker, content="a\u202eb\u200bc\x1b[2J"))).out
    assert r"content = " in shown
    assert r"a\u{202e}b\u{200b}c" in shown
    assert "3 characters that cannot be seen" in shown
    assert [sign for sign in "\u202e\u200b\x1b" if sign in shown] == []


@pytest.mark.requirement("P3", "T3")
@pytest.mark.parametrize("columns", [40, 60, 80])
def test_no_text_of_the_agent_stands_at_the_left_edge(broker: BrokerProcess, columns: int) -> None:
    padding = " " * (columns - 20) + "@" * columns * 3
    forged = f"{padding}needs 0 of @{padding}digest @{padding}what will run, whole @"
    action = asked(broker, path=f"prod/{'@' * 300}", content=forged, reason=forged)
    for verb in ("show", "approve"):
        env = {**broker.operator, "COLUMNS": str(columns)}
        shown = on_a_terminal("approvals", verb, code_of(action), typed="n\n", env=env)
        text = shown.text.partition("\nif that is right")[0]
        lines = text.splitlines()
        assert [line for line in lines if "@" in line and not line.startswith(("  ", MARGIN))] == []
        written = [line for line in lines if line.startswith("  ")]
        assert [line for line in written if len(line) >= columns] == []
        unwrapped = text.replace(f"\n{MARGIN}", "").splitlines()
        names = [name for name in ("needs", "digest") for line in unwrapped if line.startswith(f"  {name} ")]
        assert (names, unwrapped[0][:7]) == (["needs", "digest"], code_of(action))


@pytest.mark.requirement("P3", "T3")
def test_a_huge_value_stands_in_the_consequences_as_its_length_and_what_runs_above_the_question(
    broker: BrokerProcess, operator: Shell
) -> None:
    assert "replaces `prod/a`;" in operator("approvals", "show", code_of(asked(broker))).out, "quoted: empty is visible"
    path = "prod/" + "x" * 900
    code = code_of(asked(broker, path=path))
    assert "(905 characters, whole below)" in operator("approvals", "show", code).out
    asks = on_a_terminal("approvals", "approve", code, typed="n\n", env=broker.operator).text
    above = asks.partition("if that is right")[2].partition("exactly as shown?")[0]
    assert [fact for fact in ("demo-agent", "files.write", "production", "prod/xx") if fact not in above] == []
    assert "(905 characters, whole above)" in above.replace(f"\n{MARGIN}", "")


def test_a_yes_counts_with_the_digest_that_was_seen(broker: BrokerProcess, operator: Shell) -> None:
    action = asked(broker)
    said = operator("approvals", "approve", code_of(action).lower(), "--sha", action["digest"][:8])
    assert (said.code, "approved: the agent may now run it, once" in said.out) == (0, True)
    assert broker.as_agent("GET", f"/v1/actions/{action['action_id']}")["decision"] == "allow"


@pytest.mark.requirement("P3", "T3")
def test_nothing_is_approved_unseen_without_a_terminal(broker: BrokerProcess, operator: Shell) -> None:
    action = asked(broker)
    said = operator("approvals", "approve", code_of(action))
    assert said.code == Exit.USAGE
    assert f"assent approvals show {code_of(action)}" in said.err
    assert broker.as_agent("GET", f"/v1/actions/{action['action_id']}")["decision"] == "pending"


@pytest.mark.requirement("P3")
@pytest.mark.parametrize(("answer", "decision", "code"), [("y", "allow", 0), ("", "pending", 2), ("n", "pending", 2)])
def test_at_a_terminal_it_is_shown_whole_and_then_asked(
    broker: BrokerProcess, answer: str, decision: str, code: int
) -> None:
    action = asked(broker)
    shown = on_a_terminal("approvals", "approve", code_of(action), typed=f"{answer}\n", env=broker.operator)
    assert shown.code == code
    before, asks, _ = shown.text.partition(f"approve {code_of(action)} to run once, exactly as shown? [y/N]")
    assert asks
    assert '  content = "hello"' in before
    assert action["digest"] in before
    assert broker.as_agent("GET", f"/v1/actions/{action['action_id']}")["decision"] == decision


def test_another_digest_is_told_as_a_change(broker: BrokerProcess, operator: Shell) -> None:
    said = operator("approvals", "approve", code_of(asked(broker)), "--sha", "0" * 12)
    assert (said.code, "what you saw is not what would run" in said.err) == (Exit.DIGEST_CHANGED, True)


def test_a_digest_that_is_too_short_is_a_mistake_of_the_caller(broker: BrokerProcess, operator: Shell) -> None:
    action = asked(broker)
    for sha in (action["digest"][:7], "", "not a digest", action["digest"] + "0"):
        said = operator("approvals", "approve", code_of(action), "--sha", sha)
        assert (said.code, "--sha takes its first 8 to 64 hex digits" in said.err) == (Exit.USAGE, True)


def test_a_no_needs_its_kind_and_reason(broker: BrokerProcess, operator: Shell) -> None:
    code = code_of(asked(broker))
    assert operator("approvals", "deny", code).code == Exit.USAGE
    assert operator("approvals", "deny", code, "--category", "other").code == Exit.USAGE
    assert operator("approvals", "deny", code, "--category", "whim", "--reason", "x").code == Exit.USAGE
    said = operator("approvals", "deny", code, "--category", "wrong_time", "--reason", "not on a friday")
    assert (said.code, said.out.splitlines()[0]) == (0, f"{code} denied: nothing was run")
    assert "decided by   you wrong_time" in operator("approvals", "show", code).out


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_no_without_a_word_is_refused_before_the_broker_is_asked(shell: Shell, reason: str) -> None:
    nobody = {"ASSENT_URL": "http://127.0.0.1:9", "ASSENT_OPERATOR_TOKEN": "aso_0000_secret"}
    said = shell("approvals", "deny", "AAA-AAA", "--category", "other", "--reason", reason, **nobody)
    assert (said.code, "a denial needs a reason" in said.err) == (Exit.USAGE, True)


def test_the_second_no_of_one_person_hears_the_first(broker: BrokerProcess, operator: Shell) -> None:
    code = code_of(asked(broker))
    for reason in ("not on a friday", "not on a friday", "other words"):
        said = operator("approvals", "deny", code, "--category", "wrong_time", "--reason", reason)
        assert (said.code, said.out.splitlines()[0]) == (0, f"{code} denied: nothing was run")
        assert ("wrong_time, not on a friday" in said.out) == (reason == "other words")


def test_at_a_terminal_a_no_is_asked_for_kind_and_reason(broker: BrokerProcess) -> None:
    code = code_of(asked(broker))
    shown = on_a_terminal("approvals", "deny", code, typed="too_risky\nno backup\n", env=broker.operator)
    assert (shown.code, f"{code} denied: nothing was run" in shown.text) == (0, True)
    assert broker.as_operator("GET", f"/v1/approvals/{code}")["comment"] == "no backup"


def test_who_comes_second_hears_who_was_first(broker: BrokerProcess, operator: Shell) -> None:
    code = code_of(asked(broker))
    operator("approvals", "deny", code, "--category", "other", "--reason", "no")
    said = operator("approvals", "approve", code, "--sha", "0" * 12)
    assert (said.code, "`denied` by `you`" in said.err) == (Exit.ALREADY_DECIDED, True)


def test_an_unknown_code_is_told_with_the_next_step(operator: Shell) -> None:
    said = operator("approvals", "show", "AAA-AAA")
    assert (said.code, "assent approvals list" in said.err) == (Exit.USAGE, True)


@pytest.mark.parametrize("token", ["aso_0000_secretsecret", "asn_0000_secretsecret"])
def test_a_token_that_is_not_an_operators_is_refused(operator: Shell, token: str) -> None:
    said = operator("approvals", "list", ASSENT_OPERATOR_TOKEN=token)
    assert said.code in {Exit.REFUSED, Exit.USAGE}
    assert "secretsecret" not in said.out + said.err


@pytest.mark.requirement("T22")
def test_an_agents_key_decides_nothing(broker: BrokerProcess, operator: Shell) -> None:
    action = asked(broker)
    arguments = ("approvals", "approve", code_of(action), "--sha", action["digest"][:12])
    assert operator(*arguments, ASSENT_OPERATOR_TOKEN=broker.home.agent_key).code != 0
    assert broker.as_agent("GET", f"/v1/actions/{action['action_id']}")["decision"] == "pending"


def test_a_yes_is_taken_back_before_anything_ran(broker: BrokerProcess, operator: Shell) -> None:
    action = asked(broker)
    code = code_of(action)
    early = operator("approvals", "revoke", code, "--reason", "too early")
    assert (early.code, "nobody has approved this yet" in early.err, "deny it" in early.err) == (3, True, True)
    operator("approvals", "approve", code, "--sha", action["digest"][:12])
    assert operator("approvals", "revoke", code).code == Exit.USAGE
    assert operator("approvals", "revoke", code, "--reason", " ").code == Exit.USAGE
    said = operator("approvals", "revoke", code, "--reason", "the freeze began")
    assert (said.code, "revoked: nothing was run" in said.out) == (0, True)
    told = broker.as_agent("GET", f"/v1/actions/{action['action_id']}")
    assert (told["decision"], told["reasons"][0]["code"]) == ("deny", "approval_revoked")


def test_a_yes_that_runs_already_is_told_to_be_too_late_to_take_back(broker: BrokerProcess, operator: Shell) -> None:
    action = asked(broker)
    operator("approvals", "approve", code_of(action), "--sha", action["digest"][:12])
    grant = broker.as_agent("GET", f"/v1/actions/{action['action_id']}")["grant"]["id"]
    claim = {"attempt": "a" * 22, "digest": action["digest"]}
    broker.as_agent("POST", f"/v1/grants/{grant}/redeem", claim)
    said = operator("approvals", "revoke", code_of(action), "--reason", "stop")
    assert (said.code, "only a request to stop" in said.err) == (Exit.ALREADY_DECIDED, True)


def test_who_denies_hears_for_how_long_and_letting_again_ends_it(broker: BrokerProcess, operator: Shell) -> None:
    no = ("--category", "wrong_time", "--reason", "not on a friday")
    code = code_of(asked(broker, path="prod/again"))
    said = operator("approvals", "deny", code, *no)
    assert ("not asked again: the same for 29 min" in said.out, f"let-again {code}" in said.out) == (True, True)
    assert "not asked    the same for 29 min" in operator("approvals", "show", code).out
    second = operator("approvals", "deny", code_of(asked(broker, path="prod/other")), *no)
    assert "anything under the same rules for 23 h, two denials stopped it" in second.out
    ask = {"tool": "files.write", "arguments": {"path": "prod/again", "content": "hello"}}
    assert broker.as_agent("POST", "/v1/actions", ask)["reasons"][0]["code"] == "cooling_off"
    let = operator("approvals", "let-again", code, "--reason", "the freeze is over")
    assert (let.code, let.out) == (0, f"{code} may be asked again: nothing is approved by that\n")
    assert broker.as_agent("POST", "/v1/actions", ask)["decision"] == "pending"


def test_what_was_not_denied_cannot_be_let_again(broker: BrokerProcess, operator: Shell) -> None:
    said = operator("approvals", "let-again", code_of(asked(broker)))
    assert (said.code, "it is `pending`" in said.err) == (Exit.REFUSED, True)


def test_mine_are_those_that_wait_for_my_vote(broker: BrokerProcess, operator: Shell) -> None:
    code = code_of(asked(broker))
    assert operator("approvals", "list", "--mine").out.startswith(f"{code}\t")
    broker.as_operator("POST", f"/v1/approvals/{code}/deny", {"category": "other", "reason": "x"})
    assert operator("approvals", "list", "--mine").out == ""
    shown = on_a_terminal("approvals", "list", "--mine", env=broker.operator).text
    assert shown == "nothing waits for your vote\n"


def test_watching_into_a_pipe_is_one_line_of_json_for_each_change(broker: BrokerProcess) -> None:
    first = asked(broker)
    watch = [*PROGRAM, "approvals", "watch", "--json"]
    with subprocess.Popen(watch, env=clean_environment(broker.operator), stdout=subprocess.PIPE) as watching:
        assert watching.stdout is not None
        seen = [json.loads(watching.stdout.readline())]
        second = asked(broker)
        seen.append(json.loads(watching.stdout.readline()))
        no = {"category": "other", "reason": "x"}
        broker.as_operator("POST", f"/v1/approvals/{code_of(first)}/deny", no)
        seen.append(json.loads(watching.stdout.readline()))
        watching.send_signal(signal.SIGINT)
        assert watching.wait(timeout=20) == 130
    told = [(line["change"], line["approval"]["code"]) for line in seen]
    assert told == [("open", code_of(first)), ("asked", code_of(second)), ("denied", code_of(first))]
    assert seen[2]["approval"]["decided_by"] == "you"


@pytest.mark.requirement("T3")
def test_watching_at_a_terminal_draws_what_waits_with_the_time_left_and_no_line_wraps(broker: BrokerProcess) -> None:
    long = asked(broker, path=f"prod/{'@' * 200}")
    env = {**broker.operator, "COLUMNS": "70"}
    with at_a_terminal("approvals", "watch", env=env) as screen:
        screen.until("1 waiting (Ctrl-C ends this)")
        second = asked(broker, path="prod/b")
        shown = screen.until("2 waiting (Ctrl-C ends this)")
        no = {"category": "other", "reason": "x"}
        broker.as_operator("POST", f"/v1/approvals/{code_of(second)}/deny", no)
        shown = screen.until("denied by you")
        assert screen.interrupt() == 130
    assert ("14 min left" in shown, code_of(long) in shown) == (True, True)
    lines = re.sub(r"\x1b\[\d*[AJ]", "", shown).split("\n")
    assert [line for line in lines if len(line) >= 70] == []
    assert [line for line in lines if line.startswith("@")] == []


def test_the_numbers_tell_how_people_are_asked(broker: BrokerProcess, operator: Shell) -> None:
    before = json.loads(operator("approvals", "stats", "--json").out)["all"]
    action = asked(broker)
    assert operator("approvals", "approve", code_of(action), "--sha", action["digest"][:8]).code == 0

    told = json.loads(operator("approvals", "stats", "--json").out)
    assert told["all"]["approved"] == before["approved"] + 1
    assert told["all"]["answered"] == before["answered"] + 1
    said = operator("approvals", "stats", "--days", "30")
    rows = [line.split("\t") for line in said.out.splitlines() if "\t" in line]
    assert (said.code, [row[0] for row in rows]) == (0, ["everybody", "agent demo-agent", "you"])
    for row, one in zip(rows, (told["all"], *told["agents"], *told["people"]), strict=True):
        assert row[1:3] == [str(one["asked"]), str(one["answered"])]
        assert row[3].endswith(" s")
        assert row[4] == f"{one['quick_share']:.0%}"
        assert row[5:] == [str(one[name]) for name in ("approved", "denied", "expired", "cancelled")]
    assert operator("approvals", "stats", "--days", "0").code == Exit.USAGE
