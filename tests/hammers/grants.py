"""Grants for hammers to spend: of routine work, and of production changes that a person approved."""

from dataclasses import dataclass
from typing import Any, Final

from tests.hammers.broker import Installation
from tests.hammers.budget import expect
from tests.hammers.calls import Caller

DIGITS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """One grant that waits to be redeemed, by the agent or by the tool's own service with the signed token."""

    id: str
    action: str
    digest: str
    arguments: dict[str, Any]
    token: str | None
    tool_redeems: bool


def routine(at: Installation, tool: str, arguments: dict[str, Any]) -> Granted:
    """Ask for work that policy allows, without holding it, and return its grant."""
    agent = Caller(at.port, at.agent_keys[0])
    answer = agent.post("/v1/actions", {"tool": tool, "arguments": arguments})
    agent.close()
    return _granted(answer.body, arguments)


def approved(at: Installation, tool: str, arguments: dict[str, Any]) -> Granted:
    """Ask for a production change, let Eve approve what she saw, and return its grant."""
    agent, eve = Caller(at.port, at.agent_keys[0]), Caller(at.port, at.eve)
    asked = agent.post("/v1/actions", {"tool": tool, "arguments": arguments}).body
    expect(asked.get("decision") == "pending", f"a production change did not wait for a person: {asked}")
    approval = asked["approval"]["id"]
    said = eve.post(f"/v1/approvals/{approval}/approve", {"digest_prefix": asked["digest"][:DIGITS]})
    expect(said.status == 200, f"an eligible approval was refused: {said}")
    answer = agent.get(f"/v1/actions/{asked['action_id']}")
    agent.close()
    eve.close()
    return _granted(answer.body, arguments)


def _granted(body: dict[str, Any], arguments: dict[str, Any]) -> Granted:
    expect(body.get("state") == "ready", f"no grant came: {body}")
    grant = body["grant"]
    return Granted(
        id=grant["id"],
        action=body["action_id"],
        digest=body["digest"],
        arguments=arguments,
        token=grant.get("token"),
        tool_redeems=grant["redeemed_by"] == "tool",
    )
