"""Operators: humans known to the broker, what they may do, and how sure we are who acted.

Operators are declared in policy files; nothing here reads a credential. Permissions are checked by the flow that needs
one, eligibility for one approval is checked in `core.approvals`.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import NewType

OperatorId = NewType("OperatorId", str)


class Permission(StrEnum):
    """Everything an operator may be permitted, one name for each thing that can be done."""

    AGENTS_MANAGE = "agents.manage"
    APPROVALS_DECIDE = "approvals.decide"
    APPROVALS_READ = "approvals.read"
    AUDIT_ERASE = "audit.erase"
    AUDIT_PAYLOADS = "audit.payloads"
    AUDIT_READ = "audit.read"
    BREAKERS_RESET = "breakers.reset"
    BREAKERS_TRIP = "breakers.trip"
    EVIDENCE_BUILD = "evidence.build"
    OPERATORS_MANAGE = "operators.manage"
    POLICY_ACTIVATE = "policy.activate"


_P = Permission
SECURITY_ADMIN = "security_admin"
PERMISSION_SETS: dict[str, frozenset[Permission]] = {
    "approver": frozenset({_P.APPROVALS_READ, _P.APPROVALS_DECIDE, _P.BREAKERS_TRIP}),
    "operator": frozenset({_P.APPROVALS_READ, _P.BREAKERS_TRIP, _P.BREAKERS_RESET, _P.AGENTS_MANAGE, _P.AUDIT_READ}),
    SECURITY_ADMIN: frozenset(Permission),
    "auditor": frozenset({_P.APPROVALS_READ, _P.AUDIT_READ}),
}


class Assurance(IntEnum):
    """How sure we are who acted, weakest first; a route names the least it accepts."""

    TOKEN = 1
    SLACK = 2
    LINKED = 3
    CONSOLE = 4
    STEP_UP = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SinglePerson:
    """The open exception that lets an owner approve what their own agent asks; dated, with its reason."""

    reason: str
    until: datetime


OIDC = "oidc"
"""The name under which an operator's subject at the issuer of single sign-on stands among their identities."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One human: groups (ordered, primary first), permissions, and channel identities as declared.

    `security_admin` is true for holders of that set: they may deny and revoke any approval. To `email` they are
    written; nobody is recognised by it.
    """

    id: OperatorId
    groups: tuple[str, ...] = ()
    permissions: frozenset[Permission] = frozenset()
    security_admin: bool = False
    away: bool = False
    single_person: SinglePerson | None = None
    identities: dict[str, str] = field(default_factory=dict)
    email: str | None = None

    def may(self, permission: Permission) -> bool:
        """Whether this operator holds `permission`."""
        return permission in self.permissions

    @property
    def sets(self) -> tuple[str, ...]:
        """The permission sets that this operator holds whole, without those that another one of them contains."""
        held = {
            name: permissions
            for name, permissions in PERMISSION_SETS.items()
            if permissions <= self.permissions and (name != SECURITY_ADMIN or self.security_admin)
        }
        return tuple(name for name, one in held.items() if not any(one < other for other in held.values()))


def beyond(issuer: Operator, other: Operator) -> tuple[str, ...]:
    """Return what `other` may and `issuer` may not: nobody hands out a token that is worth more than their own."""
    more = sorted(permission.value for permission in other.permissions - issuer.permissions)
    admin = (SECURITY_ADMIN,) if other.security_admin and not issuer.security_admin else ()
    return (*more, *admin)
