"""Who may not approve: {Slack socket, Slack HTTP, API, CLI} times everybody who must not, as data.

Each is refused for the right reason, is told it, and is on record. A token has no guests and no other workspaces: there
the same row is who comes nearest to it. One row alone leaves no record: a token that was never ours, because anybody
could fill the log with those.
"""

import asyncio
import contextlib
import json
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
import uvicorn

from assent.cli.exits import Exit, exit_of
from assent.core.approvals import Need
from assent.core.canonical import load
from assent.core.credentials import Kind
from assent.core.operators import Assurance
from assent.demo.workspace.people import Person
from assent.demo.workspace.state import Fault
from assent.flows import manage_principals
from assent.flows.link_account import ask_for_code, is_linked
from assent.slack.view import Press
from assent.wiring.passkeys import CheckedHere
from tests.api.town import Town
from tests.authenticator import ORIGIN, SITE
from tests.flows.test_show_whole import at_console
from tests.flows.world import TownPolicy
from tests.serving.broker_process import clean_environment
from tests.slack.office import ALIAS, EVE, FOREIGN, NOBODY, OWNER, Office, an_office, town_policy

Before = Callable[[Office], Awaitable[None]]
TokenOf = Callable[[Office], Awaitable[str]]


def token(name: str, kind: Kind = Kind.OPERATOR) -> TokenOf:
    async def make(office: Office) -> str:
        return await office.world.token(kind, name)

    return make


eves = token("eve")


async def second_of_owner(office: Office) -> str:
    await office.world.token(Kind.OPERATOR, "owner")
    return await office.world.token(Kind.OPERATOR, "owner")


async def revoked(office: Office) -> str:
    issued = await manage_principals.issue_credential(office.world.broker, Kind.OPERATOR, "eve", issued_by="admin")
    await manage_principals.revoke_credential(office.world.broker, issued.credential.id, by="admin")
    return issued.token


async def of_somebody_who_left(office: Office) -> str:
    """Return a live token of an operator whom the loaded policy does not name any more."""
    made = await office.world.token(Kind.OPERATOR, "eve")
    policy = office.world.policy
    office.world.policy = replace(policy, people=tuple(one for one in policy.people if one.id != "eve"))
    return made


async def of_another_broker(office: Office) -> str:
    """Return a token of the right form whose secret was never given out here."""
    made = await office.world.token(Kind.OPERATOR, "eve")
    return f"{made[:-4]}{made[-1:-5:-1]}"


async def nothing(_: Office) -> None:
    """Let the moment be the right one."""


async def too_late(office: Office) -> None:
    office.world.clock.forward(minutes=20)


async def decided(office: Office) -> None:
    await office.slack.as_user("sam").press(office.card, Press.APPROVE)


async def other_digest(office: Office) -> None:
    shown = office.asked.action.digest
    for form in office.card.forms:
        for block in form["blocks"]:
            for element in block.get("elements", []):
                if element.get("action_id") == Press.APPROVE:
                    element["value"] = element["value"].replace(shown[:16], "0" * 16)
    office.digest = "0" * 64


@dataclass(frozen=True, kw_only=True)
class Row:
    """Somebody who says yes: as an account of Slack, and as whoever holds a token; what they hear, and what is kept."""

    account: Person = EVE
    told: str
    operator: str | None = "eve"
    token: TokenOf = eves
    token_told: str | None = None
    token_holder: str | None = None
    token_code: str | None = None
    is_recorded: bool = True
    is_sent: bool = True
    code: str = "not_eligible"
    before: Before = nothing
    ask: dict[str, Any] = field(default_factory=dict)
    route: dict[str, Any] = field(default_factory=dict)
    has_button: bool = True


OWNED = Row(account=OWNER, told="you own this agent", operator="owner", token=token("owner"))
STRANGE: dict[str, Any] = {"operator": None, "token_code": "unauthenticated"}
MATRIX = {
    "owner": OWNED,
    "driver": Row(told="acts on your behalf", ask={"on_behalf_of": ("operator:eve",)}),
    "key issuer": Row(told="you issued the agent's key", ask={"issued_by": "eve"}),
    "alias account": Row(
        account=ALIAS,
        told="no operator of the policy",
        operator=None,
        token=second_of_owner,
        token_told="you own this agent",
        token_holder="owner",
    ),
    "deactivated": Row(
        account=replace(EVE, is_deleted=True),
        told="is deactivated",
        token=revoked,
        token_told="this credential was revoked",
        token_holder="operator:eve",
        **STRANGE,
    ),
    "guest": Row(
        account=replace(EVE, is_guest=True),
        told="is a guest's",
        token=token("db", Kind.SERVICE),
        token_told="operator",
        is_sent=False,
        token_holder="service:db",
        **STRANGE,
    ),
    "bot": Row(
        account=replace(EVE, is_bot=True),
        told="is a bot's",
        token=token("bot", Kind.AGENT),
        token_told="operator",
        is_sent=False,
        token_holder="agent:bot",
        **STRANGE,
    ),
    "stranger": Row(
        account=NOBODY,
        told="no operator of the policy",
        token=of_somebody_who_left,
        token_told="the loaded policy does not name this operator",
        token_holder="operator:eve",
        **STRANGE,
    ),
    "shared channel": Row(
        account=replace(EVE, is_stranger=True),
        told="another workspace",
        token=of_another_broker,
        token_told="this credential is not known",
        is_recorded=False,
        **STRANGE,
    ),
    "other workspace": Row(
        account=FOREIGN,
        told="another workspace",
        token=of_another_broker,
        token_told="this credential is not known",
        is_recorded=False,
        **STRANGE,
    ),
    "wrong group": Row(told="none of the groups", route={"needs": (Need(count=1, of="security"),)}),
    "too late": Row(told="nobody answered in time", code="approval_expired", before=too_late),
    "already decided": Row(told="by `sam`", code="already_decided", before=decided),
    "wrong digest": Row(told="what you saw is not what would run", code="digest_changed", before=other_digest),
    "assurance": Row(told="accepts `linked` or better", code="step_up_required", route={"assurance": Assurance.LINKED}),
    "no passkey": Row(
        told="accepts `step_up`: at the console, signed with a passkey",
        code="step_up_required",
        route={"assurance": Assurance.STEP_UP},
        has_button=False,
    ),
}
# What Slack is not sure enough for has no button there.
PRESSED = [name for name, row in MATRIX.items() if row.has_button]


@pytest.fixture(params=["socket", "http"])
async def office(request: pytest.FixtureRequest) -> AsyncIterator[Office]:
    async for made in an_office(request.param):
        yield made


@pytest.fixture
async def desk() -> AsyncIterator[Office]:
    async for made in an_office("socket"):
        yield made


def policy_for(row: Row, *, least: Assurance) -> TownPolicy:
    return town_policy(**{"assurance": least, **row.route})


def put(office: Office, row: Row, *, least: Assurance) -> None:
    """Let the row's policy serve, in a broker where somebody could come to have a passkey: else nobody is asked."""
    office.world.policy = policy_for(row, least=least)
    if row.route.get("assurance") is Assurance.STEP_UP:
        office.world.broker = replace(
            office.world.broker, passkeys=CheckedHere(SITE, ORIGIN), at_console=frozenset({"eve"})
        )


async def refusals(office: Office) -> list[dict[str, Any]]:
    return [dict(load(r.leaf)) for r in await office.world.records(kind="approval.vote_refused")]  # type: ignore[arg-type]  # leaves are objects


@pytest.mark.requirement("T3", "T4", "T18", "P5")
@pytest.mark.parametrize("name", PRESSED)
async def test_in_slack_it_does_not_count_is_told_why_and_stands_on_record(office: Office, name: str) -> None:
    row = MATRIX[name]
    put(office, row, least=Assurance.SLACK)
    office.slack.slack.set_person(row.account)
    await office.ask(**row.ask)
    await row.before(office)
    before = await office.states()
    await office.press(row.account.id)

    assert await office.states() == before
    (told,) = office.heard_by(row.account.id)
    assert "Not counted" in told
    assert row.told in told
    (refused,) = await refusals(office)
    assert refused.get("operator") == row.operator
    assert refused["reasons"] == [row.code]
    assert refused["detail"]["account"].endswith(row.account.id)
    assert (refused["detail"]["surface"], refused["detail"]["act"]) == ("slack", "approve")


@pytest.mark.requirement("P5", "T26")
async def test_where_a_passkey_is_asked_for_slack_has_no_button_that_says_yes(office: Office) -> None:
    put(office, MATRIX["no passkey"], least=Assurance.SLACK)
    await office.ask()
    assert office.card.control(Press.APPROVE) is None
    assert office.card.control(Press.DENY) is not None
    assert "step_up" in json.dumps(office.card.forms)


async def test_who_may_approve_in_slack_is_counted(office: Office) -> None:
    await office.ask()
    await office.press("eve")
    assert await office.states() == ("approved", "ready")
    assert await refusals(office) == []


@pytest.mark.requirement("P5", "T4")
async def test_a_route_that_wants_a_linked_account_takes_a_yes_once_it_is_linked(office: Office) -> None:
    office.world.policy = policy_for(Row(told="", route={"assurance": Assurance.LINKED}), least=Assurance.SLACK)
    await office.ask()
    await office.press("eve")
    (told,) = office.heard_by("eve")
    assert "`/assent link CODE`" in told
    assert await office.states() == ("pending", "pending")

    asked = await ask_for_code(office.world.broker, await at_console(office.world))
    for person in ("sam", "eve"):
        await office.slack.as_user(person).type_command(f"link {asked.code}", channel="C0PROD")
    asked = await ask_for_code(office.world.broker, await at_console(office.world))
    await office.slack.as_user("eve").type_command(f"link {asked.code}", channel="C0PROD")
    await office.hearing.settle()
    assert ["not yours" in one for one in office.heard_by("sam")] == [True]
    assert "Linked: what you press here counts" in office.heard_by("eve")[-1]

    await office.press("eve")
    assert await office.states() == ("approved", "ready")
    (vote,) = await office.world.records(kind="approval.voted")
    assert b'"assurance":"linked"' in vote.leaf
    refused = [cast("Any", load(r.leaf)) for r in await office.world.records(kind="account.link_refused")]
    assert [(one.get("operator"), one["detail"].get("for")) for one in refused] == [("sam", "eve"), ("eve", None)]


@pytest.mark.requirement("T4")
@pytest.mark.parametrize("name", ["deactivated", "guest", "bot", "stranger", "shared channel", "other workspace"])
async def test_nobody_links_an_account_that_is_not_live_or_not_declared(office: Office, name: str) -> None:
    account = MATRIX[name].account
    asked = await ask_for_code(office.world.broker, await at_console(office.world))
    office.slack.slack.set_person(account)
    await office.slack.as_user(account.id).type_command(f"link {asked.code}", channel="C0PROD")
    await office.hearing.settle()
    (told,) = office.heard_by(account.id)
    assert told.startswith("Not linked: ")
    assert not any([await is_linked(office.world.broker, one) for one in office.world.policy.people])
    (refused,) = [cast("Any", load(r.leaf)) for r in await office.world.records(kind="account.link_refused")]
    assert refused["detail"] == {"account": f"{account.team}/{account.id}", "surface": "slack", "for": "eve"}


async def test_a_code_typed_while_slack_does_not_answer_stays_good(office: Office) -> None:
    asked = await ask_for_code(office.world.broker, await at_console(office.world))
    eve = office.slack.as_user("eve")
    office.slack.slack.faults.append(Fault(method="users.info", how="500", times=3))
    await eve.type_command(f"link {asked.code}", channel="C0PROD")
    await office.hearing.settle()
    assert "type it again" in office.heard_by("eve")[-1]
    office.slack.slack.faults.clear()
    await eve.type_command(f"link {asked.code}", channel="C0PROD")
    await office.hearing.settle()
    assert office.heard_by("eve")[-1].startswith("Linked: ")


async def asked_by(office: Office, row: Row) -> str:
    """Ask as the row wants it and return the token of who will answer."""
    put(office, row, least=Assurance.TOKEN)
    await office.ask(**row.ask)
    made = await row.token(office)
    await row.before(office)
    return made


async def check_kept(office: Office, row: Row) -> None:
    kept = await refusals(office)
    assert len(kept) == row.is_recorded
    for refused in kept:
        assert refused["reasons"] == [row.code]
        assert (refused["detail"]["surface"], refused["detail"]["act"]) == ("api", "approve")
        who = refused.get("operator") or refused["detail"]["account"]
        assert who == (row.token_holder or row.operator)


@pytest.mark.requirement("T4", "T18", "P5")
@pytest.mark.parametrize("name", MATRIX)
async def test_over_the_api_it_does_not_count_is_told_why_and_stands_on_record(desk: Office, name: str) -> None:
    row = MATRIX[name]
    bearer = await asked_by(desk, row)
    before = await desk.states()
    asked = desk.asked.approval
    assert asked is not None
    heard = await Town(desk.world).post(bearer, f"/v1/approvals/{asked.id}/approve", {"digest_prefix": desk.digest})

    assert heard.code == (row.token_code or row.code)
    assert (row.token_told or row.told) in heard.json["detail"]
    assert await desk.states() == before
    await check_kept(desk, row)


async def test_a_holder_who_is_refused_over_and_over_does_not_fill_the_log(desk: Office) -> None:
    row = MATRIX["bot"]
    bearer = await asked_by(desk, row)
    asked = desk.asked.approval
    assert asked is not None
    for act, body in (("approve", {"digest_prefix": "0" * 8}), ("deny", {"category": "other", "reason": "x"})) * 20:
        heard = await Town(desk.world).post(bearer, f"/v1/approvals/{asked.code}/{act}", body)
        assert heard.status == 401
    assert [one["detail"]["act"] for one in await refusals(desk)] == ["approve", "deny"] * 10


@contextlib.asynccontextmanager
async def served(town: Town) -> AsyncIterator[str]:
    """Serve the town on a port of this machine."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(town.app, log_config=None, lifespan="off", ws="none"))
    serving = asyncio.create_task(server.serve([listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


async def typed(url: str, bearer: str, *arguments: str) -> tuple[int, str]:
    """Return what a command of the CLI ends with and says."""
    environment = clean_environment({"HOME": "/nonexistent", "ASSENT_URL": url, "ASSENT_OPERATOR_TOKEN": bearer})
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "assent", "approvals", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**environment, "PYTHONPATH": str(Path.cwd())},
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


@pytest.mark.requirement("T4", "T18", "P5")
@pytest.mark.parametrize("name", MATRIX)
async def test_at_the_command_line_it_does_not_count_is_told_why_and_stands_on_record(desk: Office, name: str) -> None:
    row = MATRIX[name]
    bearer = await asked_by(desk, row)
    before = await desk.states()
    asked = desk.asked.approval
    assert asked is not None
    async with served(Town(desk.world)) as url:
        code, said = await typed(url, bearer, "approve", asked.code, "--sha", desk.digest[:12])

    # The command line does not even send the credential of an agent or a tool.
    assert code == (exit_of(row.token_code or row.code) if row.is_sent else Exit.USAGE)
    assert (row.token_told or row.told) in said
    assert await desk.states() == before
    await check_kept(desk, row if row.is_sent else replace(row, is_recorded=False))


async def test_who_may_approve_with_a_token_is_counted(desk: Office) -> None:
    bearer = await asked_by(desk, Row(told=""))
    asked = desk.asked.approval
    assert asked is not None
    async with served(Town(desk.world)) as url:
        code, said = await typed(url, bearer, "approve", asked.code, "--sha", desk.digest[:12], "--json")

    assert (code, json.loads(said)["state"]) == (0, "approved")
    assert await desk.states() == ("approved", "ready")
    assert await refusals(desk) == []
