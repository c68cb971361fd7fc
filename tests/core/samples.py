"""Ordinary values to start a story from; a test names only what its story is about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from assent.core.actions import (
    Action,
    ActionId,
    ActionState,
    Impact,
    Proposal,
    action_digest,
    content_of,
)
from assent.core.agents import AgentId, AgentProfile
from assent.core.approvals import Approval, ApprovalId, Need, Route, Voter
from assent.core.breakers import Breaker, BreakerId, BreakerState, Scope
from assent.core.canonical import canonical
from assent.core.credentials import Credential, CredentialId, Kind
from assent.core.operators import PERMISSION_SETS, Assurance, Operator, OperatorId

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=30)
NONCE = bytes(range(32))


def an_operator(name: str, *groups: str, **changes: Any) -> Operator:
    """Return an operator who may approve, in `groups`."""
    usual = Operator(id=OperatorId(name), groups=groups, permissions=PERMISSION_SETS["approver"])
    return replace(usual, **changes)


def a_voter(operator: Operator, **changes: Any) -> Voter:
    """Return `operator` acting on the console."""
    return replace(Voter(operator=operator, assurance=Assurance.CONSOLE, surface="console"), **changes)


def an_agent(**changes: Any) -> AgentProfile:
    """Return the agent `bot`, owned by `owner`, valid for another month."""
    return replace(
        AgentProfile(id=AgentId("bot"), owner=OperatorId("owner"), roles=("role",), expires=LATER), **changes
    )


def a_route(*needs: tuple[int, str], **changes: Any) -> Route:
    """Return a route that needs so many of each group."""
    usual = Route(name="default", needs=tuple(Need(count=count, of=group) for count, group in needs))
    return replace(usual, **changes)


def an_approval(*routes: Route, **changes: Any) -> Approval:
    """Return an open approval for the sample action."""
    action = an_action()
    usual = Approval(
        id=ApprovalId("apr_1"),
        code="K7Q-4MX",
        action=action.id,
        digest=action.digest,
        agent=action.agent,
        owner=OperatorId("owner"),
        tool=action.tool,
        environment=action.environment,
        impact=action.impact,
        routes=routes or (a_route((1, "oncall")),),
        asked_at=NOW,
        expires_at=NOW + timedelta(minutes=15),
    )
    return replace(usual, **changes)


def a_proposal(**changes: Any) -> Proposal:
    """Return what the catalogue makes of scaling a production deployment to five."""
    usual = Proposal(
        tool="k8s.scale",
        definition="d" * 64,
        impact=Impact.WRITE,
        arguments=canonical({"deployment": "api", "replicas": 5}),
        resource="prod-eu/payments/deployments/api",
        environment="production",
        nonproduction=False,
    )
    return replace(usual, **changes)


def an_action(**changes: Any) -> Action:
    """Return the sample action, pending."""
    proposal = a_proposal()
    usual = Action(
        id=ActionId("act_1"),
        agent=AgentId("bot"),
        key=CredentialId("key1"),
        tool=proposal.tool,
        definition=proposal.definition,
        impact=proposal.impact,
        environment=proposal.environment,
        state=ActionState.PENDING,
        created_at=NOW,
        arguments=proposal.arguments,
        content=content_of(agent="bot", tool=proposal.tool, arguments=proposal.arguments, on_behalf_of=()),
        nonce=NONCE,
        digest=action_digest(agent="bot", proposal=proposal, nonce=NONCE),
        resource=proposal.resource,
        decided_by_human=True,
    )
    return replace(usual, **changes)


def a_breaker(scope: Scope = Scope(), **changes: Any) -> Breaker:  # noqa: B008  # frozen: a shared default is safe
    """Return a breaker over `scope` that a human opened."""
    usual = Breaker(
        id=BreakerId("brk_1"),
        scope=scope,
        state=BreakerState.FORCED_OPEN,
        changed_by=OperatorId("eve"),
        changed_at=NOW,
    )
    return replace(usual, **changes)


def a_credential(kind: Kind = Kind.AGENT, **changes: Any) -> Credential:
    """Return a live credential of the sample agent."""
    usual = Credential(
        id=CredentialId("key1"),
        kind=kind,
        principal="bot",
        secret_mac=b"m" * 32,
        issued_by="issuer",
        issued_at=NOW,
    )
    return replace(usual, **changes)
