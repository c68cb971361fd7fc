"""A broker takes up the version that is active in the ledger, and holds the one that waits there.

What is loaded is checked as a directory is, beside the event loop, and is served only if its digest is the one that
the ledger names. What cannot be loaded changes nothing: this broker then decides nothing but reads, and says why.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from assent.core.errors import Forged, PolicyInvalid
from assent.core.publications import ActivePolicy, Bundle, Publication, waits
from assent.flows.active_policy import active_policy
from assent.flows.broker import Broker
from assent.ports import Policies, Policy, Tx, View

LOAD_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """What a look at the ledger came to: the version that was taken up, the one held, and what cannot be loaded."""

    taken_up: str | None = None
    held: str | None = None
    why_not: str | None = None
    why_not_held: str | None = None


@dataclass(frozen=True, slots=True)
class _Told:
    active: ActivePolicy | None
    pending: Publication | None


async def follow_policy(broker: Broker) -> Followed:
    """Load the active version where it is another one than serves here, and hold what waits to be confirmed.

    Raises:
        LedgerUnavailable: the ledger cannot be asked.

    """
    policies = broker.policies
    if policies is None:
        return Followed()
    try:
        # Where decisions are made what is latched is remembered; a reader would look at every breaker, each second.
        told = await broker.ledger.transact(_look)
    except Forged as fault:
        broker.following.why = fault.message
        return Followed(why_not=fault.message)
    taken_up, why_not = await _catch_up(broker, policies, told.active)
    broker.following.why = why_not
    held, why_not_held = await _hold(broker, policies, told.pending)
    return Followed(taken_up=taken_up, held=held, why_not=why_not, why_not_held=why_not_held)


async def _look(view: View) -> _Told:
    active = await active_policy(view)
    return _Told(active, waits(active, await view.newest_publication()))


async def _catch_up(
    broker: Broker, policies: Policies, active: ActivePolicy | None
) -> tuple[str, None] | tuple[None, str | None]:
    """Return the version that was taken up; or None, and why the active one could not be."""
    if active is None or active.version == policies.current.version:
        return None, None
    try:
        found = await load_version(broker, policies, active.version)
    except (PolicyInvalid, Forged) as fault:
        return None, f"the active policy `{active.version[:12]}` cannot be loaded: {fault.message}"

    async def work(tx: Tx) -> bool:
        now_active = await active_policy(tx)
        is_it = now_active is not None and now_active.version == found.version
        if is_it:
            policies.serve(found)
        return is_it

    if not await broker.ledger.transact(work):
        return None, None  # another one by now, which the next look finds
    if policies.waiting is not None and policies.waiting.version == found.version:
        policies.hold(None)
    return found.version, None


async def load_version(
    broker: Broker, policies: Policies, version: str, release: bytes | None = None, *, is_new: bool = False
) -> Policy:
    """Return a version from what waits here, from the ledger, or from the copies beside it; what `is_new` is read anew.

    Raises:
        PolicyInvalid: it is nowhere, or this program does not take it.
        Forged: the ledger holds it, and somebody without the ledger key changed it.

    """
    waiting = policies.waiting
    if waiting is not None and waiting.version == version and not is_new:
        return waiting

    bundle, forged = await _bundle(broker, version)
    if bundle is None:
        found = await asyncio.to_thread(policies.kept, version)
        if found is None and forged is not None:
            raise forged
    else:
        found = await asyncio.to_thread(policies.of_files, bundle.files, release)
    if found is None or found.version != version:
        raise PolicyInvalid(
            "its files are not in the ledger",
            hint="publish it with `assent policy publish DIR`, or restart the broker that took it up",
        )
    return found


async def _bundle(broker: Broker, version: str) -> tuple[Bundle, None] | tuple[None, Forged | None]:
    async def look(view: View) -> Bundle | None:
        return await view.get(Bundle, version)

    try:
        found = await broker.ledger.read(look, within_seconds=LOAD_SECONDS)
    except Forged as fault:
        return None, fault  # a copy that has the digest is as good
    return (None, None) if found is None else (found, None)


async def _hold(
    broker: Broker, policies: Policies, pending: Publication | None
) -> tuple[str, None] | tuple[None, str | None]:
    """Hold the version that was published and waits; return its digest where it is new here, or why it cannot be."""
    following = broker.following
    if pending is None:
        if following.held is not None:
            policies.hold(None)
            following.held = None
        return None, None
    if following.held == pending.id or pending.version == policies.current.version:
        return None, None
    try:
        found = await load_version(broker, policies, pending.version, pending.release, is_new=True)
    except (PolicyInvalid, Forged) as fault:
        return None, f"the policy `{pending.version[:12]}` waits and cannot be loaded: {fault.message}"
    policies.hold(found)
    following.held = pending.id
    return found.version, None
