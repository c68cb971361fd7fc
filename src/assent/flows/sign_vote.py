"""A vote is to be signed: what the caller's passkey is asked, bound to the action, the digest they see, and the yes."""

from collections.abc import Mapping
from dataclasses import replace

from assent.core import approvals
from assent.core.approvals import MIN_DIGEST_PREFIX
from assent.core.canonical import Json
from assent.core.operators import Assurance
from assent.core.passkeys import about_vote
from assent.core.reasons import Reason
from assent.flows.authenticate import SessionCaller, confirm_operator
from assent.flows.broker import Broker
from assent.flows.resolve_approval import find
from assent.flows.sign_for import ask_to_sign
from assent.ports import Tx


async def ask_to_vote(
    broker: Broker, caller: SessionCaller, key: str, *, digest_prefix: str
) -> Mapping[str, Json] | Reason:
    """Return what the caller's passkey is asked for a yes to what they see, or why there could be none.

    Raises:
        NotFound: no such approval.
        Unauthenticated: the caller's session ended.
        IllegalMove: this broker takes no passkeys.

    """

    async def work(tx: Tx) -> Mapping[str, Json] | Reason:
        await confirm_operator(tx, caller)
        approval = await find(tx, key)
        sure = replace(caller.voter(), assurance=Assurance.STEP_UP)
        refused = approvals.why_closed(approval, tx.now) or approvals.why_not_vote(approval, sure, tx.now)
        if refused is not None:
            return refused
        if len(digest_prefix) < MIN_DIGEST_PREFIX or not approval.digest.startswith(digest_prefix):
            return Reason.of("digest_changed")
        return await ask_to_sign(broker, tx, caller, about_vote(approval))

    return await broker.ledger.transact(work)
