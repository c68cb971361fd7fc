"""Stopping from any page, seeing what is stopped, and letting it go on with a second person."""

import re
from dataclasses import replace
from typing import cast

import pytest

from assent.core.errors import LedgerUnavailable
from assent.core.operators import PERMISSION_SETS, Operator, OperatorId
from assent.flows.trip_breaker import list_breakers
from assent.ports import Ledger
from tests.console.town import Browser, ConsoleTown, text_of


async def trip(browser: Browser, **fields: str) -> str:
    heard = await browser.post("/console/breakers/trip", **fields)
    assert heard.status == 200, text_of(heard)
    return text_of(heard)


async def key_of(town: ConsoleTown) -> str:
    return (await list_breakers(town.world.broker, await town.world.operator("eve")))[0].id


@pytest.mark.requirement("P6")
async def test_a_stop_says_what_it_cut_off_and_what_to_do_elsewhere(town: ConsoleTown) -> None:
    eve, bot = await town.by_link(), await town.world.agent()
    await town.world.ask(bot)
    said = await trip(eve, agent="bot", reason="it runs wild")
    assert "Stopped: agent `bot`" in said
    assert "Cut off: 1 bot: files.write in production" in said
    assert "revoke bot" in said
    assert (await town.world.ask(bot)).decision.reasons[0].code == "breaker_open"
    page = text_of(await eve.get("/console/breakers"))
    assert "forced open" in page
    assert "it runs wild" in page


async def test_every_page_offers_the_stop_to_whoever_may_and_to_nobody_else(town: ConsoleTown) -> None:
    nobody = Operator(id=OperatorId("aud"), permissions=PERMISSION_SETS["auditor"])
    people = (*town.world.policy.people, nobody)
    town.world.policy = type(town.world.policy)(people=people)
    eve, aud = await town.by_link(), await town.by_token("aud")
    for path in ("/console/", "/console/breakers", "/console/account"):
        assert b"Stop it now" in (await eve.get(path)).body, path
        assert b"Stop it now" not in (await aud.get(path)).body, path
    heard = await aud.post("/console/breakers/trip", all="yes")
    assert heard.status == 403


@pytest.mark.parametrize("fields", [{}, {"agent": " "}, {"agent": "bot", "all": "yes"}, {"tool": "x" * 201}])
async def test_a_stop_names_what_it_stops_or_everything(town: ConsoleTown, fields: dict[str, str]) -> None:
    eve = await town.by_link()
    heard = await eve.post("/console/breakers/trip", **fields)
    assert (heard.status, "nothing was stopped yet" in text_of(heard)) == (400, True)


async def test_everything_is_stopped_by_one_tick_and_without_a_reason(town: ConsoleTown) -> None:
    eve = await town.by_link()
    assert "Stopped: everything" in await trip(eve, all="yes")


async def test_a_name_that_nobody_declared_is_stopped_and_said(town: ConsoleTown) -> None:
    said = await trip(await town.by_link(), agent="bott", tool="files.write")
    assert "Nobody declared the agent bott . Did you mean bot?" in said


@pytest.mark.requirement("P6", "P5")
async def test_letting_go_on_takes_a_second_person(town: ConsoleTown) -> None:
    eve, sam, owner = await town.by_link(), await town.by_link("sam"), await town.by_link("owner")
    await trip(eve, agent="bot")
    path = f"/console/breakers/{await key_of(town)}/reset"
    assert (await eve.post(path, reason="")).status == 400
    heard = await owner.post(path, reason="mine")
    assert (heard.status, "you own the agent" in text_of(heard)) == (403, True)
    asked = await eve.post(path, reason="looked into it")
    assert (asked.status, "sam" in text_of(asked)) == (202, True)
    assert "eve asks to let it go on" in text_of(await sam.get("/console/breakers"))
    assert (await eve.post(path, reason="again")).status == 202
    assert (await sam.post(path, reason="agreed")).status == 303
    page = text_of(await sam.get("/console/breakers"))
    assert "Nothing is stopped" in page
    assert "Closed again agent bot" in page
    assert "sam reset the breaker over agent `bot`" in page
    closed = await sam.post(path, reason="once more")
    assert (closed.status, "closed already" in text_of(closed)) == (409, True)


class TakesNothing:
    """A ledger that is read and cannot be written."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def __getattr__(self, name: str) -> object:
        return getattr(self._ledger, name)

    async def transact(self, *_: object, **__: object) -> None:
        raise LedgerUnavailable("disk I/O error in a secret place")


async def test_a_stop_that_no_ledger_takes_is_told_as_held(town: ConsoleTown) -> None:
    eve = await town.by_link()
    town.world.broker = replace(town.world.broker, ledger=cast("Ledger", TakesNothing(town.world.ledger)))
    eve.town = ConsoleTown(town.world)
    heard = await eve.post("/console/breakers/trip", agent="bot")
    assert (heard.status, "in the memory of this broker only" in text_of(heard)) == (503, True)
    assert b"secret place" not in heard.body


@pytest.mark.requirement("T17")
async def test_words_on_a_stop_are_text(town: ConsoleTown) -> None:
    eve = await town.by_link()
    await trip(eve, agent="<script>alert(1)</script>", reason="<img src=x onerror=alert(1)>\u202e")
    body = (await eve.get("/console/breakers")).body.decode()
    assert len(re.findall("<script", body)) == 1
    assert len(re.findall("<img", body)) == 1
    assert "\u202e" not in body
