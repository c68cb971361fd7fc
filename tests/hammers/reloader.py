"""One Python that decides while its policy is reloaded: `python -m tests.hammers.reloader`, with a plan as JSON.

Decisions are made where the product makes them: on the event loop, on the ledger's thread, and as whole asks. Reloads
go the product's way too: the watch reads the directory on another thread, records the version, and swaps it in.
"""

import asyncio
import json
import random
import secrets
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from assent.config import load_settings
from assent.core.actions import Action
from assent.core.decisions import Answer
from assent.core.errors import LedgerUnavailable
from assent.flows import authenticate
from assent.flows.answers import Answered
from assent.flows.authenticate import AgentCaller
from assent.flows.judge_again import judge_again
from assent.flows.request_action import Ask, request_action
from assent.policy import load
from assent.ports import Tx
from assent.serving.upkeep import PolicyWatch
from assent.wiring import Assembly, assemble
from assent.wiring.assembly import now
from tests.hammers import versions
from tests.hammers.versions import COUNT, QUESTIONS, Decided, decided

AT_ONCE: Final = 100
# One lock for all threads of an interpreter: without a breath nobody else would come to anything.
BREATH_SECONDS: Final = 0.002
JUDGED_AT_ONCE: Final = 50
JUDGED_AGAIN: Final = 2
ASKERS: Final = 8
REFUSED_EACH: Final = 5
MAX_KEPT: Final = 3
MAX_CHARACTERS: Final = 600
EFFECTS: Final = {Answer.ALLOW: "allow", Answer.PENDING: "require_approval", Answer.DENY: "deny"}

Right = dict[str, tuple[Decided, ...]]


@dataclass(slots=True)
class Found:
    """What was counted; `wrong` describes the first decisions that are of no whole version.

    Two threads count, each what is its own.
    """

    decisions: Counter[str] = field(default_factory=Counter)
    decided_by: set[str] = field(default_factory=set)
    reloads: int = 0
    refused: int = 0
    too_slow: int = 0
    wrong: list[str] = field(default_factory=list)

    def count(self, where: str, version: str, *, right: bool, seen: object) -> None:
        """Count one decision."""
        self.decisions[where] += 1
        self.decided_by.add(version)
        if not right and len(self.wrong) < MAX_KEPT:
            self.wrong.append(f"{where}: {seen}"[:MAX_CHARACTERS])


class Reloader:
    """Decides and reloads until both were done often enough, or for so many seconds."""

    def __init__(self, assembly: Assembly, plan: dict[str, Any], right: Right) -> None:
        self._assembly = assembly
        self._broker = assembly.broker
        self._directory = assembly.settings.policy_directory
        self._plan = plan
        self._right = right
        self._rng = random.Random(plan["seed"])
        self._began = time.monotonic()
        self.found = Found()

    def _goes_on(self) -> bool:
        found = self.found
        if self._plan["seconds"] is not None:
            is_time = time.monotonic() - self._began < float(self._plan["seconds"])
            return is_time or found.reloads < int(self._plan["reloads"])
        return found.decisions.total() < int(self._plan["decisions"]) or found.reloads < int(self._plan["reloads"])

    async def run(self, key: str) -> None:
        """Let everybody go at once."""
        caller = await authenticate.agent(self._broker, key)
        askers = [self._ask(caller) for _ in range(ASKERS)]
        held = (await self._asked(caller, *QUESTIONS[JUDGED_AGAIN])).action
        await asyncio.gather(self._reload(), self._decide(), self._judge_again(held), *askers)

    async def _reload(self) -> None:
        """Write another version, or one that must be refused, and let the watch find it."""
        holder = self._assembly.policies
        watch = PolicyWatch(self._broker, holder, self._directory, look_each_seconds=None)
        serving = COUNT - 1
        while self._goes_on():
            before, refuses = holder.current, self._rng.randrange(REFUSED_EACH) == 0
            number = (serving + self._rng.randrange(1, COUNT)) % COUNT
            write = versions.write_refused if refuses else versions.write
            await asyncio.to_thread(write, self._directory, number)
            if not await self._taken_up(watch):
                continue
            self.found.refused += refuses
            self.found.reloads += not refuses
            serving = serving if refuses else number
            if (holder.current is before) is not refuses:
                self.found.wrong.append(f"version {number} was {'taken up' if refuses else 'not taken up'}")

    async def _taken_up(self, watch: PolicyWatch) -> bool:
        """Let the watch look; whether the ledger was quick enough to record what it found."""
        watch.ask()
        try:
            await watch.look()
        except LedgerUnavailable:
            self.found.too_slow += 1
            return False
        return True

    async def _decide(self) -> None:
        """Decide on the event loop, where asks are judged."""
        while self._goes_on():
            for _ in range(AT_ONCE):
                self._decide_once("on the event loop")
            await asyncio.sleep(BREATH_SECONDS)

    def _decide_once(self, where: str) -> None:
        current = self._broker.policy()
        place = self._rng.randrange(len(QUESTIONS))
        seen = decided(current, *QUESTIONS[place])  # type: ignore[arg-type]  # the broker's policy is a loaded one
        right = seen == self._right[seen.version][place] and seen.version == current.version
        self.found.count(where, seen.version, right=right, seen=seen)

    async def _judge_again(self, held: Action) -> None:
        """Judge again on the ledger's thread, where votes and redemptions are judged."""

        async def work(_tx: Tx) -> None:
            for _ in range(JUDGED_AT_ONCE):
                self._judge_once(held)

        while self._goes_on():
            try:
                await self._broker.ledger.transact(work)
            except LedgerUnavailable:
                self.found.too_slow += 1

    def _judge_once(self, held: Action) -> None:
        policy = self._broker.policy()
        judged = judge_again(policy, held)
        right = self._right[policy.version][JUDGED_AGAIN]
        definition = "" if judged.proposal is None else judged.proposal.definition
        seen = (definition, judged.verdict.effect.value, judged.verdict.rules, judged.routes)
        same = seen == (right.definition, right.effect, right.rules, right.routes)
        self.found.count("on the ledger's thread", policy.version, right=same, seen=judged)

    async def _ask(self, caller: AgentCaller) -> None:
        """Ask as agents do, and look at the answer that would leave."""
        while self._goes_on():
            place = self._rng.choice((0, 1, 3, 4))
            try:
                answered = await self._asked(caller, *QUESTIONS[place])
            except LedgerUnavailable:
                self.found.too_slow += 1
                continue
            action = answered.action
            right = self._right[action.policy_version][place]
            seen = (action.definition, EFFECTS[answered.decision.answer], action.rules, answered.decision.rules)
            same = seen == (right.definition, right.effect, right.rules, right.rules)
            self.found.count("as whole asks", action.policy_version, right=same, seen=answered)

    async def _asked(self, caller: AgentCaller, tool: str, arguments: dict[str, Any]) -> Answered:
        return await request_action(
            self._broker, caller, Ask(tool=tool, arguments=arguments, attempt=secrets.token_urlsafe(24))
        )


def expected(directory: Path) -> Right:
    """Return what each version says, loaded alone and judged by nobody else."""
    right: Right = {}
    for number in range(COUNT):
        versions.write(directory, number)
        alone = load(directory, now)
        right[alone.version] = tuple(decided(alone, *question) for question in QUESTIONS)
    return right


def main() -> None:
    """Do what the plan says and print what was found."""
    plan = json.load(sys.stdin)
    settings = load_settings(Path(plan["settings"]))
    right = expected(settings.policy_directory)
    assembly = assemble(settings, issuer="http://127.0.0.1")
    reloader = Reloader(assembly, plan, right)

    async def run() -> None:
        try:
            await reloader.run(plan["key"])
        finally:
            await assembly.ledger.close()

    asyncio.run(run())
    found = reloader.found
    told = {
        "python": sys.version.split()[0],
        "decisions": found.decisions,
        "versions": len(found.decided_by),
        "reloads": found.reloads,
        "refused": found.refused,
        "too_slow": found.too_slow,
        "wrong": found.wrong,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
