"""The active policy: the version by which every broker of a ledger decides, named by one row of it.

A broker that has another version loaded decides nothing by that: it refuses, and loads. The row changes only while
nobody else passes the gate, together with the record that says so, so that nothing judged by an older version commits
after it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from assent.core.errors import PolicyBehind, Stale
from assent.core.privileges import Change
from assent.core.publications import (
    ACTIVE,
    MAX_BUNDLE_BYTES,
    ActivePolicy,
    Bundle,
    Publication,
    Review,
    next_active,
    next_publication,
    waits,
)
from assent.core.releases import Vouched
from assent.flows import policy_entries
from assent.flows.authenticate import OperatorCaller, confirm_operator
from assent.flows.broker import Broker
from assent.ports import Gate, Policy, Tx, View

T = TypeVar("T")

POLICY: Final = "policy"
"""Whoever loads policies is woken by this topic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing:
    """A version that is put into the ledger: its files, by whom, how it was reviewed, and the id of its record.

    `caller` is confirmed once more in the transaction.
    """

    version: str
    files: Mapping[str, bytes]
    release: bytes | None
    by: str
    caller: OperatorCaller
    review: Review
    record: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Activating:
    """A version that becomes active: in whose place, with which changes (None: unknown), confirmed or vouched by whom.

    `files` are kept for the other brokers; None where there are none.
    """

    version: str
    previous: str | None
    changes: Sequence[Change] | None
    by: str | None = None
    vouched: Vouched | None = None
    files: Mapping[str, bytes] | None = None


async def active_policy(view: View) -> ActivePolicy | None:
    """Return which version is active, or None where the ledger does not say: then each broker goes by its own."""
    return await view.get(ActivePolicy, ACTIVE)


async def is_behind(view: View, policy: Policy) -> bool:
    """Whether another version than `policy` is active."""
    active = await active_policy(view)
    return active is not None and active.version != policy.version


async def refuse_behind(view: View, policy: Policy) -> None:
    """Let go on who decides by the active version.

    Raises:
        PolicyBehind: it is another one than `policy`.

    """
    if await is_behind(view, policy):
        raise PolicyBehind("this broker is taking up another policy and decided nothing", hint="ask again in a moment")


async def decide(broker: Broker, work: Callable[[Tx], Awaitable[T]], *, gate: Gate = Gate.SHARED) -> T:
    """Run `work` as one transaction; where it was refused for the policy, have the active one loaded at once."""
    try:
        return await broker.ledger.transact(work, gate=gate)
    except PolicyBehind:
        broker.following.kick()
        raise


async def publish(tx: Tx, publishing: Publishing) -> Publication:
    """Put a version into the ledger, on record; it waits until it is activated.

    Raises:
        Unauthenticated: the caller's token was revoked since.

    """
    await confirm_operator(tx, publishing.caller)
    published = Publication(
        id=next_publication(await tx.newest_publication(), await active_policy(tx)),
        version=publishing.version,
        by=publishing.by,
        at=tx.now,
        review=publishing.review,
        release=publishing.release,
        record=publishing.record,
    )
    await keep_files(tx, publishing.version, publishing.files)
    await tx.add(published)
    await tx.append(policy_entries.policy_published(published, publishing.files))
    return published


async def keep_files(tx: Tx, version: str, files: Mapping[str, bytes] | None) -> None:
    """Keep the files of a version for every broker of this ledger, unless they are there or are too large for that."""
    if files is None or sum(map(len, files.values())) > MAX_BUNDLE_BYTES:
        return
    if await tx.get(Bundle, version) is None:
        await tx.add(Bundle(id=version, files=files, stored_at=tx.now))


async def activate(tx: Tx, activating: Activating) -> Publication | None:
    """Let a version be active from now on, on record; return how it was published, None where it was not.

    Raises:
        Stale: this ledger's versions are published, and another one than this was.

    """
    before, newest = await active_policy(tx), await tx.newest_publication()
    pending = waits(before, newest)
    publication = pending if pending is not None and pending.version == activating.version else None
    if publication is None and before is not None and before.publication is not None:
        raise Stale("another version was published meanwhile")
    active = next_active(
        before,
        version=activating.version,
        since=tx.now,
        publication=None if publication is None else publication.id,
        newest=None if newest is None else newest.id,
    )
    await keep_files(tx, activating.version, activating.files)
    await tx.append(
        policy_entries.policy_activated(
            activating.version,
            activating.previous,
            activating.changes,
            revision=active.revision,
            by=activating.by,
            vouched=activating.vouched,
            publication=publication,
        )
    )
    await (tx.add(active) if before is None else tx.replace(before, active))
    return publication
