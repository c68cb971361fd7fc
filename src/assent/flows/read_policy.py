"""Operators read the policy: which version serves, what waits, why a question comes to what it does, the document.

Reading the directory or judging a large policy takes a while, so it is done beside the event loop.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from assent.core.errors import NotFound
from assent.core.explanations import Asking, DocumentFormat, Explanation
from assent.core.operators import Permission
from assent.core.privileges import Activation, Change
from assent.core.publications import ActivePolicy, Publication, waits
from assent.core.releases import Vouched
from assent.flows.active_policy import active_policy
from assent.flows.authenticate import OperatorCaller, confirm_operator, require
from assent.flows.broker import Broker
from assent.flows.vouch_for_policy import vouched_for
from assent.ports import Policies, Policy, View


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """Which policy serves, what its files are now (None: unreadable), and what waits to be confirmed, with its diff.

    `unvouched` says why the release beside what waits does not count, None where none lies there. `active` is the
    version that is active in the ledger, None where it does not say; `published` and `published_waiting` are how that
    and what waits came there, None where a broker's own directory was taken up. `behind` says why another version
    serves here than the active one.
    """

    policy: Policy
    activation: Activation
    files_version: str | None
    waiting: Policy | None
    changes: Sequence[Change]
    unvouched: str | None = None
    active: ActivePolicy | None = None
    published: Publication | None = None
    published_waiting: Publication | None = None
    behind: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """An explanation by the version that serves, and what the files are now."""

    explanation: Explanation
    files_version: str | None


async def show_policy(broker: Broker, caller: OperatorCaller) -> Serving:
    """Return which policy serves.

    Raises:
        Forbidden: the caller may not read approvals, and so not what they follow from.

    """
    await _allow(broker, caller)
    policies = _policies(broker)
    policy, waiting = policies.current, policies.waiting
    changes = () if waiting is None else await asyncio.to_thread(waiting.changes_since, policy)
    active, published, pending = await broker.ledger.read(_published)
    return Serving(
        policy=policy,
        activation=broker.activation,
        files_version=await asyncio.to_thread(policies.version_on_disk),
        waiting=waiting,
        changes=changes,
        unvouched=await _unvouched(broker, waiting, policy),
        active=active,
        published=published,
        published_waiting=pending if waiting is not None and pending and pending.version == waiting.version else None,
        behind=why_behind(broker, active),
    )


async def _published(view: View) -> tuple[ActivePolicy | None, Publication | None, Publication | None]:
    active = await active_policy(view)
    named = None if active is None else active.publication
    published = None if named is None else await view.get(Publication, named)
    return active, published, waits(active, await view.newest_publication())


def why_behind(broker: Broker, active: ActivePolicy | None) -> str | None:
    """Return why another version serves here than the active one; None where it does not."""
    if active is None or active.version == broker.policy().version:
        return None
    return broker.following.why or f"the active policy `{active.version[:12]}` is being loaded"


async def _unvouched(broker: Broker, waiting: Policy | None, serving: Policy) -> str | None:
    if waiting is None:
        return None
    said = await broker.ledger.read(partial(vouched_for, broker=broker, found=waiting, serving=serving))
    return "it counts since a moment ago: read the directory again" if isinstance(said, Vouched) else said


async def explain_question(broker: Broker, caller: OperatorCaller, asking: Asking) -> Explained:
    """Return what the version that serves makes of a question, rule by rule. Raises as `show_policy`."""
    now = await _allow(broker, caller)
    policies = _policies(broker)
    explanation = await asyncio.to_thread(policies.explain, policies.current, asking, now)
    return Explained(explanation=explanation, files_version=await asyncio.to_thread(policies.version_on_disk))


async def read_document(
    broker: Broker, caller: OperatorCaller, kind: DocumentFormat, *, agent: str | None, role: str | None
) -> tuple[str, str]:
    """Return the version that serves and its document, whole or of one agent or role. Raises as `show_policy`.

    Raises:
        NotFound: there is no such agent or role.

    """
    now = await _allow(broker, caller)
    policies = _policies(broker)
    policy = policies.current
    return policy.version, await asyncio.to_thread(policies.document, policy, kind, now, agent=agent, role=role)


async def _allow(broker: Broker, caller: OperatorCaller) -> datetime:
    require(caller, Permission.APPROVALS_READ)

    async def work(view: View) -> datetime:
        await confirm_operator(view, caller)
        return view.now

    return await broker.ledger.read(work)


def _policies(broker: Broker) -> Policies:
    if broker.policies is None:
        raise NotFound("this broker keeps no policy files")
    return broker.policies
