"""Keys and tokens: issued by who may, to whom the policy names, worth no more than the issuer; revoked at once."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from assent.core.actions import ActionState
from assent.core.canonical import load
from assent.core.credentials import MAX_LIVE_PER_PRINCIPAL, CredentialId, Kind
from assent.core.errors import BadRequest, Forbidden, IllegalMove, NotFound, Unauthenticated
from assent.core.operators import PERMISSION_SETS, Operator, OperatorId, Permission
from assent.flows import authenticate
from assent.flows.authenticate import AgentCaller, OperatorCaller
from assent.flows.issue_credentials import (
    issue_agent_key,
    issue_operator_token,
    issue_service_key,
    revoke,
)
from assent.flows.manage_principals import issue_credential
from assent.flows.read_principals import show_operator
from assent.flows.resolve_approval import approve_action
from assent.flows.run_action import redeem_as_agent
from assent.flows.watch_actions import watch_action
from tests.flows.world import TownPolicy, World, a_world

CLERK = Operator(id=OperatorId("clerk"), permissions=frozenset({Permission.OPERATORS_MANAGE}))
AUDITOR = Operator(id=OperatorId("aud"), permissions=PERMISSION_SETS["auditor"])


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = a_world(policy=TownPolicy(people=(*TownPolicy().people, CLERK, AUDITOR)))
    yield made
    await made.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has


async def leaf(world: World, kind: str) -> dict[str, object]:
    found = load((await world.records(kind=kind))[-1].leaf)
    assert isinstance(found, dict)
    return dict(found)


class TestAgentKeys:
    async def test_a_key_works_at_once_and_says_who_issued_it(self, world: World) -> None:
        sam = await world.operator("sam")
        made = await issue_agent_key(world.broker, sam, "bot", valid_for=timedelta(days=30))
        caller = await authenticate.agent(world.broker, made.issued.token)
        assert caller.agent == "bot"
        assert made.issued.credential.expires_at == world.clock.now + timedelta(days=30)
        told = await leaf(world, "key.issued")
        assert (told["operator"], told["agent"]) == ("sam", "bot")
        assert told["detail"] == {
            "credential": caller.key,
            "credential_kind": "agent",
            "expires_at": "2026-12-23T10:00:00.000000Z",
            "for": "bot",
            "using": sam.token.id,
        }

    @pytest.mark.requirement("P9")
    async def test_no_record_holds_the_secret_or_what_it_is_compared_with(self, world: World) -> None:
        made = await issue_agent_key(world.broker, await world.operator("sam"), "bot")
        secret = made.issued.token.rpartition("_")[2].encode()
        leaves = b"".join(record.leaf for record in await world.records())
        assert made.issued.credential.id.encode() in leaves
        assert secret not in leaves
        assert made.issued.credential.secret_mac.hex().encode() not in leaves

    @pytest.mark.requirement("P5", "T4")
    async def test_who_issued_the_key_may_not_approve_what_is_asked_with_it(self, world: World) -> None:
        made = await issue_agent_key(world.broker, await world.operator("sam"), "bot")
        assert made.approvers == ("admin", "eve")
        bot = await authenticate.agent(world.broker, made.issued.token)
        asked = await world.ask(bot)
        assert asked.approval is not None
        refused = await yes(world, "sam", asked.approval.code, asked.action.digest)
        assert refused is not None
        assert "you issued the agent's key" in refused
        assert await yes(world, "eve", asked.approval.code, asked.action.digest) is None

    async def test_an_agent_that_the_policy_does_not_name_gets_none(self, world: World) -> None:
        with pytest.raises(NotFound, match="names no agent `bott`"):
            await issue_agent_key(world.broker, await world.operator("sam"), "bott")
        assert "key.issued" not in await world.kinds()

    @pytest.mark.requirement("T14")
    async def test_nobody_holds_more_than_can_be_overseen(self, world: World) -> None:
        sam = await world.operator("sam")
        last = await issue_agent_key(world.broker, sam, "bot", valid_for=timedelta(days=1))
        for _ in range(MAX_LIVE_PER_PRINCIPAL - 1):
            await issue_agent_key(world.broker, sam, "bot", valid_for=timedelta(days=1))
        with pytest.raises(IllegalMove, match="20 live credentials"):
            await issue_agent_key(world.broker, sam, "bot")
        await issue_agent_key(world.broker, sam, "other")
        await revoke(world.broker, sam, Kind.AGENT, "bot", last.issued.credential.id)
        await issue_agent_key(world.broker, sam, "bot")
        world.clock.forward(days=2)
        await issue_agent_key(world.broker, sam, "bot")


class TestServiceKeys:
    async def test_a_services_key_is_for_the_tools_that_were_named(self, world: World) -> None:
        sam = await world.operator("sam")
        made = await issue_service_key(world.broker, sam, "db", tools=("db.*", "files.read"))
        caller = await authenticate.service(world.broker, made.token)
        assert (caller.service, caller.tools) == ("db", ("db.*", "files.read"))
        told = await leaf(world, "key.issued")
        assert (told.get("agent"), told["operator"]) == (None, "sam")

    @pytest.mark.parametrize("tools", [(), ("",), ("db..run",), ("db.**x",)])
    async def test_a_pattern_that_could_match_nothing_is_refused(self, world: World, tools: tuple[str, ...]) -> None:
        with pytest.raises(BadRequest):
            await issue_service_key(world.broker, await world.operator("sam"), "db", tools=tools)

    @pytest.mark.parametrize("name", ["", "-", "a b", "a/b", "x" * 101])
    async def test_a_service_has_a_name_that_everybody_can_type(self, world: World, name: str) -> None:
        with pytest.raises(BadRequest, match="no name of a service"):
            await issue_service_key(world.broker, await world.operator("sam"), name, tools=("db.*",))


class TestOperatorTokens:
    async def test_a_second_person_gets_a_token_that_ends_after_ninety_days(self, world: World) -> None:
        made = await issue_operator_token(world.broker, await world.operator("admin"), "eve")
        eve = await authenticate.operator(world.broker, made.token, "api")
        assert eve.operator.id == "eve"
        assert eve.token.expires_at == world.clock.now + timedelta(days=90)
        world.clock.forward(days=90)
        with pytest.raises(Unauthenticated, match="90 days at most"):
            await show_operator(world.broker, eve, eve.operator.id)

    async def test_a_token_never_lives_longer_than_ninety_days(self, world: World) -> None:
        admin = await world.operator("admin")
        made = await issue_operator_token(world.broker, admin, "eve", valid_for=timedelta(days=400))
        short = await issue_operator_token(world.broker, admin, "eve", valid_for=timedelta(days=1))
        ends = [one.credential.expires_at for one in (made, short)]
        assert ends == [world.clock.now + timedelta(days=90), world.clock.now + timedelta(days=1)]

    @pytest.mark.requirement("T22")
    async def test_nobody_issues_a_token_that_may_more_than_they_may(self, world: World) -> None:
        clerk = await world.operator("clerk")
        with pytest.raises(Forbidden, match=r"`agents.manage`, `approvals.decide`"):
            await issue_operator_token(world.broker, clerk, "eve")
        own = await issue_operator_token(world.broker, clerk, "clerk")
        assert own.credential.issued_by == "clerk"

    async def test_who_the_policy_does_not_name_gets_none_and_the_names_are_told(self, world: World) -> None:
        with pytest.raises(NotFound, match="names no operator `evee`") as caught:
            await issue_operator_token(world.broker, await world.operator("admin"), "evee")
        assert caught.value.hint is not None
        assert "`eve`" in caught.value.hint


class TestWhoMay:
    async def test_who_manages_neither_issues_and_revokes_nothing(self, world: World) -> None:
        aud, key = await world.operator("aud"), (await world.agent()).key
        with pytest.raises(Forbidden):
            await issue_agent_key(world.broker, aud, "bot")
        with pytest.raises(Forbidden):
            await issue_service_key(world.broker, aud, "db", tools=("db.*",))
        with pytest.raises(Forbidden):
            await issue_operator_token(world.broker, aud, "aud")
        with pytest.raises(Forbidden):
            await revoke(world.broker, aud, Kind.AGENT, "bot", key)
        await world.ask(AgentCaller(agent=(await world.agent()).agent, key=key), "files.read")

    async def test_managing_agents_is_not_managing_people(self, world: World) -> None:
        sam, eve = await world.operator("sam"), await world.operator("eve")
        with pytest.raises(Forbidden):
            await issue_operator_token(world.broker, sam, "sam")
        with pytest.raises(Forbidden):
            await revoke(world.broker, sam, Kind.OPERATOR, "eve", eve.token.id)

    async def test_ones_own_token_may_always_be_revoked(self, world: World) -> None:
        aud = await world.operator("aud")
        revoked = await revoke(world.broker, aud, Kind.OPERATOR, "aud", aud.token.id)
        assert revoked.credential.revoked_by == "aud"
        with pytest.raises(Unauthenticated, match="was revoked"):
            await show_operator(world.broker, aud, aud.operator.id)

    @pytest.mark.requirement("T22")
    async def test_a_token_that_was_revoked_a_moment_ago_issues_nothing(self, world: World) -> None:
        admin = await world.operator("admin")
        await revoke(world.broker, admin, Kind.OPERATOR, "admin", admin.token.id)
        for attempt in (issue_agent_key(world.broker, admin, "bot"), issue_operator_token(world.broker, admin, "eve")):
            with pytest.raises(Unauthenticated):
                await attempt


class TestRevoking:
    async def test_a_credential_is_found_under_its_own_principal_only(self, world: World) -> None:
        admin, bot = await world.operator("admin"), await world.agent()
        wrong = [(Kind.AGENT, "other"), (Kind.SERVICE, "bot"), (Kind.OPERATOR, "bot")]
        for kind, principal in wrong:
            with pytest.raises(NotFound):
                await revoke(world.broker, admin, kind, principal, bot.key)
        with pytest.raises(NotFound):
            await revoke(world.broker, admin, Kind.AGENT, "bot", CredentialId("none"))

    async def test_revoking_twice_says_the_same_and_is_recorded_once(self, world: World) -> None:
        sam, bot = await world.operator("sam"), await world.agent()
        first = await revoke(world.broker, sam, Kind.AGENT, "bot", bot.key)
        world.clock.forward(hours=1)
        again = await revoke(world.broker, await world.operator("admin"), Kind.AGENT, "bot", bot.key)
        assert again.credential == first.credential
        assert (await world.kinds()).count("key.revoked") == 1

    @pytest.mark.requirement("T9")
    async def test_what_was_asked_with_a_revoked_key_ends_and_what_another_key_asked_goes_on(
        self, world: World
    ) -> None:
        stolen, kept = await world.agent(), await world.agent()
        theirs, mine = await world.ask(stolen), await world.ask(kept)
        revoked = await revoke(world.broker, await world.operator("eve"), Kind.AGENT, "bot", stolen.key)
        assert [action.id for action in revoked.cut_off] == [theirs.action.id]
        ended = await watch_action(world.broker, kept, theirs.action.id)
        assert (ended.action.state, ended.decision.reasons[0].code) == (ActionState.CANCELLED, "agent_suspended")
        assert (await watch_action(world.broker, kept, mine.action.id)).action.state is ActionState.PENDING
        assert (await leaf(world, "key.revoked"))["detail"]["cancelled"] == 1  # type: ignore[index]  # an object

    @pytest.mark.requirement("T9")
    async def test_a_yes_to_a_revoked_key_is_worth_nothing_to_another_one(self, world: World) -> None:
        stolen, kept = await world.agent(), await world.agent()
        asked = await world.ask(stolen)
        assert asked.approval is not None
        await yes(world, "eve", asked.approval.code, asked.action.digest)
        grant = (await watch_action(world.broker, kept, asked.action.id)).grant
        assert grant is not None
        await revoke(world.broker, await world.operator("eve"), Kind.AGENT, "bot", stolen.key)
        redeemed = await redeem_as_agent(
            world.broker, kept, grant.id, attempt="b" * 22, digest=asked.action.digest, arguments=None
        )
        assert redeemed.refused is not None
        assert redeemed.refused.code == "agent_suspended"


async def test_what_is_made_on_the_ledger_itself_says_by_whose_hand(world: World) -> None:
    by_hand = {"os_user": "root", "host": "b1"}
    await issue_credential(world.broker, Kind.OPERATOR, "eve", issued_by="assent --direct", by_hand=by_hand)
    told = await leaf(world, "token.issued")
    assert told["operator"] == "assent --direct"
    assert told["detail"]["by_hand"] == by_hand  # type: ignore[index]  # an object


async def test_an_operator_who_left_the_policy_opens_nothing_with_a_live_token(world: World) -> None:
    made = await issue_operator_token(world.broker, await world.operator("admin"), "eve")
    world.policy = replace(world.policy, people=tuple(p for p in world.policy.people if p.id != "eve"))
    with pytest.raises(Unauthenticated, match="does not name this operator"):
        await authenticate.operator(world.broker, made.token, "api")


async def yes(world: World, who: str, code: str, digest: str) -> str | None:
    voter: OperatorCaller = await world.operator(who)
    resolved = await approve_action(world.broker, voter, code, digest_prefix=digest)
    return None if resolved.refused is None else resolved.refused.message
