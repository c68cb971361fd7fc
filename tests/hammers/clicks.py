"""Two processes on one ledger, two approvers on every card, both of them click twice: each approval ends exactly once.

Half of the questions need one person, half of them two. Every click must be acknowledged, every clicker told the truth,
and every card in the end say what the log says.
"""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from assent.config import load_settings
from assent.core.credentials import Kind
from assent.demo.workspace.people import Channel, Person
from assent.demo.workspace.server import StandIn, serving
from assent.demo.workspace.state import Message, Workspace
from assent.flows import authenticate
from assent.flows.broker import Broker
from assent.flows.manage_principals import issue_credential
from assent.flows.request_action import Ask, request_action
from assent.slack.manifest import SCOPES
from assent.slack.view import Press
from assent.wiring import assemble
from tests.hammers import broker, policy, records
from tests.hammers.broker import Installation
from tests.hammers.budget import Budget, Report, expect

FULL_APPROVALS: Final = 1_000
BATCH: Final = 100
SHORT_BATCH: Final = 20
PROCESSES: Final = 2
ROUTES: Final = 50
PEOPLE_OF_A_ROUTE: Final = 4
CLICKS_AT_ONCE: Final = 12
PATIENCE_SECONDS: Final = 120.0
_TOOL: Final = """notes.w{n}:
  description: write a note
  impact: write
  resource: "{{path}}"
  environment: {{from: path, segment: 0, match: {{prod: production, stg: staging}}}}
  arguments: {{path: {{type: string, max_length: 1000}}}}
  how_bad: "replaces {{path}}"
  undo: "write {{path}} again"
"""


@dataclass(slots=True)
class Question:
    """One approval, who will click on its card, and what they were told at each click."""

    code: str
    id: str
    people: tuple[str, str]
    needs: int
    told: list[tuple[str, list[str]]] = field(default_factory=list)


def run(folder: Path, budget: Budget) -> Report:
    """Have 1,000 approvals clicked, or small batches for as long as the budget says."""
    at = broker.install(folder / "clicks")
    _write_policy(at.folder / "policies")
    questions = asyncio.run(_hammer(at, budget))
    log = records.read(at.ledger)
    for question in questions:
        check_told(question)
    votes = check_log(questions, log)
    return Report(
        counts={
            "approvals": len(questions),
            "processes": PROCESSES,
            "clicks": sum(len(question.told) for question in questions),
            "clicks that were not acknowledged": 0,
            "votes": votes,
            "told that somebody else had decided": sum(
                bool(said) and said[0].startswith("Not counted") for question in questions for _, said in question.told
            ),
            "approvals that ended more than once, or not at all": 0,
            "cards that were posted twice, or say something else than the log": 0,
        }
    )


async def _hammer(at: Installation, budget: Budget) -> list[Question]:
    people = [Person(id=_user(name), name=name) for name in _everybody()]
    rooms = [Channel(id=f"C{route:03d}", name=f"room-{route}") for route in range(ROUTES)]
    # Slack changes fifty messages a minute, and this is about who clicked, not about how fast cards follow.
    workspace = Workspace(people=people, channels=rooms, scopes=SCOPES, counts_calls=False)
    questions: list[Question] = []
    async with serving(workspace) as slack, _asking(at) as (asker, agent):
        with _crew(at, slack):
            await _until(lambda: len(slack.delivery.sockets) == PROCESSES, "both processes to listen")
            batch = budget.choose(by_hits=BATCH, by_seconds=SHORT_BATCH)
            while budget.goes_on(len(questions)):
                fresh = [await _ask(asker, agent, len(questions) + number) for number in range(batch)]
                await _click_all(slack, fresh, budget)
                questions += fresh
    return questions


@asynccontextmanager
async def _asking(at: Installation) -> AsyncIterator[tuple[Broker, authenticate.AgentCaller]]:
    assembly = assemble(load_settings(at.folder / "assent.toml"), issuer=at.url)
    issued = await issue_credential(assembly.broker, Kind.AGENT, policy.AGENT, issued_by=broker.ISSUED_BY)
    try:
        yield assembly.broker, await authenticate.agent(assembly.broker, issued.token)
    finally:
        await assembly.ledger.close()


async def _ask(asker: Broker, agent: authenticate.AgentCaller, number: int) -> Question:
    route = number % ROUTES
    asked = await request_action(
        asker, agent, Ask(tool=f"notes.w{route}", arguments={"path": f"prod/{number}.txt"}, attempt="a" * 22)
    )
    approval = asked.approval
    if approval is None:
        raise AssertionError(f"a production change did not wait for a person: {asked.decision}")
    first = 2 * (number // ROUTES % (PEOPLE_OF_A_ROUTE // 2))
    pair = (_name(route, first), _name(route, first + 1))
    return Question(code=approval.code, id=approval.id, people=pair, needs=_needs(route))


async def _click_all(slack: StandIn, questions: Sequence[Question], budget: Budget) -> None:
    cards = await _until(lambda: _cards(slack, questions), "every card")
    clicks = [(question, person) for question in questions for person in question.people * 2]
    budget.random().shuffle(clicks)
    free = asyncio.Semaphore(CLICKS_AT_ONCE)
    told = await asyncio.gather(*(_click(slack, free, cards[one.id], person) for one, person in clicks))
    for (question, person), delivered in zip(clicks, told, strict=True):
        expect(delivered.outcome == "acknowledged", f"a click of {person} on {question.code}: {delivered.outcome}")
    for question in questions:
        await _until(lambda one=question: "waiting for the agent" in cards[one.id].now["text"], f"card {question.code}")
    for (question, person), delivered in zip(clicks, told, strict=True):
        hook = slack.slack.hooks[delivered.payload["response_url"].rpartition("/")[2]]
        question.told.append((person, hook.said))
    for question in questions:
        # What somebody is told goes its own way, after the acknowledgement.
        await _until(lambda one=question: _have_heard(one), f"both answers about {question.code}")
    stand = Counter(_about(message) for message in slack.slack.messages if message.only_for is None)
    twice = [one.code for one in questions if stand[one.id] != 1]
    expect(not twice, f"cards that stand there more than once: {twice}")


async def _click(slack: StandIn, free: asyncio.Semaphore, card: Message, person: str) -> Any:
    async with free:
        return await slack.as_user(person).press(card, Press.APPROVE)


def _cards(slack: StandIn, questions: Sequence[Question]) -> dict[str, Message]:
    found = {_about(message): message for message in slack.slack.messages if message.only_for is None}
    return found if all(question.id in found for question in questions) else {}


def _about(message: Message) -> str:
    return str(message.now["metadata"]["event_payload"]["approval"])


def _have_heard(question: Question) -> bool:
    return sum(bool(said) for _, said in question.told) >= (1 if question.needs > 1 else 2)


def check_told(question: Question) -> None:
    """Look that everybody heard what happened. Raises Disproved."""
    told = [(person, " ".join(said)) for person, said in question.told]
    refused = {person: said for person, said in told if said.startswith("Not counted")}
    if question.needs > 1:
        expect(not refused, f"{question.code} needed both, and {refused}")
        expect(any("needs more" in said for _, said in told), f"{question.code}: nobody heard that it needs more")
        return
    expect(len(refused) == 1, f"{question.code} needed one, and {question.told}")
    ((loser, said),) = refused.items()
    winner = next(person for person in question.people if person != loser)
    expect(f"`{winner}`" in said, f"{loser} was told `{said}` when {winner} had decided {question.code}")
    wrong = [said for person, said in told if (person == loser) != said.startswith("Not counted")]
    expect(not wrong, f"{question.code}: {question.told}")


def check_log(questions: Sequence[Question], log: list[records.Leaf]) -> int:
    """Look that each approval ended once, with as many votes as it needed; return all votes. Raises Disproved."""
    voted = Counter(leaf["approval"] for leaf in records.of_kind(log, "approval.voted"))
    ended = Counter(leaf["approval"] for leaf in records.of_kind(log, "approval.moved"))
    granted = Counter(leaf["action"] for leaf in records.of_kind(log, "grant.issued"))
    wrong = [one.code for one in questions if voted[one.id] != one.needs or ended[one.id] != 1]
    expect(not wrong, f"approvals with other votes or ends than one each: {wrong[:10]}")
    expect(set(granted.values()) <= {1} and len(granted) == len(questions), "not one grant for each approval")
    return voted.total()


@contextmanager
def _crew(at: Installation, slack: StandIn) -> Iterator[None]:
    command = [sys.executable, "-m", "tests.hammers.clickers", str(at.folder / "assent.toml"), slack.api]
    with at.log.open("ab") as errors:
        crew = [subprocess.Popen(command, stderr=errors, cwd=broker.ROOT) for _ in range(PROCESSES)]
    try:
        yield
    finally:
        for process in crew:
            process.kill()
            process.wait()


async def _until(found: Any, what: str) -> Any:
    loop = asyncio.get_running_loop()
    end = loop.time() + PATIENCE_SECONDS
    while not (value := found()):
        expect(loop.time() < end, f"waited in vain for {what}")
        await asyncio.sleep(0.02)
    return value


def _needs(route: int) -> int:
    return 1 + route % 2


def _name(route: int, number: int) -> str:
    return f"p{route:02d}{'abcd'[number]}"


def _user(name: str) -> str:
    return f"U{name.upper()}"


def _everybody() -> list[str]:
    return [_name(route, number) for route in range(ROUTES) for number in range(PEOPLE_OF_A_ROUTE)]


def _write_policy(directory: Path) -> None:
    people = [
        f"{name}: {{groups: [g{name[1:3]}], may: [approver], slack: {{team: T0TOWN, user: {_user(name)}}}}}\n"
        for name in _everybody()
    ]
    routes = [
        f"r{route:02d}: {{needs: [{{any: {_needs(route)}, of: g{route:02d}}}], assurance: slack, expires_after: 1h,"
        f" pick_up_within: 1h, steps: [{{tell: [slack:C{route:03d}]}}]}}\n"
        for route in range(ROUTES)
    ]
    rules = [
        f"    - {{id: w{route}, tools: [notes.w{route}], environments: [production], effect: require_approval,"
        f" route: r{route:02d}}}\n"
        for route in range(ROUTES)
    ]
    files = {
        "operators.yaml": f"{policy.OWNER}: {{}}\n" + "".join(people),
        "routes.yaml": "default: {needs: [{any: 1, of: g00}]}\n" + "".join(routes),
        "agents.yaml": f"{policy.AGENT}: {{owner: {policy.OWNER}, roles: [hammerer], expires: 2099-01-01}}\n",
        "tools/notes.yaml": "".join(_TOOL.format(n=route) for route in range(ROUTES)),
        "roles/hammerer.yaml": (
            f"hammerer:\n  description: writes notes\n  owner: {policy.OWNER}\n  rules:\n" + "".join(rules)
        ),
    }
    for name, text in files.items():
        (directory / name).write_text(text)
