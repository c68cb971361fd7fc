"""A broker starts, stops, and refuses a policy: each is a record, so that the log has no silent gaps."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from assent.core.canonical import Json, load
from assent.core.errors import Forged, LedgerUnavailable, PolicyInvalid, Stale
from assent.core.looking import RecordFilter
from assent.core.privileges import Activation, Change, widening
from assent.core.publications import ActivePolicy
from assent.core.records import Entry, RecordKind
from assent.core.releases import Vouched
from assent.flows import audit_entries, entries, policy_entries
from assent.flows.activate_policy import TakenUp, Uptake, judge_what_waits
from assent.flows.active_policy import Activating, activate, active_policy, keep_files
from assent.flows.broker import Broker
from assent.flows.follow_policy import follow_policy, load_version
from assent.flows.vouch_for_policy import vouched_for
from assent.ports import Gate, Policies, Policy, Tx, View

# Another broker took a version up between reading and recording: look again, and not for ever.
MOST_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class _Told:
    """What the ledger says at the start: which version is active, and which one became so last, for all it knows."""

    active: ActivePolicy | None
    recorded: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Beginning:
    """How this broker begins: which version serves, what was told before, and what becomes active with it.

    `files` are those of what serves, where other brokers of this ledger need them.
    """

    version: str
    told: _Told
    serving: str
    activating: Activating | None = None
    more: tuple[Entry, ...] = ()
    files: Mapping[str, bytes] | None = None


async def start_broker(broker: Broker, *, version: str) -> TakenUp:
    """Record that this broker (of this program `version`) begins, and settle which policy serves.

    Where the ledger's versions are published, the one that is active there serves, and the directory is not read. Else
    the directory's does: where it holds another one than the log names last, the older one is compared with it, from
    a copy that is believed because the log names its digest.

    Raises:
        PolicyInvalid: `activation` is `confirm`, and what was confirmed last is not at hand to compare with.
        LedgerUnavailable: other brokers took up one version after the other meanwhile.

    """
    for _ in range(MOST_TRIES):
        try:
            return await _start(broker, version)
        except Stale:
            continue
    raise LedgerUnavailable("other versions were taken up again and again meanwhile", hint="start again")


async def _start(broker: Broker, version: str) -> TakenUp:
    found, policies, told = broker.policy(), broker.policies, await broker.ledger.read(_told)
    if policies is not None and told.active is not None and told.active.publication is not None:
        return await _begin_published(broker, policies, version, told)
    files = await _files(broker, policies, found)
    if told.recorded == found.version:
        await _begin(broker, _Beginning(version=version, told=told, serving=found.version, files=files))
        return TakenUp(version=found.version, serving=found.version, uptake=Uptake.UNCHANGED)
    older = None if policies is None or told.recorded is None else await _older(broker, policies, told.recorded)
    changes = None if older is None else tuple(found.changes_since(older))
    if broker.activation is Activation.CONFIRM and told.recorded is not None:
        if older is None or changes is None:
            raise _nothing_to_compare_with(told.recorded, found.version)
        if policies is not None and widening(changes):
            beginning = _Beginning(version=version, told=told, serving=older.version)
            return await _begin_widened(broker, policies, beginning, older, changes)
    activating = Activating(version=found.version, previous=told.recorded, changes=changes, files=files)
    await _begin(broker, _Beginning(version=version, told=told, serving=found.version, activating=activating))
    ended = await judge_what_waits(broker)
    return TakenUp(
        version=found.version, serving=found.version, uptake=Uptake.ACTIVATED, changes=changes or (), ended=ended
    )


async def _older(broker: Broker, policies: Policies, version: str) -> Policy | None:
    try:
        return await load_version(broker, policies, version)
    except (PolicyInvalid, Forged):
        return None


async def _files(broker: Broker, policies: Policies | None, policy: Policy) -> Mapping[str, bytes] | None:
    if policies is None or not broker.is_shared:
        return None
    return await asyncio.to_thread(policies.files_of, policy.version)


async def _begin_published(broker: Broker, policies: Policies, version: str, told: _Told) -> TakenUp:
    """Begin with the version that is active in the ledger; where it cannot be loaded, nothing but reads is decided."""
    on_disk = policies.current.version
    await follow_policy(broker)
    serving, waiting = policies.current.version, policies.waiting
    await _begin(broker, _Beginning(version=version, told=told, serving=serving))
    return TakenUp(
        version=serving if waiting is None else waiting.version,
        serving=serving,
        uptake=Uptake.UNCHANGED if waiting is None else Uptake.WAITING,
        changes=() if waiting is None else tuple(waiting.changes_since(policies.current)),
        passed_over=on_disk if told.active is None or on_disk != told.active.version else None,
    )


async def _begin_widened(
    broker: Broker, policies: Policies, beginning: _Beginning, older: Policy, changes: Sequence[Change]
) -> TakenUp:
    """Begin with `older`, or with what the directory holds where a release key vouches for it."""
    found = policies.current
    policies.serve(older)
    policies.hold(found)
    beginning = replace(beginning, files=await _files(broker, policies, older))
    files = await _files(broker, policies, found)

    async def work(tx: Tx) -> Vouched | str | None:
        said = await vouched_for(tx, broker, found, older)
        if not isinstance(said, Vouched):
            proposed = policy_entries.policy_proposed(found.version, older.version, changes, unvouched=said)
            await _record(tx, replace(beginning, more=(proposed,)))
            return said
        activating = Activating(
            version=found.version, previous=older.version, changes=changes, vouched=said, files=files
        )
        await _record(tx, replace(beginning, serving=found.version, activating=activating))
        return said

    try:
        said = await broker.ledger.transact(work, gate=Gate.EXCLUSIVE)
    except BaseException:
        policies.serve(found)
        policies.hold(None)
        raise
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


async def _begin(broker: Broker, beginning: _Beginning) -> None:
    await broker.ledger.transact(lambda tx: _record(tx, beginning), gate=Gate.EXCLUSIVE)


async def _record(tx: Tx, beginning: _Beginning) -> None:
    """Record that a broker begins, and what becomes active with that. Raises Stale: another version did meanwhile."""
    if await active_policy(tx) != beginning.told.active:
        raise Stale("another policy was taken up meanwhile")
    await tx.append(entries.broker_started(beginning.version, beginning.serving))
    await keep_files(tx, beginning.serving, beginning.files)
    if beginning.activating is not None:
        await activate(tx, beginning.activating)
    for entry in beginning.more:
        await tx.append(entry)


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
        await tx.append(policy_entries.policy_refused(findings, serving, by=by))

    await broker.ledger.transact(work)


def _nothing_to_compare_with(recorded: str | None, found: str) -> PolicyInvalid:
    return PolicyInvalid(
        f"the policy directory holds `{found[:12]}`, but `{str(recorded)[:12]}` was confirmed last and no copy of it is"
        " here to compare with",
        hint='put the directory back to that version, or start once with `activation = "auto"`',
    )


async def _told(view: View) -> _Told:
    active = await active_policy(view)
    return _Told(active, await _last_policy(view) if active is None else active.version)


async def _last_policy(view: View) -> str | None:
    found = (await view.records(RecordFilter(kind=RecordKind.POLICY_ACTIVATED), limit=1)).records
    leaf = load(found[0].leaf) if found else None
    version = leaf.get("policy") if isinstance(leaf, dict) else None
    return version if isinstance(version, str) else None
