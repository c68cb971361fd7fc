"""How breakers, agents' statuses and credentials are stored; the words of operators are payload."""

from datetime import timedelta

from assent.core.agents import AgentState, AgentStatus
from assent.core.breakers import Breaker, BreakerState, Healing, Probe, Scope
from assent.core.credentials import Credential, Kind, SignedInBy
from assent.core.operators import Assurance
from assent.core.second_person import FirstAsk
from assent.core.windows import microseconds
from assent.stores.rows.moments import moment, moment_or_none, stamp, stamp_or_none
from assent.stores.rows.table import Facts, Split, Stored, Table, hexed
from assent.stores.sealing import LedgerKeys


def _split_breaker(breaker: Breaker, _keys: LedgerKeys) -> Split:
    asked, scope = breaker.reset_asked, breaker.scope
    columns = (
        breaker.id,
        breaker.revision,
        scope.agent,
        scope.tool,
        scope.environment,
        breaker.state.value,
        stamp(breaker.changed_at),
    )
    facts: dict[str, object] = {
        "changed_by": breaker.changed_by,
        "ask_again_at": stamp_or_none(breaker.ask_again_at),
        "reset_asked": None if asked is None else _split_ask(asked),
    }
    facts |= {name: fact for name, fact in _noticing(breaker).items() if fact}
    return columns, facts, (breaker.reason, None if asked is None else asked.reason)


def _split_ask(asked: FirstAsk) -> dict[str, object]:
    return {"by": asked.by, "at": stamp(asked.at), "assurance": asked.assurance.name, "using": asked.using}


def _join_ask(facts: Facts, reason: str) -> FirstAsk:
    # One from before this was written down is worth no more than a token.
    assurance = Assurance[facts.get("assurance", Assurance.TOKEN.name)]
    return FirstAsk(
        by=facts["by"], at=moment(facts["at"]), reason=reason, assurance=assurance, using=facts.get("using", "")
    )


def _noticing(breaker: Breaker) -> dict[str, object]:
    healing = breaker.healing
    return {
        "rule": breaker.rule,
        "tripped_by": breaker.tripped_by,
        "tripped_at": stamp_or_none(breaker.tripped_at),
        "healing": None if healing is None else _split_healing(healing),
        "probes": [(probe.action, probe.agent, probe.by_human, probe.succeeded) for probe in breaker.probes],
    }


def _split_healing(healing: Healing) -> dict[str, object]:
    return {
        "wait_in_open": microseconds(healing.wait_in_open),
        "probes": healing.probes,
        "times": healing.times,
        "half_open_at": stamp_or_none(healing.half_open_at),
    }


def _join_healing(facts: Facts) -> Healing:
    return Healing(
        wait_in_open=timedelta(microseconds=facts["wait_in_open"]),
        probes=facts["probes"],
        times=facts["times"],
        half_open_at=moment_or_none(facts["half_open_at"]),
    )


def _join_probes(listed: list[tuple[str, str, bool, bool]]) -> tuple[Probe, ...]:
    return tuple(
        Probe(action=action, agent=agent, by_human=by_human, succeeded=succeeded)
        for action, agent, by_human, succeeded in listed
    )


def _join_breaker(stored: Stored) -> Breaker:
    columns, facts = stored.columns, stored.facts
    reason, asked_reason = stored.payload
    asked = facts["reset_asked"]
    return Breaker(
        id=columns["id"],
        revision=columns["revision"],
        scope=Scope(agent=columns["agent"], tool=columns["tool"], environment=columns["environment"]),
        state=BreakerState(columns["state"]),
        changed_at=moment(columns["changed_at"]),
        changed_by=facts["changed_by"],
        reason=reason,
        ask_again_at=moment_or_none(facts["ask_again_at"]),
        reset_asked=None if asked is None else _join_ask(asked, asked_reason),
        rule=facts.get("rule"),
        tripped_by=facts.get("tripped_by", ""),
        tripped_at=moment_or_none(facts.get("tripped_at")),
        healing=_join_healing(facts["healing"]) if "healing" in facts else None,
        probes=_join_probes(facts.get("probes", [])),
    )


BREAKERS: Table[Breaker] = Table(
    name="breaker",
    columns=("id", "revision", "agent", "tool", "environment", "state", "changed_at"),
    split=_split_breaker,
    join=_join_breaker,
)


def _split_status(status: AgentStatus, _keys: LedgerKeys) -> Split:
    facts: dict[str, object] = {"changed_by": status.changed_by, "changed_at": stamp(status.changed_at)}
    asked = status.resume_asked
    if asked is None:
        return (status.id, status.revision, status.state.value), facts, (status.reason,)
    facts["resume_asked"] = _split_ask(asked)
    return (status.id, status.revision, status.state.value), facts, (status.reason, asked.reason)


def _join_status(stored: Stored) -> AgentStatus:
    asked = stored.facts.get("resume_asked")
    return AgentStatus(
        id=stored.columns["id"],
        revision=stored.columns["revision"],
        state=AgentState(stored.columns["state"]),
        changed_by=stored.facts["changed_by"],
        changed_at=moment(stored.facts["changed_at"]),
        reason=stored.payload[0],
        resume_asked=None if asked is None else _join_ask(asked, stored.payload[1]),
    )


STATUSES: Table[AgentStatus] = Table(
    name="agent_status", columns=("id", "revision", "state"), split=_split_status, join=_join_status
)


def _split_credential(credential: Credential, _keys: LedgerKeys) -> Split:
    columns = (
        credential.id,
        credential.revision,
        credential.kind.value,
        credential.principal,
        stamp(credential.issued_at),
    )
    facts: dict[str, object] = {
        "secret_mac": hexed(credential.secret_mac),
        "issued_by": credential.issued_by,
        "expires_at": stamp_or_none(credential.expires_at),
        "revoked_at": stamp_or_none(credential.revoked_at),
        "revoked_by": credential.revoked_by,
        "tools": credential.tools,
    }
    if credential.signed_in_by is not None:
        facts |= {"signed_in_by": credential.signed_in_by.value, "rests_on": credential.rests_on}
    return columns, facts, ()


def _join_credential(stored: Stored) -> Credential:
    columns, facts = stored.columns, stored.facts
    return Credential(
        id=columns["id"],
        revision=columns["revision"],
        kind=Kind(columns["kind"]),
        principal=columns["principal"],
        issued_at=moment(columns["issued_at"]),
        secret_mac=bytes.fromhex(facts["secret_mac"]),
        issued_by=facts["issued_by"],
        expires_at=moment_or_none(facts["expires_at"]),
        revoked_at=moment_or_none(facts["revoked_at"]),
        revoked_by=facts["revoked_by"],
        tools=tuple(facts["tools"]),
        signed_in_by=SignedInBy(facts["signed_in_by"]) if "signed_in_by" in facts else None,
        rests_on=facts.get("rests_on"),
    )


CREDENTIALS: Table[Credential] = Table(
    name="credential",
    columns=("id", "revision", "kind", "principal", "issued_at"),
    split=_split_credential,
    join=_join_credential,
)
