"""A town with a second broker beside the first: one ledger, another process, a policy directory of its own."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from assent.core.approvals import Approval
from assent.core.canonical import Json
from assent.core.decisions import Answer
from assent.core.privileges import Activation
from assent.flows.activate_policy import TakenUp
from assent.flows.answers import Answered
from assent.flows.authenticate import AgentCaller, OperatorCaller
from assent.flows.broker import Broker
from assent.flows.following import Following
from assent.flows.publish_policy import Offer, publish_policy
from assent.flows.recount import recount
from assent.flows.request_action import Ask, request_action
from assent.flows.run_broker import start_broker
from assent.policy.copies import Copies
from assent.policy.current import PolicyHolder
from assent.policy.trial import try_cases
from assent.stores.signals_local import LocalSignals
from tests.flows.policy_town import ADMIN, ATTEMPT, Town
from tests.policy.directory import NOW, write

COMMIT = "c0" * 20
CHANGE = "https://code.example/policies/7"
CASES = """\
- name: scaling payments asks
  agent: bot
  tool: k8s.scale
  arguments: {cluster: prod-eu, namespace: payments, deployment: d, replicas: 5}
  expect: {decision: pending, route: oncall, rules: [scale-prod]}
"""


class Replica:
    """Another broker of a town's ledger; what it keeps beside the ledger is its own."""

    def __init__(self, town: Town, folder: Path, files: dict[str, str] = ADMIN) -> None:
        self.town = town
        self.directory = write(folder / "policies", files)
        self.holder = PolicyHolder(self.directory, lambda: NOW, Copies(folder / "copies"))
        signals = LocalSignals(town.world.clock.steady)
        self.broker: Broker = replace(
            town.broker,
            policy=lambda: self.holder.current,
            policies=self.holder,
            following=Following(),
            signals=signals,
            is_shared=True,
        )

    async def start(self) -> TakenUp:
        taken = await start_broker(self.broker, version="1")
        await recount(self.broker)
        return taken

    async def ask(self, bot: AgentCaller, tool: str = "k8s.scale", **changes: Json) -> Answered:
        where: dict[str, Json] = {"cluster": "stg-1", "namespace": "payments", "deployment": "d", "replicas": 3}
        return await request_action(self.broker, bot, Ask(tool=tool, arguments=where | changes))


def offer_of(directory: Path, **changes: Any) -> Offer:
    """Return what publishes a directory: reviewed by somebody else, its tests as the command prints them."""
    write(directory, {"tests/deployer.yaml": CASES})
    holder = PolicyHolder(directory, lambda: NOW)
    found = holder.read_again()
    files = {
        str(path.relative_to(directory)): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()
    }
    release = files.pop("release.note", None)
    usual = Offer(
        files=files,
        release=release,
        commit=COMMIT,
        change_url=CHANGE,
        author="gus",
        reviewer="eve",
        tests=tests_of(holder, found.version),
    )
    return replace(usual, **changes)


def tests_of(holder: PolicyHolder, version: str) -> str:
    """Return what the command would print of what a directory holds, under the name of `version`."""
    trial = try_cases(holder.read_again(), NOW)
    cases = [{"name": one.case.name, "differs": list(one.differs)} for one in trial.tried]
    unreached = [{"id": rule.id} for rule in trial.unreached]
    told = {
        "version": version,
        "cases": cases,
        "failed": len(trial.failed),
        "rules": trial.rules,
        "unreached": unreached,
    }
    return json.dumps(told)


async def published(where: Broker, by: OperatorCaller, directory: Path, **changes: Any) -> TakenUp:
    return await publish_policy(where, by, offer_of(directory, **changes))


__all__ = ["ADMIN", "ATTEMPT", "Activation", "Answer", "Approval", "Replica", "Town", "offer_of", "published"]
