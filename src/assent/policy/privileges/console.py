"""What changes about who can be at the console: where too few can, less is asked, so that taking somebody away widens.

Known here is who can come by single sign-on; whom a terminal shows a link is no matter of the policy.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from assent.core import approvals
from assent.core.actions import ActionId, Impact
from assent.core.agents import AgentId, AgentProfile
from assent.core.approvals import Approval, ApprovalId, Route
from assent.core.operators import OIDC, Assurance, Operator, OperatorId, Permission
from assent.policy.privileges.noted import Noted

_NOTHING: Final = ""
_ANY_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LETS_GO_ON: Final = (Permission.AGENTS_MANAGE, Permission.BREAKERS_RESET)
People = Mapping[str, Operator]


def compare_console(
    old: People, new: People, routes: Mapping[str, Route], agents: Mapping[str, AgentProfile], noted: Noted
) -> None:
    """Note what asks for the console among `old` people and not among `new` ones; `routes` are those that stayed."""
    owners = {agent.owner for agent in agents.values()}
    for name, route in routes.items():
        if route.assurance_left_open and any(
            _is_enough(route, owner, old) and not _is_enough(route, owner, new) for owner in owners
        ):
            noted.widens(
                f"route {name}",
                "takes `slack` for what destroys in production: too few who may answer can be at the console",
            )
    for permission in _LETS_GO_ON:
        if _there(old, permission) and not _there(new, permission):
            noted.widens(
                f"permission {permission}", "is held by nobody who can be at the console: two tokens let things go on"
            )


def _there(people: People, permission: Permission) -> Collection[str]:
    return [one.id for one in people.values() if OIDC in one.identities and one.may(permission)]


def _is_enough(route: Route, owner: OperatorId, people: People) -> bool:
    question = Approval(
        id=ApprovalId(_NOTHING),
        code=_NOTHING,
        action=ActionId(_NOTHING),
        digest=_NOTHING,
        agent=AgentId(_NOTHING),
        owner=owner,
        tool=_NOTHING,
        environment=_NOTHING,
        impact=Impact.DESTRUCTIVE,
        routes=(replace(route, assurance=Assurance.CONSOLE),),
        asked_at=_ANY_TIME,
        expires_at=_ANY_TIME,
    )
    there = [one.id for one in people.values() if OIDC in one.identities]
    return approvals.can_be_satisfied_there(question, people.values(), who_can_be_there=there, now=_ANY_TIME)
