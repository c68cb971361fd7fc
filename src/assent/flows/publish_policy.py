"""An operator publishes a policy version: its files go into the ledger, on record with who reviewed and tested them.

From there every broker of the ledger loads it. Whether it is active at once, or waits for somebody to confirm it, is
told by the same rules as for a directory.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from assent.core.errors import BadRequest, PolicyInvalid
from assent.core.operators import Permission
from assent.core.publications import MAX_BUNDLE_BYTES, Publication, Review, tests_of
from assent.flows.activate_policy import TakenUp, Uptake, policies_of, take_up_policy
from assent.flows.active_policy import Publishing, active_policy, refuse_behind
from assent.flows.authenticate import OperatorCaller, confirm_operator, require
from assent.flows.broker import Broker
from assent.flows.follow_policy import follow_policy
from assent.flows.run_broker import policy_turned_down
from assent.ports import Policy, View


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What somebody wants to publish: files by their path, what vouches for them, and where the change comes from.

    `tests` is the text that `assent policy test --json` printed of these very files.
    """

    files: Mapping[str, bytes]
    release: bytes | None
    commit: str
    change_url: str
    author: str
    reviewer: str
    tests: str


async def publish_policy(broker: Broker, caller: OperatorCaller, offer: Offer) -> TakenUp:
    """Return what became of a version that was published; what is active already and was published is left as it is.

    Raises:
        Forbidden: the caller, as the active version knows them, may not activate policies.
        BadRequest: it was not reviewed by a second person, not tested, or is too large.
        PolicyInvalid: the files were refused; nothing was published.
        PolicyBehind: this broker could not load the version that is active yet.
        Stale: another version was taken up meanwhile.

    """
    require(caller, Permission.POLICY_ACTIVATE)
    if sum(map(len, offer.files.values())) > MAX_BUNDLE_BYTES:
        raise BadRequest(f"the files are larger than {MAX_BUNDLE_BYTES} bytes together", hint="publish fewer rules")
    await follow_policy(broker)

    async def look(view: View) -> Publication | None:
        await confirm_operator(view, caller)
        await refuse_behind(view, broker.policy())
        active = await active_policy(view)
        named = None if active is None else active.publication
        return None if named is None else await view.get(Publication, named)

    serving = await broker.ledger.read(look)
    found = await _found(broker, caller, offer)
    publishing = _publishing(broker, caller, offer, found)
    policies = policies_of(broker)
    if serving is not None and serving.version == found.version and policies.waiting is None:
        version = found.version
        return TakenUp(version=version, serving=version, uptake=Uptake.UNCHANGED, publication=serving)
    return await take_up_policy(broker, found, publishing)


async def _found(broker: Broker, caller: OperatorCaller, offer: Offer) -> Policy:
    try:
        return await asyncio.to_thread(policies_of(broker).of_files, offer.files, offer.release)
    except PolicyInvalid as refused:
        await policy_turned_down(broker, findings=len(refused.findings), by=caller.operator.id)
        raise


def _publishing(broker: Broker, caller: OperatorCaller, offer: Offer, found: Policy) -> Publishing:
    review = Review(
        commit=offer.commit,
        change_url=offer.change_url,
        author=offer.author,
        reviewer=offer.reviewer,
        tests=tests_of(offer.tests, found.version),
    )
    return Publishing(
        version=found.version,
        files=offer.files,
        release=offer.release,
        by=caller.operator.id,
        caller=caller,
        review=review,
        record=broker.new_id("rec"),
    )
