"""Much of everything: pages stay of one size, and following them leads to all of it once."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from html import unescape

import pytest

from assent.console.prose import MOST_CHARACTERS, MOST_ROWS, blocks_of, cut
from assent.core.agents import AgentId, AgentProfile
from assent.core.breakers import Scope
from assent.core.decisions import Limits
from assent.core.operators import Operator, OperatorId
from assent.core.records import RecordKind
from assent.flows.trip_breaker import trip
from tests.console.town import Browser, ConsoleTown, text_of

MANY = 10_000
SOME = 120
LARGEST = 160_000
"""Bytes of a page, whatever is behind it."""
MORE = re.compile(r'<a class="button" href="([^"]+)">(?:More|Older ones|It goes on)</a>')


async def pages(browser: Browser, path: str) -> AsyncIterator[str]:
    """Yield a page and those that it leads to."""
    following: str | None = path
    while following is not None:
        heard = await browser.get(following)
        assert heard.status == 200, heard.body
        assert len(heard.body) <= LARGEST, following
        yield heard.body.decode()
        found = MORE.search(heard.body.decode())
        following = None if found is None else unescape(found[1])


async def listed(browser: Browser, path: str, what: str, *, at_most: int = 1_000) -> list[str]:
    """Return what stands in a list, over all of its pages or as many as are looked at."""
    found: list[str] = []
    async for page in pages(browser, path):
        found += re.findall(what, page)
        if len(found) >= at_most:
            break
    return found


def declare_many(town: ConsoleTown) -> None:
    """Let there be ten thousand agents of one owner, and ten thousand people."""
    policy = town.world.policy
    usual = policy.profiles["bot"]
    agents = [AgentId(f"agent-{number:05d}") for number in range(MANY)]
    people = [Operator(id=OperatorId(f"person-{number:05d}"), groups=("oncall",)) for number in range(MANY)]
    profiles: dict[str, AgentProfile] = {name: replace(usual, id=name) for name in agents}
    town.world.policy = replace(policy, profiles={"bot": usual} | profiles, people=(*policy.people, *people))


async def test_ten_thousand_agents_and_people_have_pages_of_one_size(town: ConsoleTown) -> None:
    declare_many(town)
    admin = await town.by_link("admin")
    agents = await listed(admin, "/console/agents", r'href="/console/agents/(agent-\d+)"', at_most=250)
    assert agents[:250] == [f"agent-{number:05d}" for number in range(250)]
    people = await listed(admin, "/console/people", r"<strong>(person-\d+)</strong>", at_most=250)
    assert len(people) == len(set(people)) >= 250
    owner = next(page for page in [await admin.get("/console/people")] if b"owns" in page.body)
    assert "and 9,971 more" in text_of(owner), "what one person owns is told in a line"


async def test_whoever_can_answer_is_told_in_a_line(town: ConsoleTown) -> None:
    declare_many(town)
    deciders = tuple(
        replace(one, permissions=town.world.policy.people[1].permissions) for one in town.world.policy.people
    )
    town.world.policy = replace(town.world.policy, people=deciders)
    asked = await town.world.ask(await town.world.agent())
    assert asked.approval is not None
    eve = await town.by_link()
    page = await eve.get(f"/console/approvals/{asked.approval.id}")
    assert len(page.body) <= LARGEST
    assert re.search(r"Who can: eve, sam, person-00000, .* and 9,\d+ more", text_of(page))


async def test_every_stop_is_reached_a_page_at_a_time(town: ConsoleTown) -> None:
    boss = await town.world.operator("eve")
    for number in range(SOME):
        await trip(town.world.broker, boss, Scope(agent=f"former-{number:03d}"), reason="too fast")
    eve = await town.by_link()
    found = await listed(eve, "/console/breakers", r"<strong>agent <code>(former-\d+)</code></strong>")
    assert sorted(found) == [f"former-{number:03d}" for number in range(SOME)]
    assert f"{SOME} things are stopped; these are from no. 1 on" in text_of(await eve.get("/console/breakers"))
    for wrong in ("-1", "x", "99999", "1e3"):
        assert (await eve.get(f"/console/breakers?from={wrong}")).status == 400


async def test_every_question_and_record_is_reached_a_page_at_a_time(town: ConsoleTown) -> None:
    agents = [f"asker-{number:02d}" for number in range(SOME // 2)]
    town.world.declare("bot", *agents)
    town.world.broker = replace(town.world.broker, limits=Limits(open_per_route=SOME))
    codes = set()
    for name in agents:
        caller = await town.world.agent(name)
        for path in ("a", "b"):
            asked = await town.world.ask(caller, arguments={"env": "production", "path": path}, run_id=f"{name}{path}")
            if asked.approval is not None:
                codes.add(asked.approval.code)
    eve, admin = await town.by_link(), await town.by_link("admin")
    assert len(codes) > 50
    for tab in ("mine", "open"):
        found = await listed(eve, f"/console/?show={tab}", r'<span class="tag code">([^<]+)</span>')
        assert (len(found), set(found)) == (len(codes), codes)
    records = await listed(admin, "/console/activity?all=1", rf'<span class="tag">({RecordKind.ACTION_DECIDED})</span>')
    assert len(records) == SOME


def test_a_document_ends_early_and_says_how_much_is_left_out() -> None:
    rows = "".join(f"| `t{number}` | {'x' * 3_000} |\n" for number in range(MANY))
    items = "".join(f"- item {number}\n" for number in range(MANY))
    table, things, gap = cut(blocks_of(f"| a | b |\n|---|---|\n{rows}\n{items}\nend\n"))
    assert (len(table.rows), table.more) == (MOST_ROWS + 1, MANY - MOST_ROWS)
    assert table.rows[1][1].endswith("(3,000 characters)")
    assert len(table.rows[1][1]) < MOST_CHARACTERS + 50
    assert (len(things.items), things.more, gap.text) == (MOST_ROWS, MANY - MOST_ROWS, "end")
    many = cut(blocks_of("".join(f"## h{number}\n" for number in range(MANY))))
    assert many[-1].more == MANY - len(many) + 1


@pytest.mark.parametrize("query", ["of-agent=" + "x" * 201, "of-agent=a&of-role=b"])
async def test_the_policy_page_takes_one_name(town: ConsoleTown, query: str) -> None:
    eve = await town.by_link()
    assert (await eve.get(f"/console/policy?{query}")).status in {400, 404}
