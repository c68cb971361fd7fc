"""What tools are defined as: a rule may stop a tool whose definition is not the one that was there before.

The ledger remembers the definition of every tool that such a rule is about, so that a change is noticed over restarts
too. Looking is part of taking a policy up: nobody asks for the changed tool in between.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from assent.core.breaker_rules import Applying, Definition, defined_otherwise
from assent.flows.broker import Broker
from assent.flows.notice import Ids, TooMuchOf, fresh_ids, trip_by_rule
from assent.flows.trip_breaker import Tripped, tell_tripped
from assent.ports import Gate, Policy, Tx

CHANGED = "its definition changed"


@dataclass(frozen=True, slots=True)
class Watched:
    """The tools of one policy that rules watch the definition of, with what their breakers need."""

    policy: Policy
    tools: Mapping[str, tuple[tuple[Applying, ...], Ids]]


def watched(broker: Broker, policy: Policy) -> Watched:
    """Return the tools of `policy` that rules watch the definition of."""
    rules = [rule for rule in policy.breaker_rules() if rule.on_definition]
    about = {tool: tuple(defined_otherwise(rules, tool)) for tool in policy.names("tool")} if rules else {}
    return Watched(policy, {tool: (found, fresh_ids(broker)) for tool, found in about.items() if found})


async def trip_what_changed(tx: Tx, looked_at: Watched) -> tuple[Tripped, ...]:
    """Trip the tools that are defined otherwise than before, in the transaction that lets their policy serve."""
    agents = len(looked_at.policy.agents()) if looked_at.tools else 0
    tripped: list[Tripped] = []
    for tool, (found, ids) in looked_at.tools.items():
        if await _is_changed(tx, tool, looked_at.policy.definition(tool) or ""):
            tripped += await _trip_each(tx, found, ids, agents)
    return tuple(tripped)


async def look_at_definitions(broker: Broker, policy: Policy) -> tuple[Tripped, ...]:
    """Trip the tools that `policy` defines otherwise than before, where a rule says so; call it before it serves.

    Raises:
        LedgerUnavailable: nobody knows; let the policy not serve yet.

    """
    looked_at = watched(broker, policy)
    if not looked_at.tools:
        return ()

    async def work(tx: Tx) -> tuple[Tripped, ...]:
        return await trip_what_changed(tx, looked_at)

    tripped = await broker.ledger.transact(work, gate=Gate.EXCLUSIVE)
    tell_tripped(broker, *tripped)
    return tripped


async def _is_changed(tx: Tx, tool: str, digest: str) -> bool:
    """Store what the tool is defined as now; return whether it was something else before."""
    known = await tx.get(Definition, tool)
    if known is None:
        await tx.add(Definition(id=tool, digest=digest))
        return False
    if known.digest == digest:
        return False
    await tx.replace(known, Definition(id=tool, digest=digest, revision=known.revision + 1))
    return True


async def _trip_each(tx: Tx, found: tuple[Applying, ...], ids: Ids, agents: int) -> list[Tripped]:
    tripped = []
    for applying in found:
        # Rules over the same scope are one breaker; the second of them adds nothing.
        one = await trip_by_rule(tx, TooMuchOf(applying=applying, why=CHANGED), ids=ids, agents=agents)
        if one is not None:
            tripped.append(one)
    return tripped
