"""A world whose people have phones: what stories about passkeys have in common."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from assent.core.approvals import Approval, Need, Route
from assent.core.canonical import load
from assent.core.credentials import Kind
from assent.core.operators import Assurance
from assent.core.passkeys import Passkey
from assent.core.reasons import Reason
from assent.flows.add_passkey import Step, add_passkey, ask_to_add, vouch
from assent.flows.answers import Answered
from assent.flows.authenticate import SessionCaller
from assent.flows.resolve_approval import Resolved, approve_action
from assent.flows.sign_vote import ask_to_vote
from assent.wiring.passkeys import CheckedHere
from tests.authenticator import ORIGIN, SITE, Authenticator
from tests.flows.test_show_whole import asked_for, at_console, read
from tests.flows.world import World


@dataclass(slots=True, kw_only=True)
class Person:
    """Somebody at the console, with their phone."""

    world: World
    caller: SessionCaller
    phone: Authenticator

    async def ask(self, asked: Answered) -> Mapping[str, Any]:
        """Return what the page has signed for a yes; there must be something."""
        assert asked.approval is not None
        options = await ask_to_vote(
            self.world.broker, self.caller, asked.approval.id, digest_prefix=asked.approval.digest[:16]
        )
        assert not isinstance(options, Reason), options
        return options

    async def yes(self, asked: Answered, passkey: str) -> Resolved:
        """Say yes with what the passkey answered."""
        assert asked.approval is not None
        return await approve_action(
            self.world.broker,
            self.caller,
            asked.approval.id,
            digest_prefix=asked.approval.digest[:16],
            passkey=passkey,
        )

    async def begin(self) -> Step:
        step = await ask_to_add(self.world.broker, self.caller)
        assert isinstance(step, Step), step
        return step

    async def add(self, name: str = "phone") -> Passkey:
        """Add a passkey, with the ones that are there if there are any."""
        step = await self.begin()
        if not step.makes:
            vouched = await vouch(self.world.broker, self.caller, self.phone.sign(step.options))
            assert isinstance(vouched, Step), vouched
            step = vouched
        added = await add_passkey(self.world.broker, self.caller, self.phone.make(step.options), name=name)
        assert isinstance(added, Passkey), added
        return added


def take_passkeys(world: World, assurance: Assurance = Assurance.STEP_UP) -> None:
    """Let the broker take passkeys, and the one route ask for them."""
    world.broker = replace(world.broker, passkeys=CheckedHere(SITE, ORIGIN), at_console=frozenset({"eve", "sam"}))
    route = Route(name="default", needs=(Need(count=1, of="oncall"),), assurance=assurance)
    world.policy = replace(world.policy, routes={"default": route})


async def person(world: World, name: str = "eve", kind: Kind = Kind.LINK) -> Person:
    caller = await at_console(world, name, kind)
    return Person(world=world, caller=caller, phone=Authenticator(name=f"{name}'s phone"))


async def with_passkey(world: World, name: str = "eve") -> Person:
    made = await person(world, name)
    await made.add()
    return made


async def question_read_by(who: Person, tool: str = "files.write") -> Answered:
    """Ask, and let them read to the last line."""
    asked = await asked_for(who.world, tool)
    assert await read(who.world, who.caller, asked) is None
    return asked


async def approval_of(world: World, asked: Answered) -> Approval:
    found = await world.ledger.read(lambda view: view.approval_of(asked.action.id))
    assert found is not None
    return found


async def details(world: World, kind: str) -> list[dict[str, Any]]:
    """Return the details of all records of a kind, oldest first."""
    return [cast("Any", load(one.leaf))["detail"] for one in await world.records(kind=kind)]
