"""Agents, people, activity, policy and numbers: what each page shows, to whom, and what its forms do."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from assent.console.counting import count
from assent.console.prose import blocks_of, pieces_of
from assent.core.approvals import Approval, ApprovalState, DenialCategory, Vote
from assent.core.credentials import Kind
from assent.core.decisions import Answer
from assent.core.explanations import Asking, DocumentFormat, Explanation, RuleSaid
from assent.core.operators import PERMISSION_SETS, Assurance, Operator, OperatorId, Permission
from assent.core.publications import PublicationId
from assent.core.reasons import Reason
from assent.flows.active_policy import Activating, activate
from assent.flows.authenticate import operator
from assent.ports import Policies, Policy, Tx
from tests.console.test_approval import asked_for, digest_of, path_of
from tests.console.town import ConsoleTown, text_of
from tests.contracts.samples import FULL_PUBLICATION
from tests.core.samples import NOW, an_approval

NAUGHTY = "<script>alert(1)</script>\u202e"
DOCUMENT = f"""# Access policy

Whatever is not written
here is denied.

## Role `r`

- may `files.read`
  in staging
- never `x`

| tool | impact |
|:---|---|
| a\\|b | {NAUGHTY} |
"""


class Shelf:
    """A policy with a document; another version may wait."""

    def __init__(self, policy: Policy) -> None:
        self.current = policy
        self.waiting: Policy | None = None

    def version_on_disk(self) -> str | None:
        return None

    def document(self, policy: Policy, kind: DocumentFormat, now: datetime, **which: str | None) -> str:
        return DOCUMENT

    def explain(self, policy: Policy, asking: Asking, now: datetime) -> Explanation:
        rule = RuleSaid(id="r", role="ops", effect="allow", at="roles/ops.yaml:3", says="may write", failed=(NAUGHTY,))
        return Explanation(
            agent=asking.agent,
            tool=asking.tool,
            decision=Answer.DENY,
            reasons=(Reason.of("no_rule"),),
            policy_version=policy.version,
            nearly=(rule,),
            hints=(f"it was asked with {sorted(asking.arguments)}",),
        )


@pytest.fixture
async def town(town: ConsoleTown) -> ConsoleTown:
    shelf = cast("Policies", Shelf(town.world.policy))
    town.world.broker = replace(town.world.broker, policies=shelf)
    return ConsoleTown(town.world)


async def test_agents_are_listed_with_whether_they_may_act(town: ConsoleTown) -> None:
    eve, bot = await town.by_link(), await town.world.agent()
    await town.world.ask(bot, "files.read")
    said = text_of(await eve.get("/console/agents"))
    assert "bot may ask owner owner r 1 live key last asked 2026-11-23 10:00:00 UTC" in said
    assert "other may ask owner owner r 0 live keys has not asked lately" in said
    page = text_of(await eve.get("/console/agents/bot"))
    assert "revoke bot" in page
    assert "may files.read in staging" in page
    assert (await eve.get("/console/agents/nobody")).status == 404


@pytest.mark.requirement("P6")
async def test_an_agent_is_suspended_and_goes_on(town: ConsoleTown) -> None:
    eve, bot = await town.by_link(), await town.world.agent()
    await town.world.ask(bot)
    assert (await eve.post("/console/agents/bot/suspend", reason=" ")).status == 400
    heard = await eve.post("/console/agents/bot/suspend", reason="odd")
    assert "Suspended: bot" in text_of(heard)
    assert "Cut off: 1" in text_of(heard)
    assert (await town.world.ask(bot)).decision.reasons[0].code == "agent_suspended"
    assert "Ask to let it go on" in text_of(await eve.get("/console/agents/bot"))
    asked = await eve.post("/console/agents/bot/resume", reason="looked into")
    assert (asked.status, "Who can: admin, sam" in text_of(asked)) == (202, True)
    sam = await town.by_link("sam")
    page = text_of(await sam.get("/console/agents/bot"))
    assert "eve asks to let it go on" in page
    assert "Agree: let it go on" in page
    refused = await (await town.by_link("owner")).post("/console/agents/bot/resume", reason="it is mine")
    assert (refused.status, "you own this agent" in text_of(refused)) == (403, True)
    assert (await sam.post("/console/agents/bot/resume", reason="so did I")).status == 303
    assert "It may ask." in text_of(await eve.get("/console/agents/bot"))


async def test_people_are_listed_with_their_tokens_and_one_is_revoked(town: ConsoleTown) -> None:
    admin, token = await town.by_link("admin"), await town.world.token(Kind.OPERATOR, "sam")
    key = (await operator(town.world.broker, token, "api")).token.id
    sam = await town.browser().sign_in(token)
    said = text_of(await admin.get("/console/people"))
    assert f"Token {key} , issued by admin" in said
    assert token.rpartition("_")[2] not in said
    eve = await town.by_link()
    assert (await eve.post(f"/console/people/sam/tokens/{key}/revoke")).status == 403
    assert (await admin.post(f"/console/people/sam/tokens/{key}/revoke")).status == 303
    assert "no live token" in text_of(await admin.get("/console/people"))
    # What it opened is over with it.
    assert (await sam.get("/console/")).status == 303


async def test_activity_is_found_by_who_and_what_and_leads_to_the_life_of_an_action(town: ConsoleTown) -> None:
    eve, bot = await town.by_link(), await town.world.agent()
    asked = await town.world.ask(bot)
    await town.world.ask(await town.world.agent("other"), "files.read")
    said = text_of(await eve.get("/console/activity"))
    assert "bot asked for files.write in production: a human decides" in said
    assert "key.issued" not in said.partition("Older ones")[0].rpartition("everything")[2]
    assert "other asked" not in text_of(await eve.get("/console/activity?agent=bot"))
    assert "eve signed in at the console with a link" in text_of(await eve.get("/console/activity?kind=session.opened"))
    assert "session.opened" in text_of(await eve.get("/console/activity?all=1"))
    story = text_of(await eve.get(f"/console/activity/{asked.action.id}"))
    assert "people were asked on the route default" in story
    assert "Now pending" in story
    assert (await eve.get("/console/activity/act_none")).status == 404


async def test_activity_goes_on_where_a_page_ends(town: ConsoleTown) -> None:
    eve, bot = await town.by_link(), await town.world.agent()
    for _ in range(52):
        await town.world.ask(bot, "files.read")
    heard = await eve.get("/console/activity?agent=bot&kind=action.decided")
    assert heard.body.count(b"<li>") == 50
    link = heard.body.decode().partition("/console/activity?before=")[2].partition('"')[0].replace("&amp;", "&")
    older = await eve.get(f"/console/activity?before={link}")
    assert older.body.count(b"<li>") == 2


@pytest.mark.parametrize(
    "query", ["before=x", "before=-1", "before=" + "9" * 30, "agent=" + "a" * 201, "before=%C2%B2"]
)
async def test_what_is_no_place_and_no_name_is_refused(town: ConsoleTown, query: str) -> None:
    assert (await (await town.by_link()).get(f"/console/activity?{query}")).status == 400


@pytest.mark.requirement("T17")
async def test_the_policy_is_shown_as_text(town: ConsoleTown) -> None:
    heard = await (await town.by_link()).get("/console/policy")
    assert "Whatever is not written here is denied." in text_of(heard)
    assert b"<script>alert" not in heard.body
    assert "\u202e" not in heard.body.decode()
    assert "cannot be read" in text_of(heard)


async def test_a_policy_that_waits_is_told_with_what_it_widens(town: ConsoleTown) -> None:
    policies = cast("Any", town.world.broker.policies)
    policies.waiting = replace(town.world.policy, version="v2", changes=cast("Any", ("bot may now write",)))
    said = text_of(await (await town.by_link()).get("/console/policy"))
    assert "assent policy activate v2" in said
    assert "bot may now write" in said


@pytest.mark.requirement("T23", "T17")
async def test_who_reviewed_what_serves_and_what_waits_is_shown_as_text(town: ConsoleTown) -> None:
    policies, version = cast("Any", town.world.broker.policies), town.world.policy.version
    policies.waiting = replace(town.world.policy, version="v2", changes=cast("Any", ("bot may now write",)))
    eve = await town.by_link()
    naughty = replace(FULL_PUBLICATION.review, author="<script>alert(1)</script>")

    async def publish(tx: Tx) -> None:
        await tx.add(replace(FULL_PUBLICATION, version=version, review=naughty))
        await activate(tx, Activating(version=version, previous=None, changes=None))
        await tx.add(replace(FULL_PUBLICATION, id=PublicationId("pub_00000004"), version="v2"))

    await town.world.ledger.transact(publish)
    heard = await eve.get("/console/policy")
    said = text_of(heard)
    assert "written by <script>alert(1)</script>, reviewed by eve" in said
    assert said.count("published by dana") == 2, "what serves, and what waits"
    assert "which is not read" in said
    assert b"<script>alert" not in heard.body


async def test_what_a_directory_brought_is_shown_as_reviewed_by_nobody(town: ConsoleTown) -> None:
    eve = await town.by_link()
    await town.world.another_is_active()
    said = text_of(await eve.get("/console/policy"))
    assert "none on record: it was taken up from a policy directory" in said
    assert "Nothing but reads is decided here" in said


async def test_a_question_is_tried_out_and_nothing_is_asked_or_recorded(town: ConsoleTown) -> None:
    eve = await town.by_link()
    before = await town.world.kinds()
    heard = await eve.post("/console/policy/explain", agent="bot", tool="files.write", arguments='{"path": "a"}')
    said = text_of(heard)
    assert "Denied : files.write for bot" in said
    assert "No rule matches; the nearest: r (ops, roles/ops.yaml:3) may write but <script>" in said
    assert "it was asked with ['path']" in said
    assert b"<script>alert" not in heard.body
    assert await town.world.kinds() == before


WRONG = [{"agent": ""}, {"tool": "x" * 201}, {"arguments": "{"}, {"arguments": "[]"}, {"arguments": '{"a":1,"a":2}'}]


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_question_that_is_none_is_refused(town: ConsoleTown, wrong: dict[str, str]) -> None:
    asked = {"agent": "bot", "tool": "files.write", "arguments": "{}"} | wrong
    assert (await (await town.by_link()).post("/console/policy/explain", **asked)).status == 400


async def test_a_version_is_confirmed_by_who_may_and_only_the_one_that_waits(town: ConsoleTown) -> None:
    policies = cast("Any", town.world.broker.policies)
    policies.waiting = replace(town.world.policy, version="v2", changes=cast("Any", ("bot may now write",)))
    may = frozenset({Permission.APPROVALS_READ, Permission.POLICY_ACTIVATE})
    boss = Operator(id=OperatorId("boss"), permissions=may)
    town.world.policy = replace(town.world.policy, people=(*town.world.policy.people, boss))
    eve, admin = await town.by_link(), await town.by_token("boss")
    assert "Let this version serve" not in text_of(await eve.get("/console/policy"))
    assert (await eve.post("/console/policy/activate", digest="v2")).status == 403
    assert "Let this version serve" in text_of(await admin.get("/console/policy"))
    assert (await admin.post("/console/policy/activate", digest="v3")).status == 409
    assert policies.waiting is not None


async def test_who_may_not_look_is_told_so(town: ConsoleTown) -> None:
    people = (*town.world.policy.people, Operator(id=OperatorId("new"), permissions=frozenset()))
    approver = Operator(id=OperatorId("app"), permissions=PERMISSION_SETS["approver"])
    town.world.policy = replace(town.world.policy, people=(*people, approver))
    new, app = await town.by_token("new"), await town.by_token("app")
    for path in ("", "activity", "agents", "agents/bot", "people", "policy", "numbers", "breakers"):
        assert (await new.get(f"/console/{path}")).status == 403, path
    assert {path: (await app.get(f"/console/{path}")).status for path in ("", "activity", "agents", "policy")} == {
        "": 200,
        "activity": 403,
        "agents": 403,
        "policy": 200,
    }


async def test_numbers_say_who_answered_and_how_fast(town: ConsoleTown) -> None:
    eve = await town.by_link()
    assert "No question has ended yet" in text_of(await eve.get("/console/numbers"))
    asked = await asked_for(town)
    town.world.clock.forward(seconds=90)
    await eve.post(f"{path_of(asked)}/shown", digest=digest_of(asked), values="no")
    await eve.post(f"{path_of(asked)}/approve", digest=digest_of(asked))
    said = text_of(await eve.get("/console/numbers"))
    assert "Of the 1 questions" in said
    assert "eve 1 0 1 min 0" in said


def answered(after_seconds: float, *, state: ApprovalState = ApprovalState.APPROVED, by: str = "eve") -> Approval:
    at, person = NOW + timedelta(seconds=after_seconds), OperatorId(by)
    votes: Sequence[Vote] = ()
    if state is ApprovalState.APPROVED:
        votes = (Vote(operator=person, at=at, assurance=Assurance.CONSOLE, surface="console"),)
    denied = state is ApprovalState.DENIED
    return replace(
        an_approval(),
        asked_at=NOW,
        state=state,
        votes=tuple(votes),
        decided_at=at,
        decided_by=person,
        category=DenialCategory.TOO_RISKY if denied else None,
    )


def test_a_yes_in_two_seconds_is_counted_as_too_fast_and_what_is_never_denied_is_named() -> None:
    fast = [answered(2.0) for _ in range(4)]
    numbers = count([*fast, answered(60.0)])
    (eve,) = numbers.people
    assert (eve.yes, eve.no, eve.median_seconds, eve.too_fast) == (5, 0, 2.0, 4)
    assert numbers.always_yes == ((fast[0].tool, 5),)
    both = count([*fast, answered(60.0), answered(9.0, state=ApprovalState.DENIED, by="sam")])
    assert both.always_yes == ()
    assert both.by_category == (("too_risky", 1),)
    assert [one.person for one in both.people] == ["eve", "sam"]
    assert count([]).asked == 0


def test_a_document_comes_apart_into_its_parts_in_order() -> None:
    found = blocks_of(DOCUMENT)
    assert [block.kind for block in found] == ["heading", "paragraph", "heading", "list", "table"]
    assert found[1].text == "Whatever is not written here is denied."
    assert (found[0].level, found[2].level) == (2, 3)
    assert found[3].items == ("may `files.read` in staging", "never `x`")
    assert found[4].rows == (("tool", "impact"), ("a|b", NAUGHTY))
    assert blocks_of("") == ()


def test_marks_in_a_line_become_kinds_and_a_lone_mark_stays() -> None:
    assert pieces_of("may `files.read` in **staging** `x") == (
        ("plain", "may "),
        ("code", "files.read"),
        ("plain", " in "),
        ("strong", "staging"),
        ("plain", " `x"),
    )
    assert pieces_of("``a`b``") == (("code", "a`b"),)
    assert pieces_of("") == ()
