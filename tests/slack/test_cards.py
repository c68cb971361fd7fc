"""Cards: whoever looks at one sees all that will run, or finds no button to approve it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.core.actions import ActionState, Impact, Outcome
from assent.core.approvals import ApprovalState, DenialCategory, Vote
from assent.core.canonical import canonical
from assent.core.characters import hidden_characters
from assent.core.deliveries import Past
from assent.core.operators import Assurance, OperatorId
from assent.core.presence import Presence
from assent.core.reasons import Reason
from assent.core.rendering import spelled_out
from assent.slack import blocks
from assent.slack.cards import card, too_long, value_of
from assent.slack.telling import NO_ARGUMENTS
from assent.slack.view import Card, CardView, Press
from tests.contracts.samples import LATER, T0, action, approval
from tests.core.test_rendering import read_back

DANA, EVE = OperatorId("dana"), OperatorId("eve")
ATTACK = "<!channel> *bold* <https://evil.example|click> :tada: `code`\u202e\u200b & @here"
PENDING = CardView(
    approval=approval(),
    action=action(arguments=canonical({"cluster": "prod-eu", "replicas": 5})),
    now=T0,
    people={EVE: "U0EVE"},
    who=(EVE,),
)
DECIDED: dict[str, Any] = {"decided_at": LATER, "decided_by": EVE, "revision": 2}
APPROVED = approval(
    state=ApprovalState.APPROVED,
    votes=(Vote(operator=EVE, at=LATER, assurance=Assurance.SLACK, surface="slack"),),
    **DECIDED,
)
OUTCOME = Outcome(status=ActionState.SUCCEEDED, at=LATER, reported=True, duration_ms=41_000)


def with_outcome(status: ActionState, **changes: Any) -> CardView:
    outcome = replace(OUTCOME, status=status, **changes)
    return replace(PENDING, approval=APPROVED, action=replace(PENDING.action, state=status, outcome=outcome))


def approved(state: ActionState) -> CardView:
    return replace(PENDING, approval=APPROVED, action=replace(PENDING.action, state=state))


def not_approved(state: ApprovalState, **changes: Any) -> CardView:
    ended = ActionState.CANCELLED if state is ApprovalState.CANCELLED else ActionState.DENIED
    found = approval(state=state, decided_at=LATER, revision=2, **changes)
    reasons = (Reason.of("cancelled", ATTACK),) if ended is ActionState.CANCELLED else ()
    return replace(PENDING, approval=found, action=replace(PENDING.action, state=ended, reasons=reasons))


ENDED = {
    "waiting for the agent": approved(ActionState.READY),
    "Approved, running": approved(ActionState.EXECUTING),
    "Done, succeeded": with_outcome(ActionState.SUCCEEDED),
    "Done, failed": with_outcome(ActionState.FAILED, error=ATTACK),
    "nobody knows how it ended": with_outcome(ActionState.UNKNOWN, reported=False),
    "not picked up, nothing was run": approved(ActionState.LAPSED),
    "Revoked, nothing was run": approved(ActionState.REVOKED),
    "Denied, nothing was run": not_approved(
        ApprovalState.DENIED, decided_by=EVE, category=DenialCategory.TOO_RISKY, comment=ATTACK
    ),
    "Nobody answered in time, nothing was run": not_approved(ApprovalState.EXPIRED),
    "Cancelled, nothing was run": not_approved(ApprovalState.CANCELLED),
}


def nodes(node: object) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from nodes(value)
    elif isinstance(node, list | tuple):
        for item in node:
            yield from nodes(item)


def pressed(made: Card) -> set[str]:
    return {node["action_id"] for node in nodes(made.blocks) if "action_id" in node}


def what_runs(made: Card) -> str:
    (found,) = [node for node in nodes(made.blocks) if node.get("type") == "rich_text_preformatted"]
    return str(found["elements"][0]["text"])


def check(made: Card) -> None:
    """Hold a card to what every card keeps."""
    assert blocks.fits(made.blocks)
    assert not [node for node in nodes(made.blocks) if node.get("type") in {"mrkdwn", "link", "emoji", "broadcast"}]
    assert all(node["emoji"] is False for node in nodes(made.blocks) if node.get("type") == "plain_text")
    named = [block["block_id"] for block in made.blocks if "block_id" in block]
    assert len(named) == len(set(named))
    assert all(len(name) <= 255 for name in named)
    # Slack cannot turn a message with rich text into one without.
    assert [block for block in made.blocks if block["type"] == "rich_text"]
    for node in nodes(made.blocks):
        if node.get("type") == "button":
            assert len(node["text"]["text"]) <= blocks.MAX_BUTTON_CHARACTERS
            assert len(node["value"]) <= blocks.MAX_VALUE_CHARACTERS
        if node.get("type") == "overflow":
            assert 2 <= len(node["options"]) <= blocks.MAX_OVERFLOW_OPTIONS
            assert all(len(option["value"]) <= 150 for option in node["options"])
        if node.get("type") == "section":
            assert node["expand"] is True
            assert len(node["fields"]) <= blocks.MAX_FIELDS
    assert not any(hidden_characters(text.replace("\n", "")) for text in blocks.texts(list(made.blocks)))


@pytest.mark.requirement("P3")
def test_a_card_that_waits_shows_everything_and_can_be_approved() -> None:
    made = card(PENDING)

    check(made)
    assert made.is_approvable
    assert pressed(made) == {Press.APPROVE, Press.DENY, Press.MORE}
    assert read_back(what_runs(made).split("\n")) == {"cluster": "prod-eu", "replicas": 5}
    assert made.text == "K7Q-4MX deployer: k8s.scale prod — 5 min left"
    shown = " ".join(blocks.texts(list(made.blocks)))
    for told in ("dana", "digest abababababab", "shown in full", "Needs 1 of sre", "K7Q-4MX"):
        assert told in shown
    assert [node for node in nodes(made.blocks) if node.get("type") == "user"] == [{"type": "user", "user_id": "U0EVE"}]


@pytest.mark.parametrize("words", ENDED)
def test_a_card_that_ended_says_how_and_decides_nothing_any_more(words: str) -> None:
    made = card(ENDED[words])

    check(made)
    assert words in made.blocks[0]["text"]["text"]
    assert words in made.text
    assert "What was asked for" in str(made.blocks)
    assert "will run" not in str(made.blocks)
    assert not made.is_approvable
    assert not pressed(made) & {Press.APPROVE, Press.DENY, Press.MORE}
    assert (Press.REVOKE in pressed(made)) == (words == "waiting for the agent")
    assert (Press.TRIP in pressed(made)) == ("nothing was run" not in words)


def test_what_was_cancelled_says_why_and_the_agents_words_stay_text() -> None:
    made = card(ENDED["Cancelled, nothing was run"])
    check(made)
    assert f"the action was cancelled before it ran: {spelled_out(ATTACK)}" in " ".join(blocks.texts(list(made.blocks)))
    assert "cancelled before it ran" not in str(card(ENDED["Denied, nothing was run"]).blocks)


@pytest.mark.requirement("P3")
@settings(max_examples=60)
@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,12}", fullmatch=True),
        st.text(max_size=4_000) | st.lists(st.text(max_size=90), max_size=80),
        max_size=6,
    ).filter(lambda arguments: "\ud800" not in json.dumps(arguments))
)
def test_approve_stands_only_beside_all_that_will_run(arguments: dict[str, Any]) -> None:
    try:
        frozen = canonical(arguments)
    except ValueError:
        return
    made = card(replace(PENDING, action=replace(PENDING.action, arguments=frozen)))

    check(made)
    assert made.is_approvable == (Press.APPROVE in pressed(made)) == (made.whole is None)
    whole = what_runs(made) if made.whole is None else made.whole
    assert canonical(read_back([] if whole == NO_ARGUMENTS else whole.split("\n"))) == frozen


@pytest.mark.requirement("P3", "T3")
def test_what_does_not_fit_is_called_so_and_can_only_be_denied() -> None:
    long = replace(PENDING.action, arguments=canonical({"sql": "UPDATE ledger;\n" * 431}))
    made = card(replace(PENDING, action=long, page="https://assent.example/approvals/apr_1"))

    check(made)
    assert not made.is_approvable
    assert pressed(made) == {Press.OPEN, Press.DENY, Press.MORE}
    assert "beginning of 431 lines" in " ".join(blocks.texts(list(made.blocks)))
    assert "cannot be approved from Slack" in " ".join(blocks.texts(list(made.blocks)))
    assert made.blocks[0]["text"]["text"].startswith("Approval needed, not possible here")
    assert made.whole is not None
    assert made.whole.count("\n") == 430


def test_when_slack_finds_a_card_too_long_the_short_one_takes_its_place() -> None:
    made = too_long(PENDING)

    check(made)
    assert not made.is_approvable
    assert Press.APPROVE not in pressed(made)


@pytest.mark.requirement("P9")
def test_a_sensitive_value_is_not_shown_and_cannot_be_approved_here() -> None:
    secret = replace(PENDING.action, arguments=canonical({"token": "plum-cricket"}), sensitive=("token",))
    made = card(replace(PENDING, action=secret))

    check(made)
    assert not made.is_approvable
    assert "plum-cricket" not in json.dumps([made.text, *made.blocks, made.metadata, made.whole])
    assert "text of 12 characters" in what_runs(made)


@pytest.mark.requirement("T13")
@pytest.mark.parametrize("where", ["reason", "resource", "run_id", "how_bad", "undo", "arguments"])
def test_words_of_an_agent_are_inert_wherever_they_stand(where: str) -> None:
    changed: dict[str, Any] = {where: canonical({"note": ATTACK}) if where == "arguments" else ATTACK}
    hostile = replace(PENDING.action, **changed)
    made = card(replace(PENDING, action=hostile))

    check(made)
    assert "evil.example" in json.dumps(list(made.blocks))
    assert "evil.example" not in made.text


def test_characters_that_cannot_be_seen_are_spelled_and_counted() -> None:
    hostile = replace(PENDING.action, arguments=canonical({"note": "a\u202eb\u200b"}), reason="\u2066!")
    made = card(replace(PENDING, action=hostile))

    check(made)
    assert what_runs(made) == 'note = "a\\u{202e}b\\u{200b}"'
    assert "3 characters that cannot be seen" in " ".join(blocks.texts(list(made.blocks)))


def test_something_destructive_is_asked_twice() -> None:
    destructive = replace(PENDING.action, impact=Impact.DESTRUCTIVE)
    made = card(replace(PENDING, action=destructive))
    (approve,) = [node for node in nodes(made.blocks) if node.get("type") == "button" and "confirm" in node]

    assert approve["action_id"] == Press.APPROVE
    assert len(approve["confirm"]["text"]["text"]) <= blocks.MAX_CONFIRM_CHARACTERS


def test_an_owner_who_may_answer_alone_is_not_called_barred_and_the_card_says_so() -> None:
    alone = replace(PENDING, who=(DANA,))
    assert "Owner (cannot approve)" in " ".join(blocks.texts(list(card(PENDING).blocks)))
    assert "cannot approve" not in " ".join(blocks.texts(list(card(alone).blocks)))

    vote = Vote(operator=DANA, at=LATER, assurance=Assurance.SLACK, surface="slack")
    voted = replace(alone, approval=replace(APPROVED, votes=(vote,)))
    assert "Self-approved" in " ".join(blocks.texts(list(card(voted).blocks)))


def test_a_button_carries_what_was_shown() -> None:
    assert json.loads(value_of(PENDING)) == {"a": "apr_1", "r": 1, "d": "ab" * 8}


@pytest.mark.parametrize(
    ("is_quiet", "told"), [(False, "the agent waits"), (True, "the agent was not seen since"), (None, "")], ids=str
)
def test_a_card_says_whether_an_agent_that_waits_is_still_there(is_quiet: bool | None, told: str) -> None:
    there = Presence(id=PENDING.action.id, agent=PENDING.action.agent, seen_at=T0, is_quiet=bool(is_quiet))
    view = replace(PENDING, presence=None if is_quiet is None else there)
    said = " ".join(blocks.texts(list(card(view).blocks)))
    assert told in said
    assert is_quiet is not None or "the agent wa" not in said


@pytest.mark.parametrize(("least", "is_approvable"), [(Assurance.LINKED, True), (Assurance.CONSOLE, False)], ids=str)
def test_a_card_whose_route_takes_no_yes_from_slack_leads_to_where_it_is_given(
    least: Assurance, is_approvable: bool
) -> None:
    routes = tuple(replace(route, assurance=least) for route in PENDING.approval.routes)
    made = card(replace(PENDING, approval=replace(PENDING.approval, routes=routes), page="https://assent.example/1"))
    said = " ".join(blocks.texts(list(made.blocks)))
    pressed = {e.get("action_id") for block in made.blocks for e in block.get("elements", [])}
    assert made.is_approvable is is_approvable
    assert (Press.APPROVE in pressed, Press.OPEN in pressed) == (is_approvable, not is_approvable)
    assert ("its route takes no yes from Slack" in said) is not is_approvable
    assert "replicas" in said


def test_the_record_of_this_agent_with_this_tool_stands_beside() -> None:
    made = card(replace(PENDING, past=Past(succeeded=40, failed=1, denied=2)))

    check(made)
    assert "41 runs: 40 ok, 1 failed, 0 unknown; 2 not approved" in " ".join(blocks.texts(list(made.blocks)))


def test_many_people_are_counted_and_not_all_named() -> None:
    many = tuple(OperatorId(f"o{number}") for number in range(40))
    made = card(replace(PENDING, who=many))

    check(made)
    assert "and 30 more" in " ".join(blocks.texts(list(made.blocks)))


def test_the_same_view_gives_the_same_card_and_every_change_gives_new_block_ids() -> None:
    assert card(PENDING) == card(PENDING)
    moved = replace(PENDING, approval=replace(PENDING.approval, revision=2, expires_at=LATER + timedelta(minutes=1)))
    ids = [{block.get("block_id") for block in card(view).blocks if "block_id" in block} for view in (PENDING, moved)]
    assert not ids[0] & ids[1]
