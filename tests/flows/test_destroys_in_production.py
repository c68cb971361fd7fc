"""What destroys in production is answered at the console, where the route leaves it open and enough can be there."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

import pytest

from assent.core.actions import Impact, Proposal
from assent.core.agents import AgentId
from assent.core.approvals import ApprovalState, Need, Route
from assent.core.decisions import Answer, Effect, Verdict, destroys_in_production
from assent.core.operators import Assurance
from assent.flows import resolve_approval
from assent.flows.answers import Answered
from assent.flows.resolve_approval import Resolved
from assent.flows.run_action import redeem_as_agent
from assent.flows.watch_actions import watch_action
from tests.flows.world import Tool, TownPolicy, World, a_world

LEFT_OPEN = Route(name="default", needs=(Need(count=1, of="oncall"),), assurance_left_open=True)
ASKED = Tool(impact=Impact.DESTRUCTIVE, effect=Effect.REQUIRE_APPROVAL)


def town(route: Route = LEFT_OPEN, tool: Tool = ASKED) -> TownPolicy:
    return TownPolicy(tools={"db.drop": tool}, routes={"default": route})


@dataclass(frozen=True, kw_only=True)
class AskedEverywhere(TownPolicy):
    """A policy that asks a human in every environment."""

    def verdict(self, proposal: Proposal, agent: AgentId, on_behalf_of: Sequence[str]) -> Verdict:
        verdict = super().verdict(proposal, agent, on_behalf_of)
        return replace(verdict, effect=self.tools[proposal.tool].effect)


def asked_everywhere(route: Route = LEFT_OPEN) -> AskedEverywhere:
    return AskedEverywhere(tools={"db.drop": ASKED}, routes={"default": route})


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = a_world(policy=town())
    made.broker = replace(made.broker, at_console=frozenset({"sam"}))
    yield made
    await made.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has


async def asked(world: World, environment: str = "production") -> Answered:
    arguments = {"env": environment, "path": "a"}
    return await world.ask(await world.agent(issued_by="assent init"), "db.drop", arguments=arguments)


async def yes(world: World, name: str, assurance: Assurance, waiting: Answered) -> Resolved:
    caller = replace(await world.operator(name, issued_by="assent init"), assurance=assurance)
    assert waiting.approval is not None
    return await resolve_approval.approve_action(
        world.broker, caller, waiting.approval.code, digest_prefix=waiting.action.digest
    )


def least(waiting: Answered) -> list[Assurance]:
    assert waiting.approval is not None
    return [route.assurance for route in waiting.approval.routes]


@pytest.mark.requirement("T26")
async def test_a_click_in_slack_does_not_destroy_in_production(world: World) -> None:
    waiting = await asked(world)
    assert least(waiting) == [Assurance.CONSOLE]
    refused = await yes(world, "eve", Assurance.LINKED, waiting)
    assert refused.refused is not None
    assert (refused.refused.code, refused.approval.state) == ("step_up_required", ApprovalState.PENDING)
    assert (await yes(world, "sam", Assurance.CONSOLE, waiting)).approval.state is ApprovalState.APPROVED


@pytest.mark.requirement("T26")
async def test_the_record_of_the_question_says_what_was_asked_for(world: World) -> None:
    await asked(world)
    leaves = [record.leaf.decode() for record in await world.records()]
    (question,) = [leaf for leaf in leaves if "approval.asked" in leaf]
    assert '"assurance":["console"]' in question


@pytest.mark.parametrize("impact", [Impact.WRITE, Impact.READ])
async def test_what_destroys_nothing_is_answered_in_slack(world: World, impact: Impact) -> None:
    world.policy = town(tool=replace(ASKED, impact=impact))
    assert least(await asked(world)) == [Assurance.SLACK]


async def test_a_route_that_says_slack_is_taken_at_its_word(world: World) -> None:
    world.policy = town(replace(LEFT_OPEN, assurance_left_open=False))
    waiting = await asked(world)
    assert (await yes(world, "eve", Assurance.SLACK, waiting)).approval.state is ApprovalState.APPROVED


@pytest.mark.parametrize("there", [frozenset[str](), frozenset({"owner"}), frozenset({"admin"})])
async def test_where_nobody_who_may_answer_can_be_at_the_console_slack_is_enough(
    world: World, there: frozenset[str]
) -> None:
    world.broker = replace(world.broker, at_console=there)
    waiting = await asked(world)
    assert (await yes(world, "eve", Assurance.SLACK, waiting)).approval.state is ApprovalState.APPROVED


@pytest.mark.requirement("P5", "T4", "T26")
async def test_an_agent_does_not_choose_to_be_answered_in_slack_by_naming_who_can_be_at_the_console(
    world: World,
) -> None:
    bot = await world.agent(issued_by="assent init")
    drop = {"env": "production", "path": "a"}
    answered = await world.ask(bot, "db.drop", arguments=drop, on_behalf_of=("operator:sam",))
    assert (answered.decision.answer, answered.approval) == (Answer.DENY, None)
    (reason,) = answered.decision.reasons
    assert (reason.code, "without the driver" in reason.message) == ("no_eligible_approver", True)
    # Somebody else who can be there answers there.
    world.broker = replace(world.broker, at_console=frozenset({"sam", "eve"}))
    assert least(await world.ask(bot, "db.drop", arguments=drop, on_behalf_of=("operator:sam",))) == [Assurance.CONSOLE]


async def test_where_two_are_needed_and_one_can_be_there_the_other_answers_in_slack(world: World) -> None:
    world.policy = town(replace(LEFT_OPEN, needs=(Need(count=2, of="oncall"),)))
    waiting = await asked(world)
    assert least(waiting) == [Assurance.SLACK]
    await yes(world, "eve", Assurance.SLACK, waiting)
    assert (await yes(world, "sam", Assurance.CONSOLE, waiting)).approval.state is ApprovalState.APPROVED


# --- judged again -----------------------------------------------------------------------------------------------------


async def test_a_yes_holds_when_nobody_can_be_at_the_console_any_more(world: World) -> None:
    waiting = await asked(world)
    world.broker = replace(world.broker, at_console=frozenset())
    assert (await yes(world, "sam", Assurance.CONSOLE, waiting)).approval.state is ApprovalState.APPROVED


async def test_a_question_stays_as_it_was_put(world: World) -> None:
    waiting = await asked(world)
    world.broker = replace(world.broker, at_console=frozenset())
    refused = (await yes(world, "eve", Assurance.LINKED, waiting)).refused
    assert refused is not None
    assert refused.code == "step_up_required"


@pytest.mark.requirement("P5", "T23", "T26")
async def test_a_route_that_no_longer_says_slack_reaches_the_open_question(world: World) -> None:
    world.policy = town(replace(LEFT_OPEN, assurance_left_open=False))
    waiting = await asked(world)
    world.policy = town()
    voted = await yes(world, "eve", Assurance.SLACK, waiting)
    assert voted.refused is not None
    assert (voted.refused.code, voted.approval.state) == ("definition_changed", ApprovalState.CANCELLED)


@pytest.mark.requirement("P5", "T23", "T26")
async def test_a_place_that_became_production_reaches_the_open_question(world: World) -> None:
    world.policy = asked_everywhere()
    waiting = await asked(world, "staging")
    assert least(waiting) == [Assurance.SLACK]
    world.policy = replace(world.policy, nonproduction=frozenset())
    voted = await yes(world, "eve", Assurance.SLACK, waiting)
    assert voted.refused is not None
    assert (voted.refused.code, voted.approval.state) == ("definition_changed", ApprovalState.CANCELLED)


@pytest.mark.requirement("P5", "T23", "T26")
async def test_a_place_that_became_production_reaches_the_grant_too(world: World) -> None:
    world.policy = asked_everywhere()
    bot = await world.agent(issued_by="assent init")
    waiting = await world.ask(bot, "db.drop", arguments={"env": "staging", "path": "a"})
    assert (await yes(world, "eve", Assurance.SLACK, waiting)).approval.state is ApprovalState.APPROVED
    grant = (await watch_action(world.broker, bot, waiting.action.id)).grant
    assert grant is not None
    world.policy = replace(world.policy, nonproduction=frozenset())
    redeemed = await redeem_as_agent(world.broker, bot, grant.id, attempt="a" * 22, digest=grant.digest, arguments=None)
    assert redeemed.refused is not None
    assert redeemed.refused.code == "definition_changed"


async def test_a_route_that_says_slack_holds_in_a_place_that_became_production(world: World) -> None:
    world.policy = asked_everywhere(replace(LEFT_OPEN, assurance_left_open=False))
    waiting = await asked(world, "staging")
    world.policy = replace(world.policy, nonproduction=frozenset())
    assert (await yes(world, "eve", Assurance.SLACK, waiting)).approval.state is ApprovalState.APPROVED


@pytest.mark.requirement("T26")
@pytest.mark.parametrize(
    ("impact", "nonproduction", "destroys"),
    [(Impact.DESTRUCTIVE, False, True), (Impact.DESTRUCTIVE, True, False), (Impact.WRITE, False, False)],
)
def test_only_what_is_destructive_outside_of_nonproduction_destroys(
    impact: Impact, nonproduction: bool, destroys: bool
) -> None:
    proposal = TownPolicy().propose("files.write", {"env": "production"})
    assert isinstance(proposal, Proposal)
    assert destroys_in_production(replace(proposal, impact=impact, nonproduction=nonproduction)) is destroys
