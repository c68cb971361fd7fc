"""A broker starts, stops, and refuses a policy: each is a record, so that the log has no silent gaps."""

from collections.abc import Mapping, Sequence

from assent.core.canonical import Json, load
from assent.core.errors import PolicyInvalid
from assent.core.looking import RecordFilter
from assent.core.privileges import Activation, Change, widening
from assent.core.records import Entry, RecordKind
from assent.core.releases import Vouched
from assent.flows import audit_entries, entries
from assent.flows.activate_policy import TakenUp, Uptake, judge_what_waits
from assent.flows.broker import Broker
from assent.flows.vouch_for_policy import vouched_for
from assent.ports import Gate, Policies, Policy, Tx, View


async def start_broker(broker: Broker, *, version: str) -> TakenUp:
    """Record that this broker (of this program `version`) begins, and settle which policy serves.

    Where the directory holds another version than the log names last, the older one is compared with it, from a copy
    that is believed because the log names its digest.

    Raises:
        PolicyInvalid: `activation` is `confirm`, and what was confirmed last is not at hand to compare with.

    """
    found, policies = broker.policy(), broker.policies
    recorded = await broker.ledger.read(_last_policy)
    older = policies.kept(recorded) if policies is not None and recorded not in {None, found.version} else None
    changes = None if older is None else tuple(found.changes_since(older))
    if broker.activation is Activation.CONFIRM and recorded not in {None, found.version}:
        if older is None or changes is None:
            raise _nothing_to_compare_with(recorded, found.version)
        if policies is not None and widening(changes):
            return await _begin_widened(broker, policies, version, older, changes)
    if recorded == found.version:
        await _record_beginning(broker, version)
        return TakenUp(version=found.version, serving=found.version, uptake=Uptake.UNCHANGED)
    await _record_beginning(broker, version, entries.policy_activated(found.version, recorded, changes))
    ended = await judge_what_waits(broker)
    return TakenUp(
        version=found.version, serving=found.version, uptake=Uptake.ACTIVATED, changes=changes or (), ended=ended
    )


async def _begin_widened(
    broker: Broker, policies: Policies, version: str, older: Policy, changes: Sequence[Change]
) -> TakenUp:
    """Begin with `older`, or with what the directory holds where a release key vouches for it."""
    found = policies.current
    policies.serve(older)
    policies.hold(found)

    async def work(tx: Tx) -> Vouched | str | None:
        said = await vouched_for(tx, broker, found, older)
        if isinstance(said, Vouched):
            await tx.append(entries.broker_started(version, found.version))
            await tx.append(entries.policy_activated(found.version, older.version, changes, vouched=said))
        else:
            await tx.append(entries.broker_started(version, older.version))
            await tx.append(entries.policy_proposed(found.version, older.version, changes, unvouched=said))
        return said

    said = await broker.ledger.transact(work, gate=Gate.EXCLUSIVE)
    if not isinstance(said, Vouched):
        return TakenUp(
            version=found.version, serving=older.version, uptake=Uptake.WAITING, changes=changes, unvouched=said
        )
    policies.serve(found)
    policies.hold(None)
    ended = await judge_what_waits(broker)
    return TakenUp(
        version=found.version,
        serving=found.version,
        uptake=Uptake.ACTIVATED,
        changes=changes,
        ended=ended,
        vouched=said,
    )


async def _record_beginning(broker: Broker, version: str, *more: Entry) -> None:
    serving = broker.policy().version

    async def work(tx: Tx) -> None:
        await tx.append(entries.broker_started(version, serving))
        for entry in more:
            await tx.append(entry)

    await broker.ledger.transact(work, gate=Gate.EXCLUSIVE)


async def stop_broker(broker: Broker, *, version: str) -> None:
    """Record that this broker stopped because it was asked to."""

    async def work(tx: Tx) -> None:
        await tx.append(entries.broker_stopped(version))

    await broker.ledger.transact(work)


async def record_verification(broker: Broker, found: Mapping[str, Json]) -> None:
    """Record that the log was verified, or that it did not verify and from which record on."""

    async def work(tx: Tx) -> None:
        await tx.append(audit_entries.log_verified(found))

    await broker.ledger.transact(work)


async def policy_turned_down(broker: Broker, *, findings: int, by: str | None = None) -> None:
    """Record that a policy directory was refused, which version goes on serving, and who asked where somebody did."""
    serving = broker.policy().version

    async def work(tx: Tx) -> None:
        await tx.append(entries.policy_refused(findings, serving, by=by))

    await broker.ledger.transact(work)


def _nothing_to_compare_with(recorded: str | None, found: str) -> PolicyInvalid:
    return PolicyInvalid(
        f"the policy directory holds `{found[:12]}`, but `{str(recorded)[:12]}` was confirmed last and no copy of it is"
        " here to compare with",
        hint='put the directory back to that version, or start once with `activation = "auto"`',
    )


async def _last_policy(view: View) -> str | None:
    found = (await view.records(RecordFilter(kind=RecordKind.POLICY_ACTIVATED), limit=1)).records
    leaf = load(found[0].leaf) if found else None
    version = leaf.get("policy") if isinstance(leaf, dict) else None
    return version if isinstance(version, str) else None
