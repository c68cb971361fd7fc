"""A code asked for where somebody is signed in and typed at their declared account makes it a linked one."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, cast

import pytest

from assent.core.account_links import AccountLink
from assent.core.canonical import load
from assent.core.errors import Forbidden, IllegalMove, NotFound, Unauthenticated
from assent.core.operators import Assurance, Operator
from assent.core.reasons import Reason
from assent.flows.authenticate import LinkedCaller
from assent.flows.link_account import ask_for_code, caller_at, is_linked, type_code, unlink
from assent.flows.manage_principals import revoke_credential
from assent.flows.read_principals import list_operators
from assent.flows.resolve_approval import approve_action
from assent.ports import Tx
from tests.flows.test_show_whole import at_console
from tests.flows.world import World, a_world

PLACES = {"eve": "T0/U0EVE", "sam": "T0/U0SAM", "owner": "T0/U0OWNER"}


def declared(world: World, **accounts: str) -> None:
    """Let these accounts be declared from now on."""
    places = PLACES | accounts
    people = tuple(
        replace(one, identities={"slack": places[one.id]} if one.id in places else {}) for one in world.policy.people
    )
    world.policy = replace(world.policy, people=people)


@pytest.fixture
async def town() -> AsyncIterator[World]:
    world = a_world()
    declared(world)
    yield world
    await world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has


async def code_of(town: World, name: str = "eve") -> str:
    return (await ask_for_code(town.broker, await at_console(town, name))).code


async def linked(town: World, name: str = "eve") -> None:
    assert isinstance(await type_code(town.broker, account=PLACES[name], code=await code_of(town, name)), Operator)


def operator(town: World, name: str = "eve") -> Operator:
    return next(one for one in town.policy.people if one.id == name)


async def told(town: World) -> list[tuple[str, str | None, dict[str, Any]]]:
    """Return what is on record of links: kind, operator, detail without the credential that was shown."""
    found = [cast("dict[str, Any]", load(record.leaf)) for record in await town.records()]
    return [
        (one["kind"], one.get("operator"), {k: v for k, v in one["detail"].items() if k != "using"})
        for one in found
        if one["kind"].startswith("account.")
    ]


@pytest.mark.requirement("P5", "T4")
async def test_a_code_typed_at_the_declared_account_links_it_once(town: World) -> None:
    code = await code_of(town)
    assert not await is_linked(town.broker, operator(town))

    assert await type_code(town.broker, account="T0/U0EVE", code=f" {code.lower()} ") == operator(town)

    assert await is_linked(town.broker, operator(town))
    caller = await caller_at(town.broker, operator(town), "T0/U0EVE")
    assert (caller.assurance, caller.surface) == (Assurance.LINKED, "slack")
    assert isinstance(await type_code(town.broker, account="T0/U0EVE", code=code), Reason)
    assert await told(town) == [
        ("account.link_asked", "eve", {"account": "T0/U0EVE", "surface": "console"}),
        ("account.linked", "eve", {"account": "T0/U0EVE", "surface": "slack"}),
        ("account.link_refused", "eve", {"account": "T0/U0EVE", "surface": "slack"}),
    ]
    assert code not in str([record.leaf for record in await town.records()])


@pytest.mark.requirement("P5", "T4")
@pytest.mark.parametrize(("account", "who"), [("T0/U0SAM", "sam"), ("T0/U0NOBODY", None), ("T1/U0EVE", None)])
async def test_a_code_typed_at_another_account_links_nobody_is_on_record_and_spent(
    town: World, account: str, who: str | None
) -> None:
    code = await code_of(town)

    assert isinstance(await type_code(town.broker, account=account, code=code), Reason)
    assert isinstance(await type_code(town.broker, account="T0/U0EVE", code=code), Reason)

    assert not any([await is_linked(town.broker, one) for one in town.policy.people])
    assert (await told(town))[1] == (
        "account.link_refused",
        who,
        {"account": account, "surface": "slack", "for": "eve"},
    )


async def test_a_code_is_over_after_ten_minutes_and_after_five_wrong_ones(town: World) -> None:
    code = await code_of(town)
    town.clock.forward(minutes=10)
    assert isinstance(await type_code(town.broker, account="T0/U0EVE", code=code), Reason)

    code = await code_of(town)
    for _ in range(5):
        assert isinstance(await type_code(town.broker, account="T0/U0EVE", code="WRONG"), Reason)
    assert isinstance(await type_code(town.broker, account="T0/U0EVE", code=code), Reason)
    assert not await is_linked(town.broker, operator(town))


async def test_a_link_is_void_where_another_account_is_declared(town: World) -> None:
    await linked(town)
    declared(town, eve="T0/U0EVE2")
    assert not await is_linked(town.broker, operator(town))
    assert (await caller_at(town.broker, operator(town), "T0/U0EVE2")).assurance is Assurance.SLACK
    # A code that was asked for the account of before links nothing either.
    code = await code_of(town)
    declared(town, eve="T0/U0EVE3")
    assert isinstance(await type_code(town.broker, account="T0/U0EVE3", code=code), Reason)


async def test_somebody_without_a_declared_account_is_told_what_to_add(town: World) -> None:
    with pytest.raises(IllegalMove, match="no Slack account is declared"):
        await ask_for_code(town.broker, await town.operator("admin"))


async def test_a_code_is_not_asked_for_where_it_is_typed(town: World) -> None:
    with pytest.raises(IllegalMove, match="not asked for where it is typed"):
        await ask_for_code(town.broker, await caller_at(town.broker, operator(town), "T0/U0EVE"))


async def test_a_revoked_token_asks_for_no_code(town: World) -> None:
    eve = await town.operator("eve")
    await revoke_credential(town.broker, eve.token.id, by="admin")
    with pytest.raises(Unauthenticated):
        await ask_for_code(town.broker, eve)


async def test_an_account_is_unlinked_by_its_operator_or_by_who_manages_operators(town: World) -> None:
    for by in ("eve", "admin"):
        await linked(town)
        await unlink(town.broker, await town.operator(by), "eve")
        assert not await is_linked(town.broker, operator(town))
        assert (await told(town))[-1] == (
            "account.unlinked",
            by,
            {"for": "eve", "account": "T0/U0EVE", "surface": "api"},
        )
    with pytest.raises(NotFound):
        await unlink(town.broker, await town.operator("eve"), "eve")
    await linked(town)
    with pytest.raises(Forbidden):
        await unlink(town.broker, await town.operator("sam"), "eve")
    seen = await list_operators(town.broker, await town.operator("admin"), limit=9)
    assert [one.id for one in seen if one.is_linked] == ["eve"]


@pytest.mark.requirement("P5")
async def test_a_vote_looks_once_more_whether_the_account_is_linked(town: World) -> None:
    route = replace(town.policy.routes["default"], assurance=Assurance.LINKED)
    town.policy = replace(town.policy, routes={"default": route})
    asked = await town.ask(await town.agent())
    assert asked.approval is not None
    await linked(town)
    caller = await caller_at(town.broker, operator(town), "T0/U0EVE")
    assert isinstance(caller, LinkedCaller)

    await unlink(town.broker, await town.operator("eve"), "eve")
    with pytest.raises(Forbidden, match="not linked any more"):
        await approve_action(town.broker, caller, asked.approval.id, digest_prefix=asked.action.digest)

    await linked(town)
    voted = await approve_action(town.broker, caller, asked.approval.id, digest_prefix=asked.action.digest)
    assert [(vote.operator, vote.assurance) for vote in voted.approval.votes] == [("eve", Assurance.LINKED)]


@pytest.mark.requirement("T19")
async def test_a_row_that_somebody_wrote_into_the_ledger_links_nobody(town: World) -> None:
    await linked(town)

    async def forge(tx: Tx) -> None:
        tx.write("UPDATE account_link SET facts = replace(facts, 'U0EVE', 'U0SAM')", ())  # type: ignore[attr-defined]  # by hand

    await town.ledger.transact(forge)
    assert not await is_linked(town.broker, operator(town))
    assert AccountLink(id=operator(town).id).account is None


@pytest.mark.requirement("P5", "T22")
async def test_whoever_issued_a_token_a_moment_ago_links_nobody_with_it(town: World) -> None:
    eve = await town.operator("eve")
    with pytest.raises(IllegalMove, match="`admin` issued your token less than 24 hours ago"):
        await ask_for_code(town.broker, eve)
    assert await told(town) == []
    town.clock.forward(hours=24)
    code = (await ask_for_code(town.broker, eve)).code
    assert isinstance(await type_code(town.broker, account=PLACES["eve"], code=code), Operator)
