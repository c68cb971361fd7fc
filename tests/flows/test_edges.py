"""What hardly ever happens: rows that are gone, things that end twice, and the records of a broker's own life."""

from datetime import timedelta

import pytest

from assent.core.actions import Action, ActionEvent, ActionId
from assent.core.canonical import load
from assent.core.credentials import CredentialId, Kind
from assent.core.decisions import Answer, Decision
from assent.core.errors import NotFound
from assent.core.grants import GrantId, issue
from assent.core.reasons import Reason
from assent.flows import entries, manage_principals, recognised
from assent.flows.describe_agent import describe_agent
from assent.flows.end_action import end_without_running
from assent.flows.recognised import Recognised
from assent.flows.resolve_approval import show_approval
from assent.flows.run_action import redeem_as_agent
from assent.flows.run_broker import policy_turned_down, start_broker, stop_broker
from assent.flows.tick import tick
from assent.ports import Tx
from tests.core.samples import a_credential, an_action, an_approval
from tests.flows.world import World


async def store(world: World, *rows: object) -> None:
    async def work(tx: Tx) -> None:
        for row in rows:
            await tx.add(row)  # type: ignore[arg-type]  # a story hands in any row

    await world.ledger.transact(work)


async def test_an_approval_whose_action_is_gone_is_not_decided(world: World) -> None:
    await store(world, an_approval(action=ActionId("act_gone")))
    with pytest.raises(NotFound):
        await show_approval(world.broker, await world.operator("eve"), "K7Q-4MX")
    world.clock.forward(minutes=20)
    assert (await tick(world.broker)).moved == ()


async def test_a_grant_whose_action_is_gone_is_not_redeemed(world: World) -> None:
    bot = await world.agent()
    action = an_action(id=ActionId("act_gone"))
    grant = issue(action, new_id=GrantId("grt_1"), now=world.clock.now, expires_at=world.clock.now)
    await store(world, grant)
    with pytest.raises(NotFound):
        await redeem_as_agent(world.broker, bot, grant.id, attempt="a" * 22, digest=action.digest, arguments=None)


async def test_ending_an_action_leaves_an_approval_or_grant_that_ended_before_alone(world: World) -> None:
    pending = an_action()
    await store(world, pending)

    async def work(tx: Tx) -> Action:
        ended = await end_without_running(tx, pending, ActionEvent.CANCEL, Reason.of("cancelled"))
        assert ended.approval is None
        return ended.action

    assert (await world.ledger.transact(work)).state.value == "cancelled"


async def test_revoking_what_was_never_issued_is_not_found(world: World) -> None:
    with pytest.raises(NotFound):
        await manage_principals.revoke_credential(world.broker, CredentialId("none"), by="eve")


def test_a_full_memory_of_credentials_starts_anew() -> None:
    memory = Recognised()
    for number in range(recognised.MAX_REMEMBERED + 1):
        memory.remember(a_credential(id=CredentialId(str(number))))
    assert memory.get(CredentialId("0"), b"m" * 32) is None
    assert memory.get(CredentialId(str(recognised.MAX_REMEMBERED)), b"m" * 32) is not None


async def test_an_agent_hears_who_it_is(world: World) -> None:
    described = await describe_agent(world.broker, await world.agent())
    assert described.profile is not None
    assert (described.profile.owner, described.blocked, described.policy_version) == ("owner", None, "v1")
    stranger = await describe_agent(world.broker, await world.agent("stranger"))
    assert stranger.blocked is not None


@pytest.mark.requirement("P2")
async def test_a_brokers_own_life_is_on_record(world: World) -> None:
    await start_broker(world.broker, version="0.1.0")
    await start_broker(world.broker, version="0.1.0")
    await policy_turned_down(world.broker, findings=3)
    await stop_broker(world.broker, version="0.1.0")
    assert await world.kinds() == [
        "broker.started",
        "policy.activated",
        "broker.started",
        "policy.refused",
        "broker.stopped",
    ]


async def test_a_record_names_everything_public_that_was_asked(world: World) -> None:
    asked = an_action(
        run_id="r1", on_behalf_of=("operator:dana",), resource_is_public=True, reason="why", context=b'{"model":"m"}'
    )
    entry = entries.action_decided(asked, Decision(answer=Answer.ALLOW, reasons=()), None)
    assert entry.detail["resource"] == asked.resource
    assert entry.detail["on_behalf_of"] == ["operator:dana"]
    assert set(entry.payload) == {"arguments", "nonce", "reason", "context"}
    assert entry.payload["context"] == asked.context


@pytest.mark.requirement("P9")
async def test_a_resource_that_its_tool_does_not_call_public_is_only_committed_to(world: World) -> None:
    asked = an_action(resource_is_public=False)
    entry = entries.action_decided(asked, Decision(answer=Answer.ALLOW, reasons=()), None)
    assert asked.resource
    assert asked.resource not in str(dict(entry.detail))
    assert load(entry.payload["resource"]) == asked.resource


async def test_a_key_that_ends_says_so_on_record(world: World) -> None:
    issued = await manage_principals.issue_credential(
        world.broker, Kind.AGENT, "bot", issued_by="eve", valid_for=timedelta(days=1)
    )
    assert issued.credential.expires_at == world.clock.now + timedelta(days=1)
    (record,) = await world.records(kind="key.issued")
    leaf = load(record.leaf)
    assert isinstance(leaf, dict)
    assert "expires_at" in str(leaf["detail"])
