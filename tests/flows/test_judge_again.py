"""What changed since the yes reaches what is open: routes, exceptions, environments, and rows that were put back."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from assent.core.actions import Action, ActionState, Impact
from assent.core.approvals import ApprovalState, Need, Route
from assent.core.decisions import Answer, Effect
from assent.core.errors import Forged
from assent.core.grants import Grant
from assent.core.operators import Assurance
from assent.flows.authenticate import AgentCaller
from assent.flows.resolve_approval import Resolved, approve_action, list_approvals
from assent.flows.run_action import Redemption, redeem_as_agent
from assent.flows.watch_actions import watch_action
from assent.stores.sqlite import SqliteLedger
from tests.flows.world import KEYS, CountedIds, SetClock, Tool, TownPolicy, World

ME, OTHER = "a" * 22, "b" * 22
STAGING = {"env": "staging", "path": "a"}


async def redeem(world: World, bot: AgentCaller, grant: Grant | None, attempt: str = ME) -> Redemption:
    assert grant is not None
    return await redeem_as_agent(world.broker, bot, grant.id, attempt=attempt, digest=grant.digest, arguments=None)


async def yes(world: World, name: str, action: Action) -> Resolved:
    caller = await world.operator(name)
    return await approve_action(world.broker, caller, await code_of(world, action), digest_prefix=action.digest)


async def code_of(world: World, action: Action) -> str:
    approval = await world.ledger.read(lambda view: view.approval_of(action.id))
    assert approval is not None
    return approval.code


def ask_two_people(world: World) -> None:
    needs = (Need(count=2, of="oncall"),)
    route = Route(name="default", needs=needs, assurance=Assurance.TOKEN)
    world.policy = replace(world.policy, routes={"default": route})


@pytest.mark.requirement("P5")
async def test_a_hoarded_routine_grant_dies_when_a_human_would_be_asked(world: World) -> None:
    bot = await world.agent()
    hoarded = await world.ask(bot, arguments=STAGING, attempt=None)
    assert hoarded.decision.answer is Answer.ALLOW
    world.policy = replace(world.policy, nonproduction=frozenset())
    assert (await world.ask(bot, arguments=STAGING)).decision.answer is Answer.PENDING
    refused = (await redeem(world, bot, hoarded.grant)).refused
    assert refused is not None
    assert refused.code == "rule_denied"


@pytest.mark.requirement("P5", "T23")
async def test_a_route_that_was_tightened_reaches_the_open_question(world: World) -> None:
    asked = await world.ask(await world.agent())
    ask_two_people(world)
    voted = await yes(world, "eve", asked.action)
    assert voted.refused is not None
    assert voted.refused.code == "definition_changed"
    assert voted.approval.state is ApprovalState.CANCELLED
    assert voted.action.state is ActionState.CANCELLED


@pytest.mark.requirement("P5", "T23")
async def test_a_route_that_was_tightened_reaches_the_grant_too(world: World) -> None:
    bot = await world.agent()
    asked = await world.ask(bot)
    await yes(world, "eve", asked.action)
    grant = (await watch_action(world.broker, bot, asked.action.id)).grant
    ask_two_people(world)
    refused = (await redeem(world, bot, grant)).refused
    assert refused is not None
    assert refused.code == "definition_changed"


async def test_a_policy_that_no_longer_asks_leaves_a_yes_worth_something(world: World) -> None:
    bot = await world.agent()
    asked = await world.ask(bot, "files.read", arguments={"env": "production"})
    assert asked.decision.answer is Answer.ALLOW
    careful = {**world.policy.tools, "files.read": Tool(impact=Impact.READ)}
    relaxed = world.policy
    world.policy = replace(world.policy, tools=careful)
    pending = await world.ask(bot, "files.read", arguments={"env": "production"})
    await yes(world, "eve", pending.action)
    grant = (await watch_action(world.broker, bot, pending.action.id)).grant
    world.policy = relaxed
    assert (await redeem(world, bot, grant)).refused is None


@pytest.mark.requirement("P4", "T24")
async def test_rows_put_back_to_before_the_redemption_redeem_nothing(tmp_path: Path) -> None:
    path, clock, ids = tmp_path / "ledger.sqlite", SetClock(), CountedIds()
    ledger = SqliteLedger.open(path, KEYS, clock=clock, new_id=ids, unsafe_not_durable="a short story")
    world = World(ledger, clock, TownPolicy(), ids)
    bot = await world.agent()
    asked = await world.ask(bot)
    await yes(world, "eve", asked.action)
    grant = (await watch_action(world.broker, bot, asked.action.id)).grant
    with closing(sqlite3.connect(path, isolation_level=None)) as stranger:
        kept = {table: stranger.execute(f"SELECT * FROM {table}").fetchall() for table in ("action", '"grant"')}
    assert (await redeem(world, bot, grant)).refused is None
    with closing(sqlite3.connect(path, isolation_level=None)) as stranger:
        for table, rows in kept.items():
            stranger.execute(f"DELETE FROM {table}")
            stranger.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(rows[0]))})", rows)
    with pytest.raises(Forged):
        await redeem(world, bot, grant, OTHER)
    await ledger.close()


@pytest.mark.requirement("T14")
async def test_of_large_arguments_that_the_catalogue_refused_only_their_name_is_kept(world: World) -> None:
    huge = {"path": "x" * 100_000}
    asked = await world.ask(await world.agent(), arguments=huge)
    assert asked.decision.answer is Answer.DENY
    assert len(asked.action.arguments) < 200


@pytest.mark.requirement("T14")
async def test_an_agent_cannot_hoard_grants_without_end(world: World) -> None:
    bot = await world.agent()
    world.broker = replace(world.broker, limits=replace(world.broker.limits, ready_per_agent=3))
    answers = [(await world.ask(bot, "files.read", attempt=None)).decision.answer for _ in range(4)]
    assert answers == [Answer.ALLOW] * 3 + [Answer.DENY]
    assert (await world.ask(bot, "files.read")).decision.answer is Answer.ALLOW


@pytest.mark.requirement("P6", "T19")
async def test_a_damaged_action_leaves_the_other_questions_on_the_list(tmp_path: Path) -> None:
    path, clock, ids = tmp_path / "ledger.sqlite", SetClock(), CountedIds()
    ledger = SqliteLedger.open(path, KEYS, clock=clock, new_id=ids, unsafe_not_durable="a short story")
    world = World(ledger, clock, TownPolicy(), ids)
    bot, eve = await world.agent(), await world.operator("eve")
    damaged, sound = await world.ask(bot), await world.ask(bot)
    with closing(sqlite3.connect(path, isolation_level=None)) as stranger:
        stranger.execute("UPDATE action SET mac = x'00' WHERE id = ?", (damaged.action.id,))
    listed = (await list_approvals(world.broker, eve, (ApprovalState.PENDING,))).items
    assert [seen.action.id for seen in listed] == [sound.action.id]
    await ledger.close()


@pytest.mark.requirement("P5", "T23")
@pytest.mark.parametrize(
    ("tool", "code"),
    [
        (Tool(effect=Effect.DENY), "rule_denied"),
        (Tool(definition="2"), "definition_changed"),
        (Tool(impact=Impact.DESTRUCTIVE, definition="2", effect=Effect.DENY), "definition_changed"),
        (None, "definition_changed"),
    ],
)
async def test_a_yes_to_what_policy_would_not_ask_any_more_is_refused_and_ends_it(
    world: World, tool: Tool | None, code: str
) -> None:
    asked = await world.ask(await world.agent())
    others = {name: known for name, known in world.policy.tools.items() if name != "files.write"}
    world.policy = replace(world.policy, tools=others if tool is None else {**others, "files.write": tool})
    voted = await yes(world, "eve", asked.action)
    assert voted.refused is not None
    assert (voted.refused.code, voted.action.state) == (code, ActionState.CANCELLED)
    assert voted.approval.votes == ()
