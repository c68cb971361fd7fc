"""What a card tells: how it stands, what will run, who was asked, how it ended; for somebody woken at night."""

from dataclasses import dataclass
from typing import Final

from assent.core.actions import Action, ActionState
from assent.core.approvals import OPEN, Approval, ApprovalState, Need, Vote, is_self_approved
from assent.core.characters import invisible_count
from assent.core.deliveries import Past
from assent.core.operators import Assurance, OperatorId
from assent.core.rendering import argument_lines, spelled_out
from assent.slack import blocks
from assent.slack.blocks import Part, person, time_of_day, words
from assent.slack.view import CardView

MAX_INLINE_CHARACTERS: Final = 2_800
MAX_INLINE_LINES: Final = 60
LINES_OF_A_LONG_ONE: Final = 12
MAX_REASON_CHARACTERS: Final = 500
MAX_NAMED_PEOPLE: Final = 10
DIGEST_SHOWN: Final = 12
NO_ARGUMENTS: Final = "(no arguments)"
_SECONDS_IN_A_MINUTE: Final = 60


@dataclass(frozen=True, slots=True)
class Shown:
    """What will run, as lines, and whether all of it stands on the card."""

    lines: tuple[str, ...]
    is_whole: bool

    @property
    def text(self) -> str:
        """All of it as one text."""
        return "\n".join(self.lines)


def shown_of(view: CardView) -> Shown:
    """Return what will run as lines, whole when it is short enough to be read on a phone."""
    lines = tuple(argument_lines(view.action.arguments, sensitive=view.action.sensitive))
    fits = len(lines) <= MAX_INLINE_LINES and sum(map(len, lines)) + len(lines) <= MAX_INLINE_CHARACTERS
    return Shown(lines, is_whole=fits)


_WITHDRAWN: Final = frozenset({ActionState.CANCELLED, ActionState.REVOKED})
_NOT_RUN: Final = "nothing was run"
_ENDED: Final = {
    ActionState.READY: "Approved, waiting for the agent",
    ActionState.EXECUTING: "Approved, running",
    ActionState.SUCCEEDED: "Done, succeeded",
    ActionState.FAILED: "Done, failed",
    ActionState.UNKNOWN: "Ran, nobody knows how it ended",
    ActionState.LAPSED: f"Approved, not picked up, {_NOT_RUN}",
    ActionState.REVOKED: f"Revoked, {_NOT_RUN}",
    ActionState.CANCELLED: f"Cancelled, {_NOT_RUN}",
}
_NOT_APPROVED: Final = {
    ApprovalState.DENIED: f"Denied, {_NOT_RUN}",
    ApprovalState.EXPIRED: f"Nobody answered in time, {_NOT_RUN}",
    ApprovalState.CANCELLED: f"Cancelled, {_NOT_RUN}",
}


def headline(view: CardView, *, is_approvable: bool) -> str:
    """Return how it stands, in a few words."""
    if view.approval.state in OPEN:
        return "Approval needed" if is_approvable else "Approval needed, not possible here"
    return _ended(view)


def _ended(view: CardView) -> str:
    return _NOT_APPROVED.get(view.approval.state) or _ENDED.get(view.action.state, view.action.state.value)


def is_answered_here(approval: Approval) -> bool:
    """Whether a yes from Slack can count for any route; whoever linked their account is as sure as it gets here."""
    return any(route.assurance <= Assurance.LINKED for route in approval.routes)


def notification(view: CardView) -> str:
    """Return the one line that stands on a phone's lock screen: no word of it comes from an agent."""
    approval = view.approval
    lead = f"{approval.code} {approval.agent}: {approval.tool} {approval.environment}"
    if approval.state in OPEN:
        return blocks.inert(f"{lead} — {_minutes_left(view)}")
    return blocks.inert(f"{lead} — {_ended(view)}")


def _minutes_left(view: CardView) -> str:
    seconds = (view.approval.expires_at - view.now).total_seconds()
    return f"{max(0, int(seconds // _SECONDS_IN_A_MINUTE))} min left"


def facts(view: CardView) -> dict[str, str]:
    """Return who, where, how bad, how back and by which rules; every value spelled out."""
    approval, action = view.approval, view.action
    run = f" · run {action.run_id}" if action.run_id else ""
    named = {
        "Agent": f"{approval.agent}{run}",
        _owner_is(view): approval.owner,
        "Where": f"{action.environment} · {action.resource}",
        "How bad": action.how_bad or f"a {action.impact} action; its entry does not say more",
        "Undo": action.undo or "its entry names no way back",
        "Rules": ", ".join(action.rules) or "-",
    }
    if view.past is not None:
        named["Asked before, 30 days"] = _past(view.past)
    return {name: spelled_out(value) for name, value in named.items()}


def _owner_is(view: CardView) -> str:
    is_barred = view.approval.state in OPEN and view.approval.owner not in view.who
    return "Owner (cannot approve)" if is_barred else "Owner"


def _past(past: Past) -> str:
    runs = past.succeeded + past.failed + past.unknown
    if runs + past.denied == 0:
        return "people were never asked this before"
    return f"{runs} runs: {past.succeeded} ok, {past.failed} failed, {past.unknown} unknown; {past.denied} not approved"


def what(view: CardView, shown: Shown) -> list[Part]:
    """Return what will run, and below it what the agent says about it."""
    found = [blocks.line(words(_how_much(view, shown), bold=True)), blocks.preformatted(_inline(shown))]
    if (unseen := _unseen(view.action)) > 0:
        found.append(blocks.line(words(f"{unseen} characters that cannot be seen are written \\u{{…}}", bold=True)))
    if view.action.reason:
        found.append(blocks.line(words("The agent says (not verified)", bold=True)))
        found.append(blocks.quote(blocks.cut(spelled_out(view.action.reason), MAX_REASON_CHARACTERS)))
    return found


def _how_much(view: CardView, shown: Shown) -> str:
    size = f"{len(view.action.arguments)} bytes, digest {view.approval.digest[:DIGEST_SHOWN]}"
    if view.approval.state not in OPEN:
        part = "in full" if shown.is_whole else f"the beginning of {len(shown.lines)} lines"
        return f"What was asked for ({size}, {part})"
    if not shown.is_whole:
        count = len(shown.lines)
        return f"The beginning of {count} lines ({size}). The rest is not shown — cannot be approved from Slack"
    if view.action.to_be_revealed:
        return f"Everything but sensitive values ({size}) — cannot be approved from Slack"
    if not is_answered_here(view.approval):
        return f"Exactly this will run ({size}, shown in full); its route takes no yes from Slack"
    if view.action.sensitive:
        return f"This will run; what is not shown is declared opaque, it cannot change what happens ({size})"
    return f"Exactly this will run ({size}, shown in full)"


def _inline(shown: Shown) -> str:
    if shown.is_whole:
        return shown.text or NO_ARGUMENTS
    return blocks.cut("\n".join(shown.lines[:LINES_OF_A_LONG_ONE]), MAX_INLINE_CHARACTERS // 2)


def _unseen(action: Action) -> int:
    spelled = action.arguments.decode()
    # In the canonical form every control character is escaped already, and counts as seen.
    return invisible_count(spelled) + invisible_count(action.reason.replace("\n", ""))


def people(view: CardView) -> list[Part]:
    """Return whose answer is needed, who gave one and who still can."""
    approval = view.approval
    found = [_needed(route.name, need, route.assurance.name) for route in approval.routes for need in route.needs]
    found += [_voted(view, vote) for vote in approval.votes]
    if is_self_approved(approval):
        found.append(blocks.line(words("Self-approved: the owner answered alone, under `single_person`", bold=True)))
    if approval.state in OPEN:
        found.append(_who_can(view))
    elif approval.decided_by is not None and approval.state is ApprovalState.DENIED:
        found.append(_denied(view, approval.decided_by))
        if approval.comment:
            found.append(blocks.quote(blocks.cut(spelled_out(approval.comment), MAX_REASON_CHARACTERS)))
    return found + _why_withdrawn(view.action)


def _why_withdrawn(action: Action) -> list[Part]:
    """Return why what was asked or allowed came to nothing; an agent's own words may stand in it."""
    if action.state not in _WITHDRAWN or not action.reasons:
        return []
    why = blocks.cut(spelled_out(action.reasons[-1].message), MAX_REASON_CHARACTERS)
    return [blocks.line(words("Why (after a colon somebody's own words, not verified)", bold=True)), blocks.quote(why)]


def _needed(route: str, need: Need, assurance: str) -> Part:
    return blocks.line(words(f"Needs {need.count} of {need.of} ({route}, {assurance.lower()} or better)"))


def _voted(view: CardView, vote: Vote) -> Part:
    return blocks.line(_name(view, vote.operator), words(f" approved ({vote.surface}) at "), time_of_day(vote.at))


def _who_can(view: CardView) -> Part:
    named = [_name(view, operator) for operator in view.who[:MAX_NAMED_PEOPLE]]
    separated = [part for one in named for part in (words(" "), one)]
    more = len(view.who) - len(named)
    return blocks.line(words("Can answer:"), *separated, *([words(f" and {more} more")] if more else []))


def _denied(view: CardView, operator: OperatorId) -> Part:
    category = view.approval.category
    why = "" if category is None else f": {category.value.replace('_', ' ')}"
    return blocks.line(_name(view, operator), words(f" denied{why}"))


def _name(view: CardView, operator: OperatorId) -> Part:
    user = view.people.get(operator)
    return words(spelled_out(operator), bold=True) if user is None else person(user)


def end(view: CardView) -> list[Part]:
    """Return the last line: the code, the times, and how it ended."""
    approval = view.approval
    parts = [words(f"{approval.code} · asked "), time_of_day(approval.asked_at)]
    if approval.state in OPEN:
        parts += [words(" · denied by itself at "), time_of_day(approval.expires_at), *_presence(view)]
        parts.append(words(f" · elsewhere: assent approvals show {approval.code}"))
    else:
        parts += _outcome(view)
    return [blocks.line(*parts)]


def _presence(view: CardView) -> list[Part]:
    if view.presence is None:
        return []
    if not view.presence.is_quiet:
        return [words(" · the agent waits")]
    return [words(" · the agent was not seen since "), time_of_day(view.presence.seen_at)]


def _outcome(view: CardView) -> list[Part]:
    approval, outcome = view.approval, view.action.outcome
    parts: list[Part] = []
    if approval.decided_at is not None:
        parts += [words(" · ended " if approval.state is not ApprovalState.APPROVED else " · approved ")]
        parts.append(time_of_day(approval.decided_at))
    if outcome is None:
        return parts
    took = "" if outcome.duration_ms is None else f" in {outcome.duration_ms / 1_000:.1f} s"
    said = "" if outcome.reported else ", nobody said"
    parts += [words(f" · {outcome.status}{took}{said} at "), time_of_day(outcome.at)]
    if outcome.error:
        parts.append(words(f" · the agent says: {blocks.cut(spelled_out(outcome.error), MAX_REASON_CHARACTERS)}"))
    return parts
