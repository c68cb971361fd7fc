"""Explanations: what policy makes of one question, for operators: the rules that matched, and those that nearly did.

Nothing here is for agents: rule text teaches evasion.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from assent.core.canonical import Json
from assent.core.decisions import Answer
from assent.core.reasons import Reason


class DocumentFormat(StrEnum):
    """For whom a policy is written out."""

    MARKDOWN = "markdown"
    CASBIN = "casbin"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSaid:
    """One rule and where it stands; `failed` are the conditions that kept it from matching, none when it matched."""

    id: str
    role: str
    effect: str
    at: str
    says: str
    failed: tuple[str, ...] = ()
    of_agent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteAsked:
    """One route that would be asked: how many of whom, how sure, until when, and which people may answer."""

    name: str
    needs: str
    assurance: str
    expires_after: timedelta
    who: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What policy makes of one question.

    `asked` are the routes of a question with what a human would read (`how_bad`, `undo`); `hints` say what to do about
    a refusal. `floored` says that only the production floor turned an allow into a question.
    """

    agent: str
    tool: str
    decision: Answer
    reasons: tuple[Reason, ...]
    policy_version: str
    environment: str = ""
    resource: str = ""
    impact: str = ""
    matched: tuple[RuleSaid, ...] = ()
    nearly: tuple[RuleSaid, ...] = ()
    asked: tuple[RouteAsked, ...] = ()
    how_bad: str = ""
    undo: str = ""
    command: tuple[str, ...] = ()
    standing: tuple[str, ...] = ()
    floored: bool = False
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A question to explain: who would ask for what, with which arguments, and in whose name."""

    agent: str
    tool: str
    arguments: Mapping[str, Json]
    on_behalf_of: tuple[str, ...] = ()
