"""How approvals are stored: who was asked and who voted are facts, the comment is payload; and what a denial leaves.

Votes live inside the approval's row, under its MAC: an inserted or removed vote is a changed row.
"""

import json
from datetime import timedelta

from assent.core.actions import Impact
from assent.core.approvals import DEFAULT_COOL_OFF, Approval, ApprovalState, DenialCategory, Need, Route, Step, Vote
from assent.core.denials import Denial, in_force_until
from assent.core.operators import Assurance
from assent.core.windows import microseconds
from assent.stores.rows.moments import moment, moment_or_none, stamp, stamp_or_none
from assent.stores.rows.table import Facts, Split, Stored, Table
from assent.stores.sealing import LedgerKeys


def _split(approval: Approval, _keys: LedgerKeys) -> Split:
    columns = (
        approval.id,
        approval.revision,
        approval.action,
        approval.code,
        approval.agent,
        approval.run_id,
        approval.state.value,
        stamp(approval.asked_at),
        stamp(approval.expires_at),
        json.dumps(sorted({route.name for route in approval.routes})),
    )
    return columns, _facts(approval), (approval.comment,)


def _facts(approval: Approval) -> dict[str, object]:
    return {
        "digest": approval.digest,
        "owner": approval.owner,
        "tool": approval.tool,
        "environment": approval.environment,
        "impact": approval.impact.value,
        "routes": [_route_facts(route) for route in approval.routes],
        "drivers": approval.drivers,
        "key_issuer": approval.key_issuer,
        **({"nonproduction": True} if approval.nonproduction else {}),
        "votes": [_vote_facts(vote) for vote in approval.votes],
        "decided_at": stamp_or_none(approval.decided_at),
        "decided_by": approval.decided_by,
        "category": None if approval.category is None else approval.category.value,
    }


def _route_facts(route: Route) -> dict[str, object]:
    return {
        "name": route.name,
        "needs": [[need.count, need.of] for need in route.needs],
        "assurance": route.assurance.name,
        "expires_after": route.expires_after // timedelta(microseconds=1),
        "pick_up_within": route.pick_up_within // timedelta(microseconds=1),
        "cool_off": route.cool_off // timedelta(microseconds=1),
        "steps": [[step.after // timedelta(microseconds=1), step.tell] for step in route.steps],
        **_agent_gone_after(route),
        **({"assurance_left_open": True} if route.assurance_left_open else {}),
    }


def _agent_gone_after(route: Route) -> dict[str, object]:
    return {} if route.agent_gone_after is None else {"agent_gone_after": microseconds(route.agent_gone_after)}


def _vote_facts(vote: Vote) -> dict[str, object]:
    return {
        "operator": vote.operator,
        "at": stamp(vote.at),
        "assurance": vote.assurance.name,
        "surface": vote.surface,
        "using": vote.using,
    }


def _join(stored: Stored) -> Approval:
    columns, facts = stored.columns, stored.facts
    return Approval(
        id=columns["id"],
        revision=columns["revision"],
        action=columns["action"],
        code=columns["code"],
        agent=columns["agent"],
        run_id=columns["run_id"],
        state=ApprovalState(columns["state"]),
        asked_at=moment(columns["asked_at"]),
        expires_at=moment(columns["expires_at"]),
        digest=facts["digest"],
        owner=facts["owner"],
        tool=facts["tool"],
        environment=facts["environment"],
        impact=Impact(facts["impact"]),
        routes=tuple(_join_route(route) for route in facts["routes"]),
        drivers=tuple(facts["drivers"]),
        key_issuer=facts["key_issuer"],
        nonproduction=facts.get("nonproduction", False),
        votes=tuple(_join_vote(vote) for vote in facts["votes"]),
        decided_at=moment_or_none(facts["decided_at"]),
        decided_by=facts["decided_by"],
        category=None if facts["category"] is None else DenialCategory(facts["category"]),
        comment=stored.payload[0],
    )


def _join_route(facts: Facts) -> Route:
    return Route(
        name=facts["name"],
        needs=tuple(Need(count=count, of=of) for count, of in facts["needs"]),
        assurance=Assurance[facts["assurance"]],
        assurance_left_open=facts.get("assurance_left_open", False),
        expires_after=timedelta(microseconds=facts["expires_after"]),
        pick_up_within=timedelta(microseconds=facts["pick_up_within"]),
        cool_off=timedelta(microseconds=facts["cool_off"]) if "cool_off" in facts else DEFAULT_COOL_OFF,
        agent_gone_after=timedelta(microseconds=facts["agent_gone_after"]) if "agent_gone_after" in facts else None,
        steps=tuple(Step(after=timedelta(microseconds=us), tell=tuple(tell)) for us, tell in facts.get("steps", ())),
    )


def _join_vote(facts: Facts) -> Vote:
    return Vote(
        operator=facts["operator"],
        at=moment(facts["at"]),
        assurance=Assurance[facts["assurance"]],
        surface=facts["surface"],
        using=facts.get("using", ""),
    )


APPROVALS: Table[Approval] = Table(
    name="approval",
    columns=("id", "revision", "action", "code", "agent", "run_id", "state", "asked_at", "expires_at", "routes"),
    split=_split,
    join=_join,
)


def _split_denial(denial: Denial, _keys: LedgerKeys) -> Split:
    columns = (denial.id, denial.revision, denial.agent, denial.tool, stamp_or_none(in_force_until(denial)))
    facts: dict[str, object] = {
        "code": denial.code,
        "rules": denial.rules,
        "denied_at": stamp(denial.denied_at),
        "cools_until": stamp_or_none(denial.cools_until),
        "counts_until": stamp_or_none(denial.counts_until),
    }
    return columns, facts, (denial.content,)


def _join_denial(stored: Stored) -> Denial:
    columns, facts = stored.columns, stored.facts
    return Denial(
        id=columns["id"],
        revision=columns["revision"],
        agent=columns["agent"],
        tool=columns["tool"],
        code=facts["code"],
        rules=tuple(facts.get("rules", ())),
        content=stored.payload[0],
        denied_at=moment(facts["denied_at"]),
        cools_until=moment_or_none(facts.get("cools_until")),
        counts_until=moment_or_none(facts.get("counts_until")),
    )


DENIALS: Table[Denial] = Table(
    name="denial",
    columns=("id", "revision", "agent", "tool", "in_force_until"),
    split=_split_denial,
    join=_join_denial,
)
