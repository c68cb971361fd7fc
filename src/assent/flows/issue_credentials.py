"""An operator issues and revokes keys and tokens: only whom the loaded policy names gets one, and nobody hands out more
than they may themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from assent.core.agents import AgentProfile
from assent.core.credentials import SERVICE_NAME, CredentialId, Kind
from assent.core.errors import BadRequest, Forbidden, NotFound
from assent.core.operators import Operator, Permission, beyond
from assent.core.patterns import TOOL_SEPARATOR, fault
from assent.flows.authenticate import OperatorCaller, require
from assent.flows.broker import Broker
from assent.flows.manage_principals import Issued, Revoked, issue_credential, revoke_credential
from assent.ports import Policy

MANAGED_BY: Mapping[Kind, Permission] = {
    Kind.AGENT: Permission.AGENTS_MANAGE,
    Kind.SERVICE: Permission.AGENTS_MANAGE,
    Kind.OPERATOR: Permission.OPERATORS_MANAGE,
    Kind.LINK: Permission.OPERATORS_MANAGE,
    Kind.SESSION: Permission.OPERATORS_MANAGE,
}
_ONES_OWN = frozenset({Kind.OPERATOR, Kind.SESSION})
_NAMED_IN_A_HINT = 10


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """An agent's new key. `approvers` may still decide what is asked with it: its owner and its issuer may not."""

    issued: Issued
    approvers: tuple[str, ...]


async def issue_agent_key(
    broker: Broker, caller: OperatorCaller, agent: str, *, valid_for: timedelta | None = None
) -> IssuedKey:
    """Return a fresh key for `agent`; the caller can then not approve what is asked with it.

    Raises:
        Forbidden: the caller does not manage agents.
        NotFound: the loaded policy names no such agent.
        IllegalMove: it has as many live keys as an agent may have.

    """
    require(caller, Permission.AGENTS_MANAGE)
    policy, by = broker.policy(), caller.operator.id
    profile = policy.agent(agent)
    if profile is None:
        raise NotFound(f"the loaded policy names no agent `{agent}`", hint="declare it in agents.yaml first")
    issued = await issue_credential(broker, Kind.AGENT, agent, issued_by=by, caller=caller, valid_for=valid_for)
    return IssuedKey(issued, _approvers(policy, profile, by))


def _approvers(policy: Policy, profile: AgentProfile, issuer: str) -> tuple[str, ...]:
    involved = {profile.owner, issuer}
    return tuple(o.id for o in policy.operators() if o.may(Permission.APPROVALS_DECIDE) and o.id not in involved)


async def issue_service_key(
    broker: Broker, caller: OperatorCaller, service: str, *, tools: tuple[str, ...], valid_for: timedelta | None = None
) -> Issued:
    """Return a fresh key for a tool's own service, which may redeem grants for the tools that `tools` (patterns) match.

    Raises:
        Forbidden: the caller does not manage agents.
        BadRequest: no name, no pattern, or a pattern that is none.
        IllegalMove: it has as many live keys as a service may have.

    """
    require(caller, Permission.AGENTS_MANAGE)
    if not SERVICE_NAME.fullmatch(service):
        raise BadRequest(f"`{service}` is no name of a service", hint="use letters, digits, `_`, `.` and `-`")
    if not tools:
        raise BadRequest("a service's key needs the tools that it may redeem", hint="name them, or a pattern: `db.*`")
    for pattern in tools:
        if (wrong := fault(pattern, TOOL_SEPARATOR)) is not None:
            raise BadRequest(f"`{pattern}` is no pattern of tool names: {wrong}", hint="write `db.run` or `db.*`")
    by = caller.operator.id
    return await issue_credential(
        broker, Kind.SERVICE, service, issued_by=by, caller=caller, valid_for=valid_for, tools=tools
    )


async def issue_operator_token(
    broker: Broker, caller: OperatorCaller, operator: str, *, valid_for: timedelta | None = None
) -> Issued:
    """Return a fresh token for `operator`, who may do no more than the caller; the caller's own is one of them.

    Whoever issues a token could use it. So for a day such a token and its issuer count as one person where two are
    needed (`flows.one_hand`), and it does not vote on what its issuer owns.

    Raises:
        Forbidden: the caller does not manage operators, or the other one may do more.
        NotFound: the loaded policy names no such operator.
        IllegalMove: they have as many live tokens as an operator may have.

    """
    require(caller, Permission.OPERATORS_MANAGE)
    declared = declared_operator(broker.policy(), operator)
    if more := beyond(caller.operator, declared):
        named = ", ".join(f"`{one}`" for one in more)
        raise Forbidden(
            f"`{operator}` may do what you may not ({named}), so you cannot issue their token",
            hint="ask somebody who may do all of that, or whoever keeps the broker's files: they can with `--direct`",
        )
    by = caller.operator.id
    return await issue_credential(broker, Kind.OPERATOR, operator, issued_by=by, caller=caller, valid_for=valid_for)


def declared_operator(policy: Policy, operator: str) -> Operator:
    """Return an operator of the loaded policy.

    Raises:
        NotFound: it names no such operator.

    """
    declared = policy.operator(operator)
    if declared is None:
        known = ", ".join(f"`{one.id}`" for one in policy.operators()[:_NAMED_IN_A_HINT])
        raise NotFound(
            f"the loaded policy names no operator `{operator}`",
            hint=f"declare them in operators.yaml first; it names {known or 'nobody'}",
        )
    return declared


async def revoke(broker: Broker, caller: OperatorCaller, kind: Kind, principal: str, key: CredentialId) -> Revoked:
    """Return the credential revoked, with what waited and ended with it; revoking twice says the same.

    One's own token may always be revoked, and so may one's own session.

    Raises:
        Forbidden: the caller does not manage such credentials.
        NotFound: this principal holds no such credential of this kind.

    """
    if not (kind in _ONES_OWN and caller.operator.id == principal):
        require(caller, MANAGED_BY[kind])
    return await revoke_credential(broker, key, by=caller.operator.id, caller=caller, held_by=(kind, principal))
