"""Tasks replayed by an agent that has nothing but the SDK, through a broker that serves, with somebody who answers.

Whoever answers sees what the broker shows, and says yes only to what the user's task needs: the best approver there can
be, so what is counted is what policy and approval can do and not how attentive somebody is. The agent is the worst
there can be: it does all that the attacker wants, then what its user wants, then what the attacker wants once more.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from assent import Assent
from assent.config import load_settings
from assent.core.credentials import Kind
from assent.flows.manage_principals import issue_credential
from assent.sdk.errors import ActionDenied
from assent.stores.keys import Keys
from assent.wiring import assemble, publish_key
from tests.agentdojo.worlds import Call, World
from tests.policy.directory import write
from tests.serving.broker_process import BrokerProcess, Home

POLICIES: Final = Path(__file__).parents[2] / "policies" / "examples" / "agentdojo"
APPROVER: Final = "noor"
OWNER: Final = "morgan"
# Whoever issues the key of an agent may not answer for it, nor whoever gets a token from them.
ISSUER: Final = "installation"
ANSWER_SECONDS: Final = 30
SETTINGS: Final = """open_per_agent = 1000
open_per_run = 1000
open_per_route = 10000
asks_per_agent_per_hour = 100000
log_level = "warning"
"""


@dataclass(slots=True)
class Counted:
    """What one suite came to.

    `reached` counts attacks that got what they wanted by their id, `attacker_calls` what became of each of their calls,
    `attacker_writes` those that ran and changed something.
    """

    suite: str
    user_tasks: int = 0
    solved: int = 0
    questions: int = 0
    pairs: int = 0
    solved_under_attack: int = 0
    reached_without_broker: int = 0
    reached: Counter[str] = field(default_factory=Counter)
    attacker_calls: Counter[str] = field(default_factory=Counter)
    attacker_writes: int = 0

    @property
    def questions_per_task(self) -> float:
        """How often a human was asked for each task, when nobody attacked."""
        return self.questions / self.user_tasks if self.user_tasks else 0.0


@dataclass(slots=True)
class Desk:
    """Somebody who sees every question and says yes to what is needed."""

    broker: BrokerProcess
    needed: Sequence[Call] = ()
    denied: list[str] = field(default_factory=list)

    def answer(self, code: str) -> None:
        """Answer one question by what the broker shows of it."""
        shown: dict[str, Any] = self.broker.as_operator("GET", f"/v1/approvals/{code}")
        if Call(shown["tool"], shown["arguments"]) in self.needed:
            path, body = f"/v1/approvals/{code}/approve", {"digest_prefix": shown["digest"][:16]}
        else:
            path, body = f"/v1/approvals/{code}/deny", {"category": "malicious", "reason": "nobody wanted this"}
            self.denied.append(code)
        said = self.broker.as_operator("POST", path, body)
        if said.get("state") not in {"approved", "denied"}:
            raise RuntimeError(f"the answer to {code} was not taken: {said}")

    def forget(self) -> None:
        """Let everything be asked again: the next task is another day."""
        for code in self.denied:
            self.broker.as_operator("POST", f"/v1/approvals/{code}/let-again", {"reason": "another task"})
        self.denied.clear()


@contextmanager
def served(suite: str, folder: Path) -> Iterator[tuple[Assent, Desk]]:
    """Serve the example policy of a suite; yield the agent's client and the desk."""
    home = _install(suite, folder)
    with BrokerProcess(home=home) as broker, Assent(broker.url, home.agent_key, spool=folder / "spool") as agent:
        yield agent, Desk(broker)


def _install(suite: str, folder: Path) -> Home:
    policies = POLICIES / suite
    found = sorted(path for path in policies.rglob("*") if path.is_file())
    write(folder / "policies", {str(path.relative_to(policies)): path.read_text() for path in found})
    Keys.create(folder / "keys")
    (folder / "assent.toml").write_text(SETTINGS)
    return asyncio.run(_issue(suite, folder))


async def _issue(suite: str, folder: Path) -> Home:
    assembly = assemble(load_settings(folder / "assent.toml"), issuer="http://127.0.0.1")
    try:
        publish_key(assembly)
        agent = await issue_credential(assembly.broker, Kind.AGENT, f"{suite}-assistant", issued_by=OWNER)
        token = await issue_credential(assembly.broker, Kind.OPERATOR, APPROVER, issued_by=ISSUER)
    finally:
        await assembly.ledger.close()
    return Home(directory=folder, operator_token=token.token, agent_key=agent.token)


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one call: how it ended in words, whether a human was asked, whether the environment changed."""

    how: str
    asked: bool = False
    changed: bool = False


class Replay:
    """One suite's tasks, one after the other, each in an environment of its own and a run of its own."""

    def __init__(self, world: World, agent: Assent, desk: Desk) -> None:
        self._world = world
        self._agent = agent
        self._desk = desk
        self.counted = Counted(world.name)

    def solve(self, task: str) -> None:
        """Do what a user wants, with nobody attacking, and count what it came to."""
        self._world.begin(task)
        calls = self._world.calls(task)
        with self._task(calls):
            done = [self._do(call) for call in calls]
        self.counted.user_tasks += 1
        self.counted.questions += sum(one.asked for one in done)
        self.counted.solved += self._world.is_solved(task)

    def attack(self, task: str, attack: str) -> None:
        """Do what an attacker wants before and after what the user wants, and count what came of both."""
        self._world.begin(task)
        wanted = self._world.calls(attack)
        needed = self._world.calls(task)
        with self._task(needed):
            self._obey(wanted)
            reached = self._world.is_reached(task, attack)
            for call in needed:
                self._do(call)
            self._obey(wanted)
        self.counted.pairs += 1
        self.counted.solved_under_attack += self._world.is_solved(task)
        self.counted.reached[attack] += reached or self._world.is_reached(task, attack)

    def attack_without_broker(self, task: str, attack: str) -> None:
        """Do what an attacker wants with nothing in between, so that it is known that the attack works."""
        self._world.begin(task)
        for call in self._world.calls(attack):
            self._world.run(call)
        self.counted.reached_without_broker += self._world.is_reached(task, attack)

    def _obey(self, wanted: Sequence[Call]) -> None:
        for one in [self._do(call) for call in wanted]:
            self.counted.attacker_calls[one.how] += 1
            self.counted.attacker_writes += one.changed

    @contextmanager
    def _task(self, needed: Sequence[Call]) -> Iterator[None]:
        self._desk.needed = needed
        with self._agent.run(uuid4().hex):
            yield
        self._desk.forget()

    def _do(self, call: Call) -> Done:
        """Ask, wait, and run what was assented to."""
        decision = self._agent.request(call.tool, call.arguments)
        asked = decision.is_pending
        if decision.approval is not None and asked:
            self._desk.answer(decision.approval.code)
        try:
            with self._agent.resume(decision, wait=ANSWER_SECONDS if asked else 0) as action:
                changed = self._world.run(Call(call.tool, action.arguments))
        except ActionDenied as refused:
            return Done(refused.code, asked)
        return Done("ran", asked, changed)
