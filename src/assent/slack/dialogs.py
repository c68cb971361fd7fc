"""Dialogs: what is asked before a no, a revocation, a yes with a comment, or a trip. Pure, like the cards.

A dialog is opened within three seconds of the press, so it is made from what the press carries and reads nothing.
"""

from collections.abc import Mapping
from typing import Any, Final

from assent.core.approvals import DenialCategory
from assent.core.breakers import Scope
from assent.slack import blocks
from assent.slack.blocks import Block
from assent.slack.view import Form

MAX_REASON_CHARACTERS: Final = 500
CATEGORY: Final = "category"
REASON: Final = "reason"
SCOPE: Final = "scope"
AND_TRIP: Final = "malicious_and_trip"
_CATEGORIES: Final = {
    DenialCategory.WRONG_TARGET: "Wrong target or arguments",
    DenialCategory.WRONG_TIME: "Wrong time, or a freeze",
    DenialCategory.TOO_RISKY: "Too risky",
    DenialCategory.NOT_NEEDED: "Not needed",
    DenialCategory.OTHER: "Something else",
    DenialCategory.MALICIOUS: "Looks malicious",
}


def deny(code: str, private: str) -> dict[str, Any]:
    """Return the dialog in front of a no; the last category also trips the agent's breaker."""
    choices: Mapping[str, str] = {category.value: words for category, words in _CATEGORIES.items()}
    questions = [
        blocks.choice(CATEGORY, "Why not?", {**choices, AND_TRIP: "Looks malicious: stop this agent too"}),
        _reason("What the agent and its owner hear", is_needed=False),
    ]
    return blocks.modal(Form.DENY, title=f"Deny {code}", submit="Deny", private=private, blocks=questions)


def revoke(code: str, private: str) -> dict[str, Any]:
    """Return the dialog in front of taking a yes back, which works until the agent has picked it up."""
    questions = [_reason("Why take it back?")]
    return blocks.modal(Form.REVOKE, title=f"Revoke {code}", submit="Revoke", private=private, blocks=questions)


def comment(code: str, private: str) -> dict[str, Any]:
    """Return the dialog in front of a yes that says more; what it says stands in the record."""
    questions = [_reason("What should the record say?")]
    return blocks.modal(Form.COMMENT, title=f"Approve {code}", submit="Approve once", private=private, blocks=questions)


def trip(scopes: Mapping[str, str], private: str) -> dict[str, Any]:
    """Return the dialog in front of a trip; `scopes` maps what can be stopped to words, the narrowest first."""
    questions = [
        blocks.choice(SCOPE, "Stop what? It takes two people to start it again.", scopes),
        _reason("Why?", is_needed=False),
    ]
    return blocks.modal(Form.TRIP, title="Trip a breaker", submit="Stop it now", private=private, blocks=questions)


def scopes_of(agent: str, tool: str, environment: str) -> dict[str, str]:
    """Return what may be stopped from the card of an action, as the dialog's choices."""
    return {
        "agent": f"Everything of {agent}",
        "agent+tool": f"{agent} with {tool}",
        "tool": f"{tool}, for every agent",
        "environment": f"Everything in {environment}",
    }


def scope_chosen(choice: str, *, agent: str, tool: str, environment: str) -> Scope | None:
    """Return the scope behind a choice, or None for one that was never offered."""
    return {
        "agent": Scope(agent=agent),
        "agent+tool": Scope(agent=agent, tool=tool),
        "tool": Scope(tool=tool),
        "environment": Scope(environment=environment),
    }.get(choice)


def category_chosen(choice: str) -> tuple[DenialCategory, bool]:
    """Return the category behind a choice, and whether the agent is to be stopped too. Raises ValueError."""
    if choice == AND_TRIP:
        return DenialCategory.MALICIOUS, True
    return DenialCategory(choice), False


def _reason(label: str, *, is_needed: bool = True) -> Block:
    return blocks.answer(REASON, label, characters=MAX_REASON_CHARACTERS, optional=not is_needed)
