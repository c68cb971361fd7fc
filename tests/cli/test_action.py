"""`assent action run`: what runs is what was judged, once; whoever waits hears for whom, and how it ended."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from assent.cli.exits import Exit, RunExit
from tests.cli.terminal import at_a_terminal
from tests.serving.broker_process import WAIT_SECONDS, BrokerProcess, Home, clean_environment, run
from tests.serving.warm import PROGRAM

# Says what it was given and which of our variables it can see, does what it is told, and ends as it is told.
SAYS = """\
import json, os, signal, sys, time
print(json.dumps([sys.argv[1:], sorted(name for name in os.environ if name.startswith("ASSENT_"))]), flush=True)
what, _, number = sys.argv[1].partition("-")
if what == "signal":
    os.kill(os.getpid(), int(number))
if what == "sleep":
    signal.sigtimedwait([], 60)
sys.exit(int(number or 0))
"""
TOOLS = """\
say.where:
  description: say something somewhere
  impact: write
  resource: "{{place}}/{{word}}"
  environment: {{from: place, match: {{staging: staging, prod: production}}}}
  arguments: {{place: string, word: string}}
  command: ["{python}", "{program}", "{{word}}", "--place={{place}}", "$HOME; `id`"]
  how_bad: nothing
  undo: nothing
say.any:
  description: any program
  impact: destructive
  resource: host/programs
  environment: production
  arguments: {{argv: {{type: list, max_length: 9, of: {{type: string, unicode: true, max_length: 1000}}}}}}
  command: argv
  how_bad: anything
  undo: nothing
say.nowhere:
  description: a program that no machine has
  impact: read
  resource: "{{place}}"
  environment: {{from: place, match: {{staging: staging}}}}
  arguments: {{place: string}}
  command: [no-machine-has-this-program, "{{place}}"]
"""
ROLE = """\
sayer:
  description: says things
  owner: demo-owner
  rules:
    - {id: say-staging, tools: [say.where, say.nowhere], environments: [staging], effect: allow}
    - {id: say-prod, tools: [say.where, say.any], environments: [production], effect: require_approval, route: default}
"""


@pytest.fixture(scope="module")
def talking(made: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    folder = tmp_path_factory.mktemp("action")
    home, program = made.copied(folder / "broker"), folder / "says.py"
    program.write_text(SAYS)
    policies = home.directory / "policies"
    (policies / "tools" / "say.yaml").write_text(TOOLS.format(python=sys.executable, program=program))
    (policies / "roles" / "say.yaml").write_text(ROLE)
    agents = policies / "agents.yaml"
    agents.write_text(agents.read_text().replace("[file-worker]", "[file-worker, sayer]"))
    many = {"ASSENT_ASKS_PER_AGENT_PER_HOUR": "1000", "ASSENT_OPEN_PER_AGENT": "100", "ASSENT_OPEN_PER_RUN": "100"}
    with BrokerProcess(home=home, env=many) as running:
        yield running


@pytest.fixture
def agent(talking: BrokerProcess, tmp_path: Path) -> dict[str, str]:
    """Environment in which the command line is the agent of the broker."""
    return {
        "ASSENT_URL": talking.url,
        "ASSENT_AGENT_KEY": talking.home.agent_key,
        "ASSENT_SPOOL": str(tmp_path / "spool"),
    }


def act(env: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return run("action", "run", *words, env=env)


def outcome(broker: BrokerProcess) -> Any:  # JSON
    return broker.records("action.outcome")[0]["detail"]["state"]


class Asked:
    """A command that waits for people, its question, and what becomes of it."""

    def __init__(self, broker: BrokerProcess, env: Mapping[str, str], *words: str) -> None:
        self.broker = broker
        self.process = subprocess.Popen(
            [*PROGRAM, "action", "run", *words],
            env=clean_environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.waits = self.process.stderr.readline()
        self.approval = broker.as_operator("GET", f"/v1/approvals/{self.waits.split()[0]}")

    def approved(self) -> None:
        body = {"digest_prefix": self.approval["digest"]}
        self.broker.as_operator("POST", f"/v1/approvals/{self.approval['id']}/approve", body)

    def denied(self) -> None:
        body = {"category": "not_needed", "reason": "no"}
        self.broker.as_operator("POST", f"/v1/approvals/{self.approval['id']}/deny", body)

    def ended(self) -> subprocess.CompletedProcess[str]:
        out, err = self.process.communicate(timeout=WAIT_SECONDS)
        return subprocess.CompletedProcess([], self.process.returncode, out, err)


@pytest.mark.requirement("P3")
def test_what_runs_is_the_vector_that_was_judged_without_a_shell_and_without_our_credentials(
    talking: BrokerProcess, agent: dict[str, str]
) -> None:
    ended = act(agent, "say.where", "place=staging", "word=hello there")
    assert ended.returncode == 0, ended.stderr
    given, variables = json.loads(ended.stdout)
    assert given == ["hello there", "--place=staging", "$HOME; `id`"]
    assert variables == ["ASSENT_SPOOL", "ASSENT_URL"]
    assert (ended.stderr, outcome(talking)) == ("", "succeeded")


@pytest.mark.parametrize(
    ("word", "code", "state"), [("end-3", 3, "failed"), (f"signal-{signal.SIGTERM.value}", 143, "unknown")]
)
def test_it_ends_with_the_programs_own_code_and_reports_how_it_ended(
    talking: BrokerProcess, agent: dict[str, str], word: str, code: int, state: str
) -> None:
    ended = act(agent, "say.where", "place=staging", f"word={word}", "--json")
    told = json.loads(ended.stderr)
    assert (ended.returncode, told["exit_code"], told["action_id"][:4]) == (code, code, "act_")
    assert outcome(talking) == state


def test_a_program_that_is_not_there_is_told_apart_and_failed(talking: BrokerProcess, agent: dict[str, str]) -> None:
    ended = act(agent, "say.nowhere", "place=staging")
    assert (ended.returncode, outcome(talking)) == (RunExit.NOT_STARTED, "failed")
    assert "`no-machine-has-this-program` cannot be started: no such file" in ended.stderr


@pytest.mark.requirement("P3")
def test_a_vector_of_the_agents_own_is_shown_whole_and_runs_once_people_said_yes(
    talking: BrokerProcess, agent: dict[str, str]
) -> None:
    words = (sys.executable, "-c", "print('ran', flush=True)", "--json", "größe")
    asked = Asked(talking, agent, "say.any", "--reason", "trying", "--", *words)
    assert "waits for you: 14 min left, then nothing runs" in asked.waits
    assert asked.approval["command"] == list(words) == asked.approval["arguments"]["argv"]
    shown = run("approvals", "show", asked.approval["code"], env=talking.operator).stdout
    assert "argv[2] = \"print('ran', flush=True)\"" in shown
    asked.approved()
    ended = asked.ended()
    assert (ended.returncode, ended.stdout) == (0, "ran\n"), ended.stderr
    assert outcome(talking) == "succeeded"


@pytest.mark.requirement("P7")
def test_a_no_and_a_silence_are_told_apart_and_nothing_runs(talking: BrokerProcess, agent: dict[str, str]) -> None:
    asked = Asked(talking, agent, "say.where", "place=prod", "word=denied")
    asked.denied()
    denied = asked.ended()
    assert (denied.returncode, denied.stdout) == (RunExit.REFUSED, "")
    assert "a human denied this action" in denied.stderr
    silent = act(agent, "say.where", "place=prod", "word=silence", "--wait", "1s")
    assert (silent.returncode, silent.stdout) == (RunExit.REFUSED, "")
    assert "nobody answered in time; nobody denied it" in silent.stderr
    page = talking.as_operator("GET", "/v1/approvals?state=cancelled")["items"]
    assert page[0]["arguments"]["word"] == "silence"


@pytest.mark.requirement("P4")
def test_within_a_run_the_same_command_finds_its_question_again_and_runs_once(
    talking: BrokerProcess, agent: dict[str, str]
) -> None:
    words = ("say.where", "place=prod", "word=once", "--run-id", "nightly", "--call-id", "c1")
    first = act(agent, *words, "--wait", "1s")
    assert first.returncode == RunExit.REFUSED
    assert "a person has to approve it" in first.stderr
    again = Asked(talking, agent, *words)
    again.approved()
    ran = again.ended()
    assert (ran.returncode, json.loads(ran.stdout)[0][0]) == (0, "once")
    refused = act(agent, *words)
    assert (refused.returncode, refused.stdout) == (RunExit.REFUSED, "")
    assert "it ran before and its outcome is succeeded" in refused.stderr


def test_ctrl_c_while_it_waits_withdraws_the_question(talking: BrokerProcess, agent: dict[str, str]) -> None:
    words = ("action", "run", "say.where", "place=prod", "word=interrupted")
    with at_a_terminal(*words, env=clean_environment({**agent, "COLUMNS": "80"})) as screen:
        code = screen.until("waits for you").rsplit(" waits", 1)[0][-7:]
        assert screen.interrupt() == 130
    assert talking.as_operator("GET", f"/v1/approvals/{code}")["state"] == "cancelled"


def test_a_signal_is_handed_on_to_the_program(talking: BrokerProcess, agent: dict[str, str]) -> None:
    process = subprocess.Popen(
        [*PROGRAM, "action", "run", "say.where", "place=staging", "word=sleep-0"],
        env=clean_environment(agent),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert b"sleep-0" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=WAIT_SECONDS) == 128 + signal.SIGTERM
    process.stdout.close()
    assert outcome(talking) == "unknown"


@pytest.mark.requirement("P6")
def test_a_breaker_that_opens_over_a_running_program_ends_it(talking: BrokerProcess, agent: dict[str, str]) -> None:
    process = subprocess.Popen(
        [*PROGRAM, "action", "run", "say.where", "place=staging", "word=sleep-0"],
        env=clean_environment(agent),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert "sleep-0" in process.stdout.readline()
    tripped = talking.as_operator("POST", "/v1/breakers/trip", {"scope": {"tool": "say.where"}, "reason": "enough"})
    _, said = process.communicate(timeout=WAIT_SECONDS)
    breaker = tripped["breaker"]["id"]
    talking.as_operator("POST", f"/v1/breakers/{breaker}/reset", {"reason": "tried"})
    assert (process.returncode, "enough" in said) == (RunExit.REFUSED, True), said
    assert outcome(talking) == "unknown"


WRONG: dict[str, tuple[tuple[str, ...], int, str]] = {
    "no program": (("files.read", "path=staging/a"), RunExit.NOT_DECIDED, "`files.read` is no program"),
    "a command of one's own": (("say.where", "--", "ls"), RunExit.NOT_DECIDED, "has no place in it"),
    "no vector": (("say.any",), RunExit.NOT_DECIDED, "assent action run say.any -- PROGRAM"),
    "an unknown tool": (("say.what", "a=1"), RunExit.REFUSED, "this tool is not in the catalogue"),
    "a missing field": (("say.where", "place=staging"), RunExit.REFUSED, "`word` is missing"),
    "an option": (("say.where", "place=staging", "word=-rf"), RunExit.REFUSED, "begins with `-`"),
    "no program named": (("say.any", "--", ""), RunExit.REFUSED, "it names no program"),
    "no argument": (("say.where", "staging"), Exit.USAGE, "`staging` is no argument"),
    "both": (("say.any", "a=1", "--", "ls"), Exit.USAGE, "`a=1` stands before `--`"),
    "nothing": (("say.any", "--"), Exit.USAGE, "nothing stands behind `--`"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_mistake_is_told_and_nothing_runs(agent: dict[str, str], what: str) -> None:
    words, code, said = WRONG[what]
    ended = act(agent, *words)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert said in ended.stderr
    assert "unforeseen" not in ended.stderr


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"ASSENT_AGENT_KEY": ""}, "no agent key is given"),
        ({"ASSENT_AGENT_KEY": "asn_wrong0000000"}, "the broker does not take this key"),
        ({"ASSENT_AGENT_KEY": "aso_wrong0000000"}, "this is no agent key"),
        ({"ASSENT_URL": "http://127.0.0.1:1"}, "the broker cannot be reached"),
    ],
)
def test_without_a_broker_or_a_key_nothing_runs_and_the_code_says_so(
    agent: dict[str, str], changed: dict[str, str], said: str
) -> None:
    ended = act({**agent, **changed}, "say.where", "place=staging", "word=x")
    assert (ended.returncode, ended.stdout) == (RunExit.NOT_DECIDED, "")
    assert said in ended.stderr
    told = json.loads(act({**agent, **changed}, "say.where", "place=staging", "word=x", "--json").stderr)
    assert (told["exit_code"], said in told["message"]) == (RunExit.NOT_DECIDED, True)
