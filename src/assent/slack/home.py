"""The home tab: one's own inbox, what is stopped, and how Slack knows who one is. Pure, like the cards."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from assent.core.approvals import Approval
from assent.core.breakers import Breaker
from assent.core.rendering import spelled_out
from assent.slack import blocks
from assent.slack.blocks import Block, time_of_day, words

MAX_LISTED: Final = 15
LINKED: Final = "This account is linked: what you press counts as linked."
UNLINKED: Final = (
    "This account is not linked: what you press counts as slack. To link it, ask for a code in the console under your"
    " name and type /assent link CODE here."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbox:
    """What one person sees: `operator` is None for somebody whom no operator of the policy stands for.

    `is_linked` says whether they confirmed that the account is theirs.
    """

    operator: str | None
    is_linked: bool
    waiting: Sequence[Approval]
    stopped: Sequence[Breaker]
    now: datetime


def home(inbox: Inbox) -> dict[str, Any]:
    """Return the home tab of one person."""
    return {"type": "home", "blocks": [blocks.header("Approvals"), *_body(inbox)]}


def _body(inbox: Inbox) -> list[Block]:
    if inbox.operator is None:
        told = (
            "No operator of the policy is declared with this account, so nothing pressed here counts. Ask for `slack:`"
        )
        return [blocks.rich("home:nobody", blocks.line(words(f"{told} beside your name in operators.yaml.")))]
    said = f"You are {inbox.operator}. {_count(len(inbox.waiting), 'approval')} may wait for you."
    lines = [
        blocks.rich("home:you", blocks.line(words(said)), blocks.line(words(LINKED if inbox.is_linked else UNLINKED)))
    ]
    lines += [_waits(approval) for approval in inbox.waiting[:MAX_LISTED]]
    lines.append(
        blocks.rich("home:breakers", *[_stopped(breaker) for breaker in inbox.stopped[:MAX_LISTED]] or _calm())
    )
    lines.append(blocks.rich("home:seen", blocks.line(words("As of "), time_of_day(inbox.now))))
    return lines


def _waits(approval: Approval) -> Block:
    what = f"{approval.agent}: {approval.tool} in {approval.environment}, until "
    parts = (words(f"{approval.code}  ", bold=True), words(spelled_out(what)), time_of_day(approval.expires_at))
    return blocks.rich(f"home:{approval.id}", blocks.line(*parts))


def _stopped(breaker: Breaker) -> Any:  # noqa: ANN401  # a part of a block
    what = f"{breaker.scope.describe()} ({breaker.state}, by {breaker.changed_by})"
    return blocks.line(words("Stopped: ", bold=True), words(spelled_out(what)))


def _calm() -> list[Any]:
    return [blocks.line(words("No breaker is open."))]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
