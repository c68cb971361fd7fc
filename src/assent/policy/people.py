"""Agents and operators as the policy files declare them.

Every agent has one owner who is a known operator, roles that exist and a day on which it ends. People are told apart by
operator: one channel identity belongs to one of them.
"""

import re
from collections.abc import Collection, Mapping
from enum import Enum
from typing import Final

from assent.core.agents import AgentId, AgentProfile
from assent.core.operators import PERMISSION_SETS, SECURITY_ADMIN, Operator, OperatorId, Permission, SinglePerson
from assent.policy.documents import Node
from assent.policy.fields import EPOCH, NO_NAMES, Fields, boolean, choice, entries, known, moment, name, names, text
from assent.policy.findings import Findings, quoted

# `GET /v1/operators/me` is whoever asks.
_NOBODYS_NAME: Final = "me"
_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]{1,64}@([A-Za-z0-9-]{1,63}\.)*[A-Za-z0-9-]{1,63}")
_MAX_ADDRESS: Final = 254
_NO_IDENTITY: Final[dict[str, str]] = {}
_GRANTABLE: Final = (*PERMISSION_SETS, *(permission.value for permission in Permission))


class Identity(Enum):
    """How an agent proves who it is."""

    KEY = "key"


def read_operators(node: Node, findings: Findings) -> dict[str, Operator]:
    """Return every operator by id."""
    operators = {key: _operator(key, value, findings) for key, value in entries(node, findings, "operators.yaml")}
    holders: dict[tuple[str, str], str] = {}
    for operator in operators.values():
        for identity in operator.identities.items():
            if (other := holders.setdefault(identity, operator.id)) != operator.id:
                message = f"`{operator.id}` and `{other}` share the {identity[0]} identity {quoted(identity[1])}"
                findings.add(node.place, message)
    return operators


def _operator(key: str, node: Node, findings: Findings) -> Operator:
    fields = Fields(node, findings, f"the operator `{key}`")
    if key == _NOBODYS_NAME:
        findings.add(node.place, "`me` cannot name an operator: in the API it stands for whoever asks")
    may = fields.take("may", names, NO_NAMES)
    for granted in may:
        known(granted, _GRANTABLE, fields.at("may"), findings, "permission")
    operator = Operator(
        id=OperatorId(key),
        groups=fields.take("groups", names, NO_NAMES),
        permissions=frozenset(permission for granted in may for permission in _permissions(granted)),
        security_admin=SECURITY_ADMIN in may,
        away=fields.take("away", boolean, default=False),
        single_person=fields.take("single_person", _single_person, None),
        identities=fields.take("slack", _slack, _NO_IDENTITY) | fields.take("oidc", _oidc, _NO_IDENTITY),
        email=fields.take("email", _address, None),
    )
    fields.close()
    return operator


def _permissions(granted: str) -> frozenset[Permission]:
    if granted in PERMISSION_SETS:
        return PERMISSION_SETS[granted]
    return frozenset(permission for permission in Permission if permission.value == granted)


def _single_person(node: Node, findings: Findings) -> SinglePerson | None:
    fields = Fields(node, findings, "`single_person`")
    single = SinglePerson(reason=fields.need("reason", text, ""), until=fields.need("until", moment, EPOCH))
    fields.close()
    return single


def _slack(node: Node, findings: Findings) -> dict[str, str]:
    fields = Fields(node, findings, "`slack`")
    team, user = fields.need("team", name, ""), fields.need("user", name, "")
    fields.close()
    return {"slack": f"{team}/{user}"}


def _oidc(node: Node, findings: Findings) -> dict[str, str]:
    fields = Fields(node, findings, "`oidc`")
    subject = fields.need("subject", text, "")
    fields.close()
    return {"oidc": subject}


def _address(node: Node, findings: Findings) -> str | None:
    said = text(node, findings)
    if said and (len(said) > _MAX_ADDRESS or not _ADDRESS.fullmatch(said)):
        findings.add(node.place, f"{quoted(said)} is no e-mail address such as dana@example.com")
        return None
    return said or None


def read_agents(
    node: Node, findings: Findings, *, operators: Mapping[str, Operator], roles: Collection[str]
) -> dict[str, AgentProfile]:
    """Return every agent by id."""
    agents = {}
    for key, value in entries(node, findings, "agents.yaml"):
        fields = Fields(value, findings, f"the agent `{key}`")
        agents[key] = _agent(key, fields)
        known(agents[key].owner, operators, fields.at("owner"), findings, "operator")
        for role in agents[key].roles:
            known(role, roles, fields.at("roles"), findings, "role")
        if not agents[key].roles:
            findings.add(fields.at("roles").place, f"the agent `{key}` has no role: it could do nothing")
    return agents


def _agent(key: str, fields: Fields) -> AgentProfile:
    fields.take("identity", choice(Identity, Identity.KEY), Identity.KEY)
    fields.take("description", text, "")
    agent = AgentProfile(
        id=AgentId(key),
        owner=OperatorId(fields.need("owner", name, "")),
        roles=fields.need("roles", names, NO_NAMES),
        expires=fields.need("expires", moment, EPOCH),
        interactive=fields.take("interactive", boolean, default=False),
        cut_off=fields.take("cut_off", text, ""),
    )
    fields.close()
    return agent
