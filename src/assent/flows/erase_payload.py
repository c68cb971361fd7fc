"""What was asked and said about an action is forgotten: records and their hashes stay, one more says who and why.

Nobody erases what they had a hand in, nothing open is erased, and nothing while something has to be kept.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from assent.core.actions import ENDED, Action, ActionId, forget
from assent.core.approvals import Approval
from assent.core.credentials import Credential
from assent.core.errors import AssentError, IllegalMove, NotFound
from assent.core.looking import RecordFilter
from assent.core.operators import Permission
from assent.core.records import Record, RecordId, RecordKind
from assent.core.telling import leaf_detail
from assent.flows import audit_entries
from assent.flows.active_policy import decide, refuse_behind
from assent.flows.authenticate import OperatorCaller, confirm_operator, require
from assent.flows.broker import Broker
from assent.flows.tell_story import action_named, leaf_of
from assent.ports import Tx, View

OPERATOR_PREFIX = "operator:"
PAGE_RECORDS = 200
# Why somebody looked is their word about looking, and stays; who only looked had no hand in it.
_KEPT = frozenset({RecordKind.PAYLOAD_REVEALED, RecordKind.PAYLOAD_ERASED})
_LOOKED = _KEPT | {RecordKind.APPROVAL_SHOWN}


class HadAHand(AssentError):
    """Whoever wants it erased had a hand in it."""

    code = "not_eligible"


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What is gone, the record that says so, and what that does not reach: who saw it, where it stood on a card."""

    action: ActionId
    record: RecordId
    records: int
    seen_by: tuple[str, ...]
    shown_at: tuple[str, ...]


async def erase_action(broker: Broker, caller: OperatorCaller, key: str, *, basis: str, reason: str) -> Erased:
    """Return what was erased of an action, named as `tell_story` does; erased again it is answered with nothing new.

    Raises:
        Forbidden: the caller may not erase.
        HadAHand: they had a hand in the action.
        IllegalMove: the action is open, or something has to be kept.
        NotFound: there is no such action.

    """
    require(caller, Permission.AUDIT_ERASE)
    record_id = RecordId(broker.new_id("rec"))

    async def work(tx: Tx) -> Erased:
        await confirm_operator(tx, caller)
        await refuse_behind(tx, broker.policy())
        action = await _action(tx, key)
        found = await _records(tx, action.id)
        approval = await tx.approval_of(action.id)
        # (1) may it be forgotten, and by this person
        _refuse_hold(broker)
        _refuse_own(caller, await _hands(broker, tx, action, approval, found))
        if action.erased_by:
            return _erased(action, RecordId(action.erased_by), 0, found)
        _refuse_open(action)
        # (2) payload of records, of the action, of what people said
        gone = [record.id for record in found if leaf_of(record).get("commit") and _kind(record) not in _KEPT]
        for record in gone:
            await tx.erase(record)
        await tx.replace(action, forget(action, erased_by=record_id))
        if approval is not None and approval.comment:
            await tx.replace(approval, replace(approval, comment="", revision=approval.revision + 1))
        # (3) who, on which basis
        said = audit_entries.payload_erased(action, caller.operator.id, erased=gone, basis=basis, reason=reason)
        await tx.append(replace(said, id=record_id))
        return _erased(action, record_id, len(gone), found)

    return await decide(broker, work)


async def _action(view: View, key: str) -> Action:
    found = await view.get(Action, await action_named(view, key))
    if found is None:
        raise NotFound(f"no action `{key}`", hint="find it with `assent audit search`")
    return found


async def _records(view: View, action: ActionId) -> list[Record]:
    found: list[Record] = []
    first: int | None = None
    while True:
        page = await view.records(RecordFilter(action=action, first=first, oldest_first=True), limit=PAGE_RECORDS)
        found += page.records
        if page.rest is None:
            return found
        first = page.rest


def _refuse_hold(broker: Broker) -> None:
    if broker.legal_hold:
        raise IllegalMove(
            f"nothing is erased while `{broker.legal_hold}` has to be kept",
            hint="whoever keeps the broker ends that in `legal_hold`",
        )


def _refuse_open(action: Action) -> None:
    if action.state not in ENDED:
        raise IllegalMove(
            f"action `{action.id}` is `{action.state}`: what is open is not erased", hint="wait until it has ended"
        )


def _refuse_own(caller: OperatorCaller, hands: set[str]) -> None:
    if caller.operator.id in hands:
        raise HadAHand(
            "you had a hand in this action: nobody erases their own", hint="ask somebody else who holds `audit.erase`"
        )


async def _hands(
    broker: Broker, view: View, action: Action, approval: Approval | None, found: Sequence[Record]
) -> set[str]:
    """Return everybody who had a hand in an action: owner, key's issuer, drivers, and whoever acted on it."""
    profile, key = broker.policy().agent(action.agent), await view.get(Credential, action.key)
    named = set() if profile is None else {str(profile.owner)}
    named |= set() if key is None else {key.issued_by}
    named |= {name.removeprefix(OPERATOR_PREFIX) for name in action.on_behalf_of if name.startswith(OPERATOR_PREFIX)}
    if approval is not None:
        named |= {approval.owner, approval.key_issuer, *approval.drivers}
    return named | {who for record in found if _kind(record) not in _LOOKED for who in _operator(record)}


def _kind(record: Record) -> str:
    return str(leaf_of(record).get("kind", ""))


def _operator(record: Record) -> Iterator[str]:
    who = leaf_of(record).get("operator")
    if isinstance(who, str):
        yield who


def _erased(action: Action, record: RecordId, records: int, found: Sequence[Record]) -> Erased:
    looked = [one for one in found if _kind(one) in _LOOKED and _kind(one) != RecordKind.PAYLOAD_ERASED]
    places = {str(place) for one in looked if (place := leaf_detail(leaf_of(one)).get("place"))}
    return Erased(
        action=action.id,
        record=record,
        records=records,
        seen_by=tuple(sorted({who for one in looked for who in _operator(one)})),
        shown_at=tuple(sorted(places)),
    )
