"""Policies: what flows ask of one version of the rules, and of the versions that serve, wait and were kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from assent.core.actions import Proposal, Runs
from assent.core.agents import AgentId, AgentProfile
from assent.core.approvals import Route
from assent.core.breaker_rules import BreakerRule, Counted
from assent.core.canonical import Json
from assent.core.decisions import Verdict
from assent.core.diffs import DiffOf
from assent.core.explanations import Asking, DocumentFormat, Explanation
from assent.core.operators import Operator
from assent.core.privileges import Change
from assent.core.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolView:
    """What an agent may know of one tool: name, words, argument schema, and what asking would come to at best.

    `runs` says where the argument vector comes from, None where the tool is no program.
    """

    name: str
    description: str
    impact: str
    arguments: Mapping[str, Json]
    waits_for_human: bool
    runs: Runs | None = None


class Policy(Protocol):
    """One immutable version of the policy; swapping versions swaps the whole object.

    Judging is pure, never raises for bad input, and any error inside it comes out as a deny that names the error.
    """

    @property
    def version(self) -> str:
        """SHA-256 over all policy files, hex."""
        ...

    @property
    def release(self) -> bytes | None:
        """What lay beside the files to vouch for this version, unopened and no part of it; None where nothing did."""
        ...

    def propose(self, tool: str, arguments: Json) -> Proposal | Reason:
        """Return what the catalogue makes of a request, or why it makes nothing of it.

        Reasons: unknown_tool, bad_arguments, not_canonical, environment_unknown, policy_error.
        """
        ...

    def verdict(self, proposal: Proposal, agent: AgentId, on_behalf_of: Sequence[str]) -> Verdict:
        """Return the strictest verdict over the agent and every agent named in `on_behalf_of`.

        Operators named there (`operator:ID`) must exist; they narrow nothing but may not approve.
        """
        ...

    def definition(self, tool: str) -> str | None:
        """Return the hex digest of the tool's catalogue entry, or None for an unknown tool."""
        ...

    def diff_of(self, tool: str, definition: str) -> DiffOf | None:
        """Return which arguments people read as a diff; None where the entry says nothing, or is another by now."""
        ...

    def agent(self, key: str) -> AgentProfile | None:
        """Return an agent as declared, or None."""
        ...

    def agents(self) -> Sequence[AgentProfile]:
        """Return all declared agents, by id."""
        ...

    def operator(self, key: str) -> Operator | None:
        """Return an operator as declared, or None."""
        ...

    def operators(self) -> Sequence[Operator]:
        """Return all declared operators, by id."""
        ...

    def route(self, name: str) -> Route | None:
        """Return a route, or None."""
        ...

    def all_routes(self) -> Sequence[Route]:
        """Return every route."""
        ...

    def is_nonproduction(self, environment: str) -> bool:
        """Whether `environment` is declared and marked nonproduction."""
        ...

    def changes_since(self, older: "Policy") -> Sequence[Change]:
        """Return what this version gives more or less than `older`, what widens first.

        Whatever could let more pass is among what widens, also where that is not certain.
        """
        ...

    def breaker_rules(self) -> Sequence[BreakerRule]:
        """Return all rules by which breakers trip by themselves."""
        ...

    def counted(self, agent: str, tool: str, environment: str) -> Counted:
        """Return the rules that count what `agent` does with `tool` in `environment`; remembered, so cheap to ask."""
        ...

    def names(self, dimension: str) -> Sequence[str]:
        """Return every declared name of a scope's dimension: `agent`, `tool` or `environment`."""
        ...

    def tools_for(self, agent: AgentId) -> Sequence[ToolView]:
        """Return the tools that some rule could let this agent use, by name."""
        ...


class Policies(Protocol):
    """The version that serves, the one that waits to be confirmed, and what the policy directory holds."""

    @property
    def current(self) -> Policy:
        """The version in force; take it once for everything that belongs to one decision."""
        ...

    @property
    def waiting(self) -> Policy | None:
        """A sound version that does not serve until an operator confirms it, or None."""
        ...

    def read_again(self) -> Policy:
        """Return what the directory holds now, serving nothing of it; slow, so not on the event loop.

        Raises:
            PolicyInvalid: the directory was refused.

        """
        ...

    def version_on_disk(self) -> str | None:
        """Return the version that the files of the directory have now, None when they cannot be read; slow too."""
        ...

    def kept(self, version: str) -> Policy | None:
        """Return a version that was read before, from a copy whose digest it is, or None; slow too."""
        ...

    def files_of(self, version: str) -> Mapping[str, bytes] | None:
        """Return the files of a version that was read before, by their path, or None; slow too."""
        ...

    def of_files(self, files: Mapping[str, bytes], release: bytes | None) -> Policy:
        """Return the version that these files are, checked as a directory of them is, serving nothing; slow too.

        Raises:
            PolicyInvalid: they were refused.

        """
        ...

    def explain(self, version: Policy, asking: Asking, now: datetime) -> Explanation:
        """Return what `version` makes of a question at `now`, rule by rule; it says what a decision would be."""
        ...

    def document(
        self, version: Policy, kind: DocumentFormat, now: datetime, *, agent: str | None, role: str | None
    ) -> str:
        """Return `version` written out, whole or of one agent or role.

        Raises:
            NotFound: it has no such agent or role.

        """
        ...

    def serve(self, version: Policy) -> None:
        """Let `version` serve from now on, in one step."""
        ...

    def hold(self, version: Policy | None) -> None:
        """Let `version` wait, in place of whatever waited."""
        ...
