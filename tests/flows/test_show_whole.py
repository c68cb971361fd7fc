"""A question is read at the console: what counts as read, for whom, in which session, and what a yes needs of it."""

from dataclasses import replace

import pytest

from assent.core.actions import ActionState
from assent.core.approvals import ApprovalState
from assent.core.credentials import Kind
from assent.core.errors import Forbidden, NotFound
from assent.core.operators import PERMISSION_SETS, Assurance, Operator, OperatorId
from assent.flows import authenticate, resolve_approval, show_whole
from assent.flows.answers import Answered
from assent.flows.authenticate import SessionCaller
from assent.flows.sign_in import sign_in
from tests.flows.world import Tool, TownPolicy, World


async def at_console(world: World, name: str = "eve", kind: Kind = Kind.LINK) -> SessionCaller:
    issued = await sign_in(world.broker, await world.token(kind, name))
    return await authenticate.session(world.broker, issued.token)


async def asked_for(world: World, tool: str = "files.write") -> Answered:
    return await world.ask(await world.agent(), tool)


def secret_tool(world: World) -> None:
    tools = {**TownPolicy().tools, "db.secret": Tool(sensitive=("path",))}
    world.policy = replace(world.policy, tools=tools)


async def read(world: World, caller: SessionCaller, asked: Answered, *, values: bool = False) -> str | None:
    assert asked.approval is not None
    reason = await show_whole.note_shown(
        world.broker, caller, asked.approval.id, digest_prefix=asked.approval.digest[:16], with_values=values
    )
    return None if reason is None else reason.code


async def yes(world: World, caller: SessionCaller, asked: Answered) -> str | ApprovalState:
    assert asked.approval is not None
    resolved = await resolve_approval.approve_action(
        world.broker, caller, asked.approval.id, digest_prefix=asked.approval.digest[:16]
    )
    return resolved.approval.state if resolved.refused is None else resolved.refused.code


@pytest.mark.requirement("T3", "P3")
async def test_a_yes_at_the_console_needs_that_the_last_line_was_on_the_screen(world: World) -> None:
    eve, asked = await at_console(world), await asked_for(world)
    assert await yes(world, eve, asked) == "not_shown"
    assert await read(world, eve, asked) is None
    assert await yes(world, eve, asked) is ApprovalState.APPROVED
    kinds = await world.kinds(action=asked.action.id)
    assert kinds[-5:] == ["approval.vote_refused", "approval.shown", "approval.voted", "approval.moved", "grant.issued"]


@pytest.mark.requirement("T3")
async def test_what_was_on_another_screen_does_not_count_here(world: World) -> None:
    eve, again, sam = await at_console(world), await at_console(world), await at_console(world, "sam")
    asked, other = await asked_for(world), await asked_for(world)
    await read(world, eve, asked)
    for caller in (again, sam):
        assert await yes(world, caller, asked) == "not_shown"
    assert await yes(world, eve, other) == "not_shown"


async def test_reading_twice_is_recorded_once(world: World) -> None:
    eve, asked = await at_console(world), await asked_for(world)
    assert [await read(world, eve, asked) for _ in range(3)] == [None] * 3
    assert (await world.kinds(action=asked.action.id)).count("approval.shown") == 1


@pytest.mark.requirement("T3")
@pytest.mark.parametrize("prefix", ["", "abc", "0" * 16])
async def test_a_page_about_something_else_was_not_this_one(world: World, prefix: str) -> None:
    eve, asked = await at_console(world), await asked_for(world)
    assert asked.approval is not None
    reason = await show_whole.note_shown(world.broker, eve, asked.approval.id, digest_prefix=prefix, with_values=False)
    assert reason is not None
    assert reason.code == "digest_changed"
    assert await yes(world, eve, asked) == "not_shown"


async def test_what_is_over_is_not_read_any_more(world: World) -> None:
    eve, asked = await at_console(world), await asked_for(world)
    world.clock.forward(hours=1)
    assert await read(world, eve, asked) == "approval_expired"


@pytest.mark.requirement("T3", "P9")
async def test_sensitive_values_are_approved_by_who_was_shown_them_and_nobody_else(world: World) -> None:
    secret_tool(world)
    eve, sam, asked = await at_console(world), await at_console(world, "sam"), await asked_for(world, "db.secret")
    assert asked.approval is not None
    assert await read(world, eve, asked) == "not_shown"
    assert await yes(world, eve, asked) == "not_shown"
    assert (await show_whole.show_with_values(world.broker, eve, asked.approval.id))[1] is False
    assert await show_whole.reveal_values(world.broker, eve, asked.approval.id, reason="to decide") is None
    # A page from before shows no value, so its last line says nothing.
    assert await read(world, eve, asked) == "not_shown"
    assert await yes(world, eve, asked) == "not_shown"
    assert (await show_whole.show_with_values(world.broker, eve, asked.approval.id))[1] is True
    assert (await show_whole.show_with_values(world.broker, sam, asked.approval.id))[1] is False
    assert await read(world, eve, asked, values=True) is None
    assert await yes(world, sam, asked) == "not_shown"
    assert await yes(world, eve, asked) is ApprovalState.APPROVED


@pytest.mark.requirement("P9")
async def test_a_reveal_is_on_record_with_the_names_and_without_the_values(world: World) -> None:
    secret_tool(world)
    eve, asked = await at_console(world), await asked_for(world, "db.secret")
    assert asked.approval is not None
    for _ in range(2):
        await show_whole.reveal_values(world.broker, eve, asked.approval.id, reason="to decide")
    revealed = list(await world.records(kind="payload.revealed"))
    assert len(revealed) == 1
    leaf = revealed[0].leaf.decode()
    assert '"fields":["path"]' in leaf
    assert f'"session":"{eve.session.id}"' in leaf
    assert '"operator":"eve"' in leaf
    assert "to decide" not in leaf


@pytest.mark.requirement("P9", "T4")
async def test_who_could_not_say_yes_is_shown_no_sensitive_value(world: World) -> None:
    secret_tool(world)
    owner, asked = await at_console(world, "owner"), await asked_for(world, "db.secret")
    assert asked.approval is not None
    reason = await show_whole.reveal_values(world.broker, owner, asked.approval.id, reason="")
    assert reason is not None
    assert reason.code == "not_eligible"
    assert "payload.revealed" not in await world.kinds()
    # Security may look at payload anyhow, and that is on record as well.
    admin = await at_console(world, "admin")
    assert await show_whole.reveal_values(world.broker, admin, asked.approval.id, reason="") is None


@pytest.mark.requirement("T22", "T26")
async def test_a_session_by_token_approves_no_more_than_the_token(world: World) -> None:
    route = replace(world.policy.routes["default"], assurance=Assurance.CONSOLE)
    world.policy = replace(world.policy, routes={"default": route})
    by_token, by_link = await at_console(world, kind=Kind.OPERATOR), await at_console(world)
    asked = await asked_for(world)
    await read(world, by_token, asked)
    assert await yes(world, by_token, asked) == "step_up_required"
    await read(world, by_link, asked)
    assert await yes(world, by_link, asked) is ApprovalState.APPROVED


@pytest.mark.requirement("T4", "T22")
async def test_a_session_by_a_fresh_token_from_the_owner_does_not_vote_on_what_the_owner_owns(world: World) -> None:
    issued = await sign_in(world.broker, await world.token(Kind.OPERATOR, "sam", issued_by="owner"))
    sam, asked = await authenticate.session(world.broker, issued.token), await asked_for(world)
    await read(world, sam, asked)
    assert await yes(world, sam, asked) == "not_eligible"
    assert asked.action.state is ActionState.PENDING


async def test_who_is_shown_no_values_cannot_have_read_them(world: World) -> None:
    auditor = Operator(id=OperatorId("aud"), permissions=PERMISSION_SETS["auditor"])
    world.policy = replace(world.policy, people=(*world.policy.people, auditor))
    aud, asked = await at_console(world, "aud"), await asked_for(world)
    assert asked.approval is not None
    with pytest.raises(Forbidden):
        await read(world, aud, asked)
    with pytest.raises(Forbidden):
        await show_whole.reveal_values(world.broker, aud, asked.approval.id, reason="")
    assert (await show_whole.show_with_values(world.broker, aud, asked.approval.id))[1] is False


async def test_what_is_not_there_is_not_read(world: World) -> None:
    eve = await at_console(world)
    with pytest.raises(NotFound):
        await show_whole.note_shown(world.broker, eve, "apr_none", digest_prefix="0" * 16, with_values=False)
