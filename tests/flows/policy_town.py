"""A town whose broker serves a directory of policy files: edit them, take them up, begin anew, ask."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from assent.core.actions import Action
from assent.core.canonical import Json, load
from assent.core.credentials import Kind
from assent.core.privileges import Activation
from assent.flows import authenticate, manage_principals
from assent.flows.activate_policy import TakenUp, take_up_policy
from assent.flows.active_policy import Activating, activate
from assent.flows.answers import Answered
from assent.flows.authenticate import AgentCaller, TokenCaller
from assent.flows.broker import Broker
from assent.flows.request_action import Ask, request_action
from assent.flows.run_broker import start_broker
from assent.policy.copies import Copies
from assent.policy.current import PolicyHolder
from assent.ports import Policy, Tx
from assent.stores.sqlite import SqliteLedger
from tests.flows.world import SetClock, a_world
from tests.policy.directory import NOW, SAMPLE, write
from tests.policy.edits import Edit

ADMIN = {**SAMPLE, "operators.yaml": SAMPLE["operators.yaml"] + "ada: {may: [security_admin]}\n"}
ATTEMPT = "a" * 22


class Town:
    """A broker that serves a directory of policy files; close it when the story is over."""

    def __init__(self, folder: Path, activation: Activation = Activation.AUTO) -> None:
        self.directory = write(folder / "policies", ADMIN)
        self.copies = Copies(folder / "copies")
        clock = SetClock()
        clock.now = NOW
        self.world = a_world(clock)
        self.holder = PolicyHolder(self.directory, lambda: NOW, self.copies)
        self.broker = self._broker(self.world.broker, activation)

    def _broker(self, made: Broker, activation: Activation) -> Broker:
        return replace(made, policy=lambda: self.holder.current, policies=self.holder, activation=activation)

    def restart(self) -> None:
        """Begin anew with what lies on disk."""
        self.holder = PolicyHolder(self.directory, lambda: NOW, self.copies)
        self.broker = self._broker(self.world.broker, self.broker.activation)

    async def start(self) -> TakenUp:
        return await start_broker(self.broker, version="1")

    async def close(self) -> None:
        ledger = self.world.ledger
        assert isinstance(ledger, SqliteLedger)
        await ledger.close()

    async def take_up(self, files: dict[str, str]) -> TakenUp:
        write(self.directory, files)
        return await take_up_policy(self.broker, self.holder.read_again())

    async def let_serve(self, found: Policy, *, times: int = 1) -> None:
        """Let a version be active and serve without looking at what waits, as if somebody else had taken it up."""

        async def work(tx: Tx) -> None:
            for _ in range(times):
                await activate(tx, Activating(version=found.version, previous=None, changes=None))

        await self.world.ledger.transact(work)
        self.holder.serve(found)

    async def operator(self, name: str = "ada") -> TokenCaller:
        issued = await manage_principals.issue_credential(self.broker, Kind.OPERATOR, name, issued_by="init")
        return await authenticate.operator(self.broker, issued.token, "api")

    async def agent(self, name: str = "bot") -> AgentCaller:
        issued = await manage_principals.issue_credential(self.broker, Kind.AGENT, name, issued_by="init")
        return await authenticate.agent(self.broker, issued.token)

    async def ask(self, bot: AgentCaller, *, attempt: str | None = None, **changes: Any) -> Answered:
        where: dict[str, Json] = {"cluster": "stg-1", "namespace": "payments", "deployment": "d", "replicas": 3}
        where |= changes
        return await request_action(self.broker, bot, Ask(tool="k8s.scale", arguments=where, attempt=attempt))

    async def state(self, asked: Answered) -> Action:
        async def look(view: Any) -> Action | None:
            found: Action | None = await view.get(Action, asked.action.id)
            return found

        found = await self.world.ledger.read(look)
        assert found is not None
        return found

    async def records(self, kind: str) -> list[dict[str, Any]]:
        leaves = [load(record.leaf) for record in await self.world.records(kind=kind)]
        return [leaf for leaf in leaves if isinstance(leaf, dict)]


def with_admin(edit: Edit) -> dict[str, str]:
    return {**ADMIN, edit.file: ADMIN[edit.file].replace(edit.old, edit.new, 1)}
