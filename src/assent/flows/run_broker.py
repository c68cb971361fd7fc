"""A broker starts, stops, and takes up or refuses a policy: each is a record, so that the log has no silent gaps."""

from assent.core.canonical import load
from assent.core.looking import RecordFilter
from assent.core.records import RecordKind
from assent.flows import entries
from assent.flows.broker import Broker
from assent.ports import Gate, Tx, View


async def start_broker(broker: Broker, *, version: str) -> None:
    """Record that this broker begins to serve, and the policy it serves when that is not the one last recorded."""
    serving = broker.policy().version

    async def work(tx: Tx) -> None:
        await tx.append(entries.broker_started(version, serving))
        previous = await _last_policy(tx)
        if previous != serving:
            await tx.append(entries.policy_activated(serving, previous))

    await broker.ledger.transact(work, gate=Gate.EXCLUSIVE)


async def stop_broker(broker: Broker, *, version: str) -> None:
    """Record that this broker stopped because it was asked to."""

    async def work(tx: Tx) -> None:
        await tx.append(entries.broker_stopped(version))

    await broker.ledger.transact(work)


async def policy_taken_up(broker: Broker, *, version: str) -> None:
    """Record that the policy `version` serves from now on in place of the present one; let it serve after that."""
    previous = broker.policy().version

    async def work(tx: Tx) -> None:
        await tx.append(entries.policy_activated(version, previous))

    await broker.ledger.transact(work, gate=Gate.EXCLUSIVE)


async def policy_turned_down(broker: Broker, *, findings: int) -> None:
    """Record that a policy directory was refused, and which version goes on serving."""
    serving = broker.policy().version

    async def work(tx: Tx) -> None:
        await tx.append(entries.policy_refused(findings, serving))

    await broker.ledger.transact(work)


async def _last_policy(view: View) -> str | None:
    found = (await view.records(RecordFilter(kind=RecordKind.POLICY_ACTIVATED), limit=1)).records
    leaf = load(found[0].leaf) if found else None
    version = leaf.get("policy") if isinstance(leaf, dict) else None
    return version if isinstance(version, str) else None
