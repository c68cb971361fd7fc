"""The home tab: drawn when it is opened, and again while somebody may look, when something else stands there by now."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from assent.core.breakers import Scope
from assent.demo.workspace.state import Fault
from assent.flows import trip_breaker
from assent.slack import home_tabs
from assent.slack.heard import Who
from assent.slack.home_tabs import LOOK_EACH_SECONDS, REMEMBERED_SECONDS, HomeTabs
from assent.slack.who import Door
from tests.slack.office import Office, an_office


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    async for made in an_office("socket"):
        yield made


@pytest.fixture
def tabs(office: Office) -> HomeTabs:
    door = Door(office.world.broker, office.web, team="T0TOWN")
    return HomeTabs(office.world.broker, office.web, door, now_seconds=office.world.clock.steady)


EVE = Who(user="U0EVE", team="T0TOWN")


def shown(office: Office, user: str = "U0EVE") -> str:
    home = office.slack.slack.homes.get(user)
    return "" if home is None else str(home.view)


def drawn(office: Office) -> int:
    return sum(call.method == "views.publish" for call in office.slack.slack.calls)


async def look(office: Office, tabs: HomeTabs, *, seconds: float = LOOK_EACH_SECONDS) -> None:
    office.world.clock.forward(seconds=seconds)
    await tabs.look()


async def test_whoever_opens_their_tab_reads_what_waits_for_them(office: Office) -> None:
    await office.ask()
    await office.slack.as_user("eve").open_home()
    await office.hearing.settle()
    assert "You are eve. 1 approval may wait for you." in shown(office)
    assert "No breaker is open." in shown(office)


async def test_a_tab_follows_what_waits_and_what_is_stopped(office: Office, tabs: HomeTabs) -> None:
    await tabs.opened(EVE)
    assert "0 approvals may wait" in shown(office)
    await office.ask()
    await look(office, tabs)
    assert "1 approval may wait" in shown(office)
    await trip_breaker.trip(office.world.broker, await office.world.operator("sam"), Scope(agent="bot"))
    await look(office, tabs)
    assert "0 approvals may wait" in shown(office)
    assert "agent `bot`" in shown(office)


async def test_nothing_is_drawn_while_nothing_changes_nor_sooner_than_every_ten_seconds(
    office: Office, tabs: HomeTabs
) -> None:
    await tabs.opened(EVE)
    for _ in range(3):
        await look(office, tabs)
    assert drawn(office) == 1
    await office.ask()
    await look(office, tabs)
    await office.ask(arguments={"env": "production", "path": "b"})
    await look(office, tabs, seconds=1)
    assert drawn(office) == 2


async def test_after_an_hour_a_tab_is_drawn_when_it_is_opened_again(office: Office, tabs: HomeTabs) -> None:
    await tabs.opened(EVE)
    office.world.clock.forward(seconds=REMEMBERED_SECONDS)
    await office.ask()
    await look(office, tabs)
    assert drawn(office) == 1


async def test_what_slack_did_not_take_is_drawn_at_the_next_look(office: Office, tabs: HomeTabs) -> None:
    await tabs.opened(EVE)
    await office.ask()
    office.slack.slack.faults.append(Fault(method="views.publish", how="500", times=1))
    await look(office, tabs)
    assert "0 approvals may wait" in shown(office)
    await look(office, tabs)
    assert "1 approval may wait" in shown(office)


@pytest.mark.requirement("P1", "T5")
async def test_a_ledger_that_cannot_be_read_ends_no_round(office: Office, tabs: HomeTabs) -> None:
    await tabs.opened(EVE)
    await office.world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has
    await look(office, tabs)
    assert drawn(office) == 1


@pytest.mark.requirement("P9")
async def test_whoever_is_no_operator_any_more_reads_nothing_more(office: Office, tabs: HomeTabs) -> None:
    await office.ask()
    await tabs.opened(EVE)
    policy = office.world.policy
    office.world.policy = replace(policy, people=tuple(p for p in policy.people if p.id != "eve"))
    await look(office, tabs)
    assert "No operator of the policy is declared with this account" in shown(office)
    assert "files.write" not in shown(office)


@pytest.mark.requirement("T14")
async def test_no_more_than_so_many_are_remembered_and_strangers_not_at_all(
    office: Office, tabs: HomeTabs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home_tabs, "REMEMBERED", 2)
    for user in ("U0OWNER", "U0EVE", "U0EVE", "U0SAM", "U0NOBODY"):
        await tabs.opened(Who(user=user, team="T0TOWN"))
    before = drawn(office)
    await trip_breaker.trip(office.world.broker, await office.world.operator("sam"), Scope(agent="bot"))
    await look(office, tabs)
    assert drawn(office) == before + 2
    assert ["agent `bot`" in shown(office, user) for user in ("U0OWNER", "U0EVE", "U0SAM")] == [False, True, True]
