"""From what flows answer to what operators are shown of agents, services and operators; why somebody suspended an agent
is payload, and shown to who manages agents or may read payloads.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from assent.api.breaker_views import first_ask_view, least_view
from assent.api.operator_views import affected_action, masked_text
from assent.api.replies import encoded, page
from assent.core.agents import AgentState, AgentStatus
from assent.core.credentials import Credential, Kind, ends_at, is_old, standing
from assent.core.operators import Operator, Permission
from assent.core.passkeys import Passkey
from assent.core.records import rfc3339
from assent.core.second_person import FirstAsk
from assent.flows.authenticate import TokenCaller
from assent.flows.issue_credentials import IssuedKey
from assent.flows.link_account import CodeAsked
from assent.flows.manage_principals import Issued, Revoked
from assent.flows.read_principals import SeenAgent, SeenOperator, SeenService
from assent.flows.resume_agent import ResumeAnswer
from assent.flows.suspend_agent import Suspended
from assent.wire import principals as wire
from assent.wire.agents import ReasonView


def agent_view(seen: SeenAgent, reader: Operator) -> bytes:
    """Return the JSON of one agent as `reader` may see it."""
    return encoded(_agent(seen, reader))


def agents_page(found: Sequence[SeenAgent], reader: Operator, *, limit: int) -> bytes:
    """Return the JSON of a page of agents."""
    return page([agent_view(seen, reader) for seen in found], found[-1].id if len(found) >= limit else None)


def services_page(found: Sequence[SeenService], *, limit: int) -> bytes:
    """Return the JSON of a page of services."""
    items = [encoded(wire.ServiceView(id=seen.id, keys=_credentials(seen.keys, seen.now))) for seen in found]
    return page(items, found[-1].id if len(found) >= limit else None)


def operator_view(seen: SeenOperator) -> bytes:
    """Return the JSON of one operator."""
    return encoded(_operator(seen))


def operators_page(found: Sequence[SeenOperator], *, limit: int) -> bytes:
    """Return the JSON of a page of operators."""
    return page([operator_view(seen) for seen in found], found[-1].id if len(found) >= limit else None)


def operator_me(seen: SeenOperator, caller: TokenCaller, policy_version: str) -> bytes:
    """Return the JSON of who the caller is taken for."""
    view = wire.OperatorMe(
        operator=_operator(seen),
        token=_credential(caller.token, seen.now),
        assurance=caller.assurance.name.lower(),
        policy_version=policy_version,
    )
    return encoded(view)


def key_issued(made: IssuedKey) -> bytes:
    """Return the JSON of an agent's new key: the only time that it is told."""
    credential = made.issued.credential
    view = wire.KeyIssued(
        agent=credential.principal,
        key_id=credential.id,
        key=made.issued.token,
        issued_by=credential.issued_by,
        issued_at=rfc3339(credential.issued_at),
        approvers=made.approvers,
        expires_at=_or_none(ends_at(credential)),
    )
    return encoded(view)


def service_key_issued(issued: Issued) -> bytes:
    """Return the JSON of a service's new key: the only time that it is told."""
    credential = issued.credential
    view = wire.ServiceKeyIssued(
        service=credential.principal,
        key_id=credential.id,
        key=issued.token,
        tools=credential.tools,
        issued_by=credential.issued_by,
        issued_at=rfc3339(credential.issued_at),
        expires_at=_or_none(ends_at(credential)),
    )
    return encoded(view)


def token_issued(issued: Issued) -> bytes:
    """Return the JSON of an operator's new token: the only time that it is told."""
    credential = issued.credential
    view = wire.TokenIssued(
        operator=credential.principal,
        token_id=credential.id,
        token=issued.token,
        issued_by=credential.issued_by,
        issued_at=rfc3339(credential.issued_at),
        expires_at=_or_none(ends_at(credential)) or "",
    )
    return encoded(view)


def link_code(operator: str, asked: CodeAsked) -> bytes:
    """Return the JSON of a code that links somebody's Slack account: the only time that it is told."""
    view = wire.LinkCode(operator=operator, code=asked.code, account=asked.account, expires_at=rfc3339(asked.until))
    return encoded(view)


def unlinked_answer(operator: str) -> bytes:
    """Return the JSON of an operator whose account is linked no more."""
    return encoded(wire.UnlinkedAnswer(operator=operator, linked=False))


def revoked_answer(revoked: Revoked) -> bytes:
    """Return the JSON of a credential that was revoked."""
    credential = revoked.credential
    shown = _credential(credential, credential.revoked_at or credential.issued_at)
    return encoded(wire.RevokedAnswer(credential=shown, cut_off=tuple(map(affected_action, revoked.cut_off))))


def suspended_answer(suspended: Suspended) -> bytes:
    """Return the JSON of a suspension that is durable."""
    status = suspended.status
    view = wire.SuspendedAnswer(
        agent=status.id,
        state=status.state.value,
        changed_by=status.changed_by,
        changed_at=rfc3339(status.changed_at),
        reason=status.reason,
        cut_off=tuple(map(affected_action, suspended.cut_off)),
        running=tuple(map(affected_action, suspended.running)),
        cut_off_elsewhere=suspended.cut_off_elsewhere or None,
    )
    return encoded(view)


def resumed_answer(answer: ResumeAnswer) -> bytes:
    """Return the JSON of an agent that may ask, or that waits for a second person."""
    status = answer.status
    view = wire.ResumedAnswer(
        agent=answer.agent,
        state=_state(status),
        changed_by=None if status is None else status.changed_by,
        changed_at=None if status is None else rfc3339(status.changed_at),
        resume_asked=None if status is None else first_ask_view(status.resume_asked),
        who=None if answer.goes_on else answer.who,
        assurance=least_view(answer.assurance),
    )
    return encoded(view)


def _agent(seen: SeenAgent, reader: Operator) -> wire.AgentView:
    profile, status, blocked = seen.profile, seen.status, seen.blocked
    return wire.AgentView(
        id=seen.id,
        registered=profile is not None,
        state=_state(status),
        roles=() if profile is None else profile.roles,
        interactive=profile is not None and profile.interactive,
        keys=_credentials(seen.keys, seen.now),
        owner=None if profile is None else profile.owner,
        expires_at=None if profile is None else rfc3339(profile.expires),
        cut_off=None if profile is None else profile.cut_off or None,
        blocked=None if blocked is None else ReasonView(code=blocked.code, message=blocked.message),
        changed_by=None if status is None else status.changed_by,
        changed_at=None if status is None else rfc3339(status.changed_at),
        reason=None if status is None else _words(status.reason, reader) or None,
        last_asked_at=_or_none(seen.last_asked_at),
        resume_asked=None if status is None else first_ask_view(_asked_in_sight(status.resume_asked, reader)),
    )


def _state(status: AgentStatus | None) -> str:
    return (AgentState.ACTIVE if status is None else status.state).value


def _asked_in_sight(asked: FirstAsk | None, reader: Operator) -> FirstAsk | None:
    return None if asked is None else replace(asked, reason=_words(asked.reason, reader))


def _words(reason: str, reader: Operator) -> str:
    whole = any(map(reader.may, (Permission.AGENTS_MANAGE, Permission.AUDIT_PAYLOADS)))
    return reason if whole else masked_text(reason)


def _operator(seen: SeenOperator) -> wire.OperatorView:
    declared = seen.declared or Operator(id=seen.id)
    single = declared.single_person
    return wire.OperatorView(
        id=seen.id,
        registered=seen.declared is not None,
        sets=declared.sets,
        permissions=tuple(sorted(declared.permissions)),
        groups=declared.groups,
        away=declared.away,
        identities=tuple(sorted(declared.identities)),
        owns=seen.owns,
        tokens=_credentials(seen.tokens, seen.now),
        linked=seen.is_linked,
        passkeys=tuple(map(_passkey, seen.passkeys)),
        single_person=None
        if single is None
        else wire.SinglePersonView(reason=single.reason, until=rfc3339(single.until)),
    )


def _passkey(passkey: Passkey) -> wire.PasskeyView:
    return wire.PasskeyView(
        id=passkey.id,
        added_at=rfc3339(passkey.added_at),
        vouched_by=passkey.vouched_by,
        synced=passkey.synced,
        last_used_at=_or_none(passkey.last_used_at),
        suspect_at=_or_none(passkey.suspect_at),
    )


def _credentials(held: Sequence[Credential], now: datetime) -> tuple[wire.CredentialView, ...]:
    return tuple(_credential(credential, now) for credential in held)


def _credential(credential: Credential, now: datetime) -> wire.CredentialView:
    return wire.CredentialView(
        id=credential.id,
        state=standing(credential, now).value,
        issued_by=credential.issued_by,
        issued_at=rfc3339(credential.issued_at),
        age_days=max(0, (now - credential.issued_at).days),
        expires_at=_or_none(ends_at(credential)),
        revoked_at=_or_none(credential.revoked_at),
        revoked_by=credential.revoked_by,
        old=is_old(credential, now) if credential.kind is Kind.OPERATOR else None,
        tools=credential.tools if credential.kind is Kind.SERVICE else None,
    )


def _or_none(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
