"""The inbox and the page of one question: what stands there for whom, and what its forms do."""

import re
from dataclasses import replace
from html import unescape
from typing import Any

import pytest

from assent.core.diffs import DiffOf
from assent.core.operators import PERMISSION_SETS, Operator, OperatorId
from assent.flows.answers import Answered
from tests.console.town import Browser, ConsoleTown, text_of
from tests.flows.world import Tool, TownPolicy

NAUGHTY = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7*7 }}{% raw %}${7*7}",
    "<!-- --><![CDATA[",
    "&lt;b&gt;&amp;",
    "\u202etxt.exe\u2066\u200b\u00ad\ufeff",
    "a\u0000b".replace("\u0000", "\u0001"),
    "\U000e0041\U000e0042",
    "javascript:alert(1)",
    "\n\n</code></pre></main></html>\n",
)


async def asked_for(town: ConsoleTown, tool: str = "files.write", **changes: Any) -> Answered:
    asked = await town.world.ask(await town.world.agent(), tool, **changes)
    assert asked.approval is not None
    return asked


def path_of(asked: Answered) -> str:
    assert asked.approval is not None
    return f"/console/approvals/{asked.approval.id}"


def digest_of(asked: Answered) -> str:
    assert asked.approval is not None
    return asked.approval.digest[:16]


async def read_and_approve(browser: Browser, asked: Answered) -> None:
    shown = await browser.post(f"{path_of(asked)}/shown", digest=digest_of(asked), values="no")
    assert shown.status == 204, shown.body
    heard = await browser.post(f"{path_of(asked)}/approve", digest=digest_of(asked), comment="fine")
    assert (heard.status, heard.headers.get("location")) == (303, path_of(asked)), heard.body


async def test_the_inbox_shows_what_waits_for_me_and_what_waits_at_all(town: ConsoleTown) -> None:
    asked, eve, owner = await asked_for(town), await town.by_link(), await town.by_link("owner")
    assert asked.approval is not None
    assert asked.approval.code in text_of(await eve.get("/console/"))
    assert "Nothing waits for your answer" in text_of(await owner.get("/console/"))
    assert "not for you: you may not decide this approval: you own this agent" in text_of(
        await owner.get("/console/?show=open")
    )
    await read_and_approve(eve, asked)
    assert "Nothing waits" in text_of(await eve.get("/console/?show=open"))
    assert "by eve" in text_of(await eve.get("/console/?show=decided"))


async def test_the_inbox_opens_a_question_by_its_code(town: ConsoleTown) -> None:
    asked, eve = await asked_for(town), await town.by_link()
    assert asked.approval is not None
    heard = await eve.get(f"/console/?code={asked.approval.code.lower()}")
    assert heard.headers["location"] == path_of(asked)
    assert (await eve.get("/console/?code=NO-SUCH")).status == 404
    assert (await eve.get("/console/?show=no-such")).status == 404


async def test_the_inbox_goes_on_where_a_page_ends(town: ConsoleTown) -> None:
    eve, bot = await town.by_link(), await town.world.agent()
    town.world.policy = replace(town.world.policy, routes=town.world.policy.routes)
    seen = [await asked_for(town) for _ in range(3)]
    assert bot.agent == "bot"
    first = await eve.get("/console/?show=open")
    assert all(one.approval is not None and one.approval.code in text_of(first) for one in seen)
    assert seen[2].approval is not None
    older = text_of(await eve.get(f"/console/?show=open&before={seen[2].approval.id}"))
    assert seen[2].approval.code not in older
    assert seen[1].approval is not None
    assert seen[1].approval.code in older


@pytest.mark.requirement("T3", "P3")
async def test_the_page_shows_everything_and_who_may_answer(town: ConsoleTown) -> None:
    asked, eve = await asked_for(town, reason="because"), await town.by_link()
    page = await eve.get(path_of(asked))
    said = text_of(page)
    for part in ('path = "a"', 'env = "production"', '{"env":"production","path":"a"}', "because", "not verified"):
        assert part in said
    for part in ("Who can: eve, sam", "1 of oncall", asked.action.digest, "people were asked on the route default"):
        assert part in said
    assert b"data-approve" in page.body
    assert re.search(rb'<button class="go" disabled>Approve once</button>', page.body)


@pytest.mark.requirement("T4")
async def test_who_cannot_answer_is_told_why_and_gets_no_button(town: ConsoleTown) -> None:
    asked, owner = await asked_for(town), await town.by_link("owner")
    page = await owner.get(path_of(asked))
    assert "You cannot approve this: you may not decide this approval: you own this agent" in text_of(page)
    assert b"data-approve" not in page.body
    # The owner may still say no.
    assert b"/deny" in page.body
    heard = await owner.post(f"{path_of(asked)}/approve", digest=digest_of(asked))
    assert (heard.status, "you own this agent" in text_of(heard), "Who can: eve, sam" in text_of(heard)) == (
        403,
        True,
        True,
    )


@pytest.mark.requirement("T3")
async def test_a_yes_without_reading_is_refused_whatever_the_page_does(town: ConsoleTown) -> None:
    asked, eve = await asked_for(town), await town.by_link()
    heard = await eve.post(f"{path_of(asked)}/approve", digest=digest_of(asked))
    assert heard.status == 403
    assert "has not been on the screen" in text_of(heard)


@pytest.mark.requirement("P3")
async def test_a_yes_to_something_else_is_refused(town: ConsoleTown) -> None:
    asked, eve = await asked_for(town), await town.by_link()
    await eve.post(f"{path_of(asked)}/shown", digest=digest_of(asked), values="no")
    for digest in ("", "0" * 16, digest_of(asked)[:7]):
        heard = await eve.post(f"{path_of(asked)}/approve", digest=digest)
        assert heard.status == 409, heard.body


async def test_a_yes_counts_and_can_be_taken_back(town: ConsoleTown) -> None:
    asked, eve = await asked_for(town), await town.by_link()
    await read_and_approve(eve, asked)
    page = text_of(await eve.get(path_of(asked)))
    assert "Approved, waiting for the agent" in page
    assert "eve said yes (console, console)" in page
    assert (await eve.post(f"{path_of(asked)}/revoke", reason="no")).status == 303
    assert "Revoked, nothing was run" in text_of(await eve.get(path_of(asked)))


async def test_a_no_needs_a_category_and_can_be_let_again(town: ConsoleTown) -> None:
    asked, eve = await asked_for(town), await town.by_link()
    assert (await eve.post(f"{path_of(asked)}/deny", category="", reason="x")).status == 400
    assert (await eve.post(f"{path_of(asked)}/deny", category="too_risky", reason="x" * 2_001)).status == 400
    assert (await eve.post(f"{path_of(asked)}/deny", category="too_risky", reason="not now")).status == 303
    page = text_of(await eve.get(path_of(asked)))
    assert "eve said no: too risky" in page
    assert "not now" in page
    assert (await eve.post(f"{path_of(asked)}/let-again", reason="it is fine")).status == 303
    assert "let it be asked again" in text_of(await eve.get(path_of(asked)))


@pytest.mark.requirement("T18")
async def test_who_comes_second_is_told_who_was_first(town: ConsoleTown) -> None:
    asked, eve, sam = await asked_for(town), await town.by_link(), await town.by_link("sam")
    await sam.post(f"{path_of(asked)}/shown", digest=digest_of(asked), values="no")
    await read_and_approve(eve, asked)
    heard = await sam.post(f"{path_of(asked)}/approve", digest=digest_of(asked))
    assert (heard.status, "by `eve`" in text_of(heard)) == (409, True)


@pytest.mark.requirement("P7")
async def test_what_ran_out_is_told_as_that(town: ConsoleTown) -> None:
    asked, eve = await asked_for(town), await town.by_link()
    await eve.post(f"{path_of(asked)}/shown", digest=digest_of(asked), values="no")
    town.world.clock.forward(hours=1)
    heard = await eve.post(f"{path_of(asked)}/approve", digest=digest_of(asked))
    assert (heard.status, "nobody denied it" in text_of(heard)) == (410, True)


@pytest.mark.requirement("P9", "T3")
async def test_a_sensitive_value_is_shown_on_request_and_then_approvable(town: ConsoleTown) -> None:
    tools = {**TownPolicy().tools, "db.secret": Tool(sensitive=("note",))}
    town.world.policy = replace(town.world.policy, tools=tools)
    asked, eve, sam = (
        await asked_for(town, "db.secret", arguments={"env": "production", "note": "hunter2"}),
        await town.by_link(),
        await town.by_link("sam"),
    )
    before = await eve.get(path_of(asked))
    assert b"hunter2" not in before.body
    assert "note = (sensitive, not shown: text of 7 characters)" in text_of(before)
    assert (await eve.post(f"{path_of(asked)}/shown", digest=digest_of(asked), values="no")).status == 403
    assert (await eve.post(f"{path_of(asked)}/reveal", reason="deciding")).status == 303
    after = await eve.get(path_of(asked))
    assert after.body.count(b"hunter2") == 2
    assert b'data-values="yes"' in after.body
    assert b"hunter2" not in (await sam.get(path_of(asked))).body
    assert (await eve.post(f"{path_of(asked)}/shown", digest=digest_of(asked), values="yes")).status == 204
    assert (await eve.post(f"{path_of(asked)}/approve", digest=digest_of(asked))).status == 303


@pytest.mark.requirement("P9")
async def test_who_reads_no_payload_is_shown_no_value(town: ConsoleTown) -> None:
    auditor = Operator(id=OperatorId("aud"), permissions=PERMISSION_SETS["auditor"])
    town.world.policy = replace(town.world.policy, people=(*town.world.policy.people, auditor))
    arguments = {"env": "production", "path": "canary-path"}
    asked, aud = await asked_for(town, arguments=arguments, reason="canary-reason"), await town.by_token("aud")
    page = await aud.get(path_of(asked))
    assert page.status == 200
    assert b"canary" not in page.body
    assert b"data-approve" not in page.body
    assert (await aud.post(f"{path_of(asked)}/shown", digest=digest_of(asked))).status == 403
    assert (await aud.post(f"{path_of(asked)}/reveal")).status == 403


@pytest.mark.requirement("T3", "T17")
@pytest.mark.parametrize("text", NAUGHTY)
async def test_naughty_text_is_text_wherever_it_stands(town: ConsoleTown, text: str) -> None:
    eve = await town.by_link()
    arguments = {"env": "production", "path": text, text: {"deep": [text]}}
    asked = await asked_for(town, arguments=arguments, reason=text, run_id="r")
    await eve.post(f"{path_of(asked)}/deny", category="other", reason=text)
    body = ""
    for path in ("/console/?show=decided", path_of(asked)):
        body = (await eve.get(path)).body.decode()
        assert re.findall(r"<script[^>]*>", body) == ['<script type="module" src="/console/static/console.js">']
        assert not re.search(
            r"<(?!/?(?:a|blockquote|body|button|code|datalist|dd|details|div|dl|dt|footer|form|h1|h2|head|header|"
            r"html|img|input|label|li|link|main|meta|nav|noscript|ol|option|p|pre|script|section|select|"
            r"span|strong|summary|time|title|ul|!doctype)\b)",
            body,
        ), body
        assert not re.search(r"<[^>]*\son[a-z]+=", body)
        assert not re.search("[\u0001\u200b\u202e\u2066\u00ad\ufeff\U000e0041]", body)
        assert body.count("<img") == 1
    if text.isascii() and text.isprintable():
        assert text in unescape(body)


@pytest.mark.requirement("T3")
async def test_a_hundred_kilobytes_are_shown_to_the_last_character(town: ConsoleTown) -> None:
    eve, bot = await town.by_link(), "\n".join(f"line {number} " + "x" * 90 for number in range(1_000))
    asked = await asked_for(town, arguments={"env": "production", "path": bot})
    lines = re.findall(r"<li><code>(.*?)</code></li>", (await eve.get(path_of(asked))).body.decode())
    assert len(lines) == 1_001
    read = "".join(unescape(line).removeprefix("  ").removeprefix('path = "').removesuffix('"') for line in lines[1:])
    assert read.replace("\\n", "\n") == bot


@pytest.mark.requirement("T17")
async def test_what_is_not_there_is_not_found_and_a_foreign_form_changes_nothing(town: ConsoleTown) -> None:
    eve = await town.by_link()
    for path in ("/console/approvals/apr_none", "/console/approvals/..%2f"):
        assert (await eve.get(path)).status == 404
    for act in ("shown", "reveal", "approve", "revoke", "let-again"):
        assert (await eve.post(f"/console/approvals/apr_none/{act}", digest="0" * 16)).status == 404, act


async def edited(town: ConsoleTown, diff: DiffOf, *, sensitive: tuple[str, ...] = (), **arguments: str) -> Answered:
    tools = {**TownPolicy().tools, "config.edit": Tool(diff=diff, sensitive=sensitive)}
    town.world.policy = replace(town.world.policy, tools=tools)
    return await asked_for(town, "config.edit", arguments={"env": "production", **arguments})


BOTH = DiffOf(before="old", after="new")


@pytest.mark.requirement("T3", "P3")
async def test_what_the_catalogue_calls_a_diff_is_shown_as_one_and_whole(town: ConsoleTown) -> None:
    asked = await edited(town, BOTH, old="a\nlimit: 5\n<b>\n", new="a\nlimit: 50\n<b>\n\u202e")
    eve = await town.by_link()
    page = await eve.get(path_of(asked))
    body, said = page.body.decode(), text_of(page)
    assert "old = (below, as a diff: text of 15 characters)" in said
    assert "- limit: 5 + limit: 5 0" in said
    assert '<li class="before"><span class="sign">-</span><code>limit: 5</code></li>' in body
    assert '<li class="after"><span class="sign">+</span><code>limit: 5<mark>0</mark></code></li>' in body
    assert '<li class="both"><span class="sign"> </span><code>&lt;b&gt;</code></li>' in body
    assert '\\u{202e}</code> <span class="tag">no line feed at its end</span>' in body
    assert "From old to new (1 line removed, 2 added)" in said
    assert "1 characters that cannot be seen" in said
    assert "The broker did not look at what really stands there" in said
    # The bytes themselves stay, and the button wakes behind all of it.
    assert '"old":"a\\nlimit: 5\\n' in said
    assert body.index('class="diff"') < body.index("data-last-line")
    await read_and_approve(eve, asked)


@pytest.mark.requirement("T3", "P9")
async def test_a_diff_of_what_is_not_shown_or_not_there_is_none(town: ConsoleTown) -> None:
    eve = await town.by_link()
    for diff, hidden, given, why in (
        (BOTH, ("old",), {"old": "hunter2", "new": "b"}, "not all of it is shown to you"),
        (BOTH, (), {"new": "hunter2"}, "one of the texts is not there"),
        (DiffOf(patch="new"), (), {"new": "hunter2"}, "this is no unified diff"),
    ):
        asked = await edited(town, diff, sensitive=hidden, **given)
        page = await eve.get(path_of(asked))
        assert why in text_of(page)
        assert b'class="diff"' not in page.body
        assert (b"hunter2" in page.body) is ("not all" not in why)


@pytest.mark.requirement("P3")
async def test_a_diff_counts_only_while_the_entry_is_the_one_that_was_judged(town: ConsoleTown) -> None:
    asked, eve = await edited(town, BOTH, old="a", new="b"), await town.by_link()
    assert b'class="diff"' in (await eve.get(path_of(asked))).body
    changed = Tool(diff=DiffOf(before="new", after="old"), definition="2")
    town.world.policy = replace(town.world.policy, tools={**town.world.policy.tools, "config.edit": changed})
    page = await eve.get(path_of(asked))
    assert b'class="diff"' not in page.body
    assert 'old = "a"' in text_of(page)


@pytest.mark.requirement("T23")
async def test_a_yes_while_another_policy_is_taken_up_counts_nothing_and_says_so(town: ConsoleTown) -> None:
    asked, eve = await asked_for(town), await town.by_link()
    await eve.post(f"{path_of(asked)}/shown", digest=digest_of(asked), values="no")
    await town.world.another_is_active()
    heard = await eve.post(f"{path_of(asked)}/approve", digest=digest_of(asked), comment="fine")
    assert (heard.status, "taking up another policy" in text_of(heard)) == (503, True)
    assert "approval.voted" not in await town.world.kinds()
