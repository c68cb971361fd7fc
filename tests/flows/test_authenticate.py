"""A token becomes one caller or nothing: wrong kind, wrong secret, revoked, too old, or removed."""

from dataclasses import replace

import pytest

from assent.core.approvals import ApprovalState
from assent.core.breakers import Scope
from assent.core.canonical import load
from assent.core.credentials import CredentialId, Kind
from assent.core.errors import Forbidden, RateLimited, Unauthenticated
from assent.core.operators import Assurance, OperatorId, Permission
from assent.flows import authenticate, manage_principals, trip_breaker
from assent.flows.authenticate import OperatorCaller
from assent.flows.recognised import Recognised
from assent.flows.resolve_approval import approve_action
from tests.flows.world import World

pytestmark = pytest.mark.requirement("P1", "T9")

BY_KIND = {Kind.AGENT: "bot", Kind.SERVICE: "db", Kind.OPERATOR: "eve"}


async def test_each_kind_of_token_opens_one_door_and_no_other(world: World) -> None:
    tokens = {kind: await world.token(kind, name) for kind, name in BY_KIND.items()}
    assert (await authenticate.agent(world.broker, tokens[Kind.AGENT])).agent == "bot"
    assert (await authenticate.service(world.broker, tokens[Kind.SERVICE])).service == "db"
    assert (await authenticate.operator(world.broker, tokens[Kind.OPERATOR], "api")).operator.id == "eve"
    for kind, token in tokens.items():
        if kind is not Kind.AGENT:
            with pytest.raises(Unauthenticated):
                await authenticate.agent(world.broker, token)
        if kind is not Kind.SERVICE:
            with pytest.raises(Unauthenticated):
                await authenticate.service(world.broker, token)
        if kind is not Kind.OPERATOR:
            with pytest.raises(Unauthenticated):
                await authenticate.operator(world.broker, token, "api")


async def test_nothing_and_what_is_no_token_open_nothing(world: World) -> None:
    token = await world.token(Kind.AGENT, "bot")
    for shown in (None, "", "x", token[:-1], token + "x", token.swapcase()):
        with pytest.raises(Unauthenticated):
            await authenticate.agent(world.broker, shown)


async def test_only_who_shows_the_whole_secret_hears_that_it_is_over(world: World) -> None:
    issued = await manage_principals.issue_credential(world.broker, Kind.OPERATOR, "eve", issued_by="admin")
    guessed = issued.token[:-1] + ("1" if issued.token[-1] == "0" else "0")
    world.clock.forward(days=91)
    with pytest.raises(Unauthenticated, match="has expired: an operator's token lives 90 days"):
        await authenticate.operator(world.broker, issued.token, "api")
    with pytest.raises(Unauthenticated, match="not known"):
        await authenticate.operator(world.broker, guessed, "api")


async def test_an_operator_whom_the_policy_does_not_name_any_more_is_nobody(world: World) -> None:
    token = await world.token(Kind.OPERATOR, "eve")
    world.policy = replace(world.policy, people=tuple(p for p in world.policy.people if p.id != "eve"))
    with pytest.raises(Unauthenticated, match="does not name"):
        await authenticate.operator(world.broker, token, "api")


@pytest.mark.requirement("T14")
async def test_a_limit_spares_the_ledger_new_secrets_and_not_those_it_knows(world: World) -> None:
    def refuse() -> None:
        raise RateLimited("too many", retry_after_seconds=1)

    token = await world.token(Kind.AGENT, "bot")
    with pytest.raises(RateLimited):
        await authenticate.agent(world.broker, token, before_look_up=refuse)
    known = await authenticate.agent(world.broker, token)
    assert await authenticate.agent(world.broker, token, before_look_up=refuse) == known


@pytest.mark.requirement("P6")
async def test_a_key_that_was_recognised_and_is_gone_from_the_ledger_decides_nothing(world: World) -> None:
    bot = await world.agent()
    with pytest.raises(Unauthenticated, match="not known any more"):
        await world.ask(replace(bot, key=CredentialId("gone")))
    assert await world.records(kind="action.decided") == []


def by_channel(world: World, name: str, account: str) -> OperatorCaller:
    """Return an operator whom a channel knows by an account, without any token."""
    operator = world.policy.operator(name)
    assert operator is not None
    return OperatorCaller(operator=operator, surface="slack", assurance=Assurance.SLACK, account=account)


@pytest.mark.requirement("P5")
async def test_who_comes_by_a_channel_votes_with_their_account_and_without_a_token(world: World) -> None:
    asked = await world.ask(await world.agent())
    assert asked.approval is not None
    eve = by_channel(world, "eve", "T1/U1")
    resolved = await approve_action(world.broker, eve, asked.approval.id, digest_prefix=asked.action.digest)
    assert resolved.approval.state is ApprovalState.APPROVED
    (vote,) = resolved.approval.votes
    assert (vote.operator, vote.assurance, vote.surface) == ("eve", Assurance.SLACK, "slack")
    (record,) = await world.records(kind="approval.voted")
    leaf = load(record.leaf)
    assert isinstance(leaf, dict)
    assert isinstance(leaf["detail"], dict)
    assert leaf["detail"]["account"] == "T1/U1"


async def test_a_channel_gives_nobody_a_permission_that_policy_does_not(world: World) -> None:
    eve = by_channel(world, "eve", "T1/U1")
    assert not eve.operator.may(Permission.AUDIT_PAYLOADS)
    bare = replace(eve, operator=replace(eve.operator, permissions=frozenset()))
    with pytest.raises(Forbidden):
        await trip_breaker.trip(world.broker, bare, Scope(agent="bot"))
    tripped = await trip_breaker.trip(world.broker, eve, Scope(agent="bot"))
    assert tripped.breaker.by == OperatorId("eve")


async def test_a_process_that_remembers_nothing_asks_the_ledger(world: World) -> None:
    token = await world.token(Kind.AGENT, "bot")
    known = await authenticate.agent(world.broker, token)
    fresh = replace(world.broker, recognised=Recognised())
    assert await authenticate.agent(fresh, token) == known
