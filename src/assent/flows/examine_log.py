"""What a human should look at: one line for each question about log and ledger, with what to do where something is off.

Each look is bounded and its own question to the ledger. One that fails is a finding itself; the others go on.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from assent.core.agents import AgentProfile
from assent.core.breakers import Breaker
from assent.core.credentials import Kind, is_live
from assent.core.errors import AssentError
from assent.core.looking import RecordFilter
from assent.core.operators import Permission
from assent.core.records import Record, RecordKind
from assent.core.telling import leaf_detail
from assent.flows.authenticate import OperatorCaller, confirm_operator, require
from assent.flows.broker import Broker
from assent.flows.tell_story import leaf_of
from assent.ports import Policy, View

UNSIGNED_FOR = timedelta(minutes=1)
UNVERIFIED_FOR = timedelta(days=2)
OVERDUE_FOR = timedelta(minutes=1)
OPEN_FOR = timedelta(hours=24)
LOOKED_BACK = timedelta(days=7)
SELF_APPROVED_LOOKED_BACK = timedelta(days=30)
# So many of each are looked at, the newest first, and so many are named.
LOOKED_AT = 1_000
NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The answer to one question: `ok`, or `what` is wrong and what to `do`."""

    check: str
    what: str
    do: str = ""

    @property
    def ok(self) -> bool:
        """Whether nobody has to look."""
        return not self.do


Check = Callable[[View, Policy], Awaitable[Finding]]


async def examine(broker: Broker, caller: OperatorCaller) -> tuple[Finding, ...]:
    """Return the answer to every question, in a fixed order.

    Raises:
        Forbidden: the caller may not read the audit log.
        Unauthenticated: the caller's token was revoked since.

    """
    require(caller, Permission.AUDIT_READ)
    await broker.ledger.read(lambda view: confirm_operator(view, caller))
    return tuple([await _answer(broker, name, check) for name, check in CHECKS.items()])


async def _answer(broker: Broker, name: str, check: Check) -> Finding:
    policy = broker.policy()

    async def work(view: View) -> Finding:
        return await check(view, policy)

    try:
        return await broker.ledger.read(work)
    except AssentError as fault:
        return Finding(check=name, what=f"could not be looked at: {fault.message}", do=fault.hint or "try again")


async def _signed(view: View, _: Policy) -> Finding:
    log = await view.log_state()
    waiting = log.records - log.signed
    if log.unsigned_since is not None and view.now - log.unsigned_since > UNSIGNED_FOR:
        since = _age(view.now, log.unsigned_since)
        return Finding(
            check="signed",
            what=f"{waiting} records have waited for a signed checkpoint for {since}",
            do="look for `upkeep_failed` in the broker's own log, and run `assent audit verify` on a copy",
        )
    newest = "none yet" if log.signed_at is None else f"{_age(view.now, log.signed_at)} old"
    return Finding(
        check="signed", what=f"{log.signed} of {log.records} records are signed, the newest checkpoint {newest}"
    )


async def _verified(view: View, _: Policy) -> Finding:
    last = await _newest(view, RecordKind.LOG_VERIFIED)
    if last is not None and leaf_detail(leaf_of(last)).get("verified") is not True:
        return Finding(
            check="verified",
            what=f"the log did not verify {_age(view.now, last.time)} ago: record `{last.id}` says from where on",
            do="keep a copy of the ledger, and run `assent audit verify --keys` on it",
        )
    begin = last or await _oldest(view)
    since = "" if begin is None else _age(view.now, begin.time)
    if begin is not None and view.now - begin.time > UNVERIFIED_FOR:
        return Finding(
            check="verified",
            what=f"the broker has not verified its log for {since}",
            do="look for `verification` in the broker's own log, and run `assent audit verify` on a copy",
        )
    told = f"the broker verified its log {since} ago" if last is not None else "the log is not a day old yet"
    return Finding(check="verified", what=told)


async def _rows(view: View, _: Policy) -> Finding:
    damaged = await view.damaged(LOOKED_AT)
    if damaged:
        return Finding(
            check="rows",
            what=f"{len(damaged)} rows were not written by this broker: {_named(damaged)}",
            do="somebody changed the database: keep a copy, and run `assent audit verify --keys` on it",
        )
    return Finding(check="rows", what=f"the newest {LOOKED_AT} rows of every kind carry their MAC")


async def _timers(view: View, _: Policy) -> Finding:
    due = await view.due(LOOKED_AT)
    since = [approval.expires_at for approval in due.approvals]
    since += [end for action in due.actions if (end := action.pick_up_until or action.lease_expires_at) is not None]
    late = [moment for moment in since if view.now - moment > OVERDUE_FOR]
    if late:
        return Finding(
            check="timers",
            what=f"{len(late)} things should have ended up to {_age(view.now, min(late))} ago",
            do="nothing of it can be used, but it is not told either: look for `upkeep_failed` in the broker's own log",
        )
    return Finding(check="timers", what="whatever has run out was ended in time")


async def _outcomes(view: View, _: Policy) -> Finding:
    lost = [action for action in await view.unknown(LOOKED_AT) if view.now - action.created_at < LOOKED_BACK]
    if lost:
        return Finding(
            check="outcomes",
            what=f"{len(lost)} actions of the last week began and nobody said how they ended: "
            + _named([action.id for action in lost]),
            do="find out on the target what became of each; `assent audit show ID` says what it was",
        )
    return Finding(check="outcomes", what="every action of the last week that began is known to have ended, or runs")


async def _replays(view: View, _: Policy) -> Finding:
    found = await _since(view, RecordKind.GRANT_REPLAYED, LOOKED_BACK)
    if found:
        actions = sorted({str(leaf_of(record).get("action")) for record in found})
        return Finding(
            check="replays",
            what=f"spent grants were presented again {len(found)} times within a week: {_named(actions)}",
            do="a retry that lost its attempt, or somebody who copied a grant: `assent audit show ID`",
        )
    return Finding(check="replays", what="no spent grant was presented again within a week")


async def _self_approved(view: View, _: Policy) -> Finding:
    found = await _since(view, RecordKind.APPROVAL_VOTED, SELF_APPROVED_LOOKED_BACK)
    own = [record for record in found if leaf_detail(leaf_of(record)).get("self_approved") is True]
    if own:
        actions = sorted({str(leaf_of(record).get("action")) for record in own})
        return Finding(
            check="self_approved",
            what=f"{len(own)} votes within 30 days were of somebody involved, under `single_person`: {_named(actions)}",
            do="have a second person look at each, and end `single_person` in operators.yaml as soon as there is one",
        )
    return Finding(check="self_approved", what="nobody involved voted within 30 days")


async def _credentials(view: View, policy: Policy) -> Finding:
    declared: dict[Kind, dict[str, AgentProfile | None]] = {
        Kind.AGENT: {agent.id: agent for agent in policy.agents()},
        Kind.OPERATOR: {operator.id: None for operator in policy.operators()},
    }
    loose: list[str] = []
    for kind, known in declared.items():
        for name in await view.holders(kind):
            profile = known.get(name)
            gone = name not in known or (profile is not None and view.now >= profile.expires)
            if gone and any(is_live(one, view.now) for one in await view.credentials(kind, name, limit=NAMED)):
                loose.append(name)
    if loose:
        return Finding(
            check="credentials",
            what=f"{len(loose)} who left the policy or have expired still hold live credentials: {_named(loose)}",
            do="they open nothing, but revoke them: `assent agents show ID`, `assent operators show ID`",
        )
    return Finding(check="credentials", what="nobody holds a live credential who left the policy or has expired")


async def _policy(view: View, _: Policy) -> Finding:
    refused = await _newest(view, RecordKind.POLICY_REFUSED)
    later = [await _newest(view, kind) for kind in (RecordKind.POLICY_ACTIVATED, RecordKind.BROKER_STARTED)]
    if refused is not None and all(_index(record) < _index(refused) for record in later):
        return Finding(
            check="policy",
            what=f"changed policies were refused {_age(view.now, refused.time)} ago, and the version before serves on",
            do="correct what the broker's own log names as `policy_refused`",
        )
    return Finding(check="policy", what="the policy that serves is the one in the files")


async def _breakers(view: View, _: Policy) -> Finding:
    forgotten = [breaker for breaker in await view.open_breakers() if _is_forgotten(breaker, view.now)]
    if forgotten:
        return Finding(
            check="breakers",
            what=f"{len(forgotten)} breakers stop something since more than a day, or are to be asked about again: "
            + _named([breaker.id for breaker in forgotten]),
            do="see `assent breakers list`, and reset what need not be stopped any more",
        )
    return Finding(check="breakers", what="no breaker was forgotten")


def _is_forgotten(breaker: Breaker, now: datetime) -> bool:
    asks = breaker.ask_again_at is not None and now >= breaker.ask_again_at
    return asks or (breaker.ask_again_at is None and now - breaker.changed_at > OPEN_FOR)


async def _since(view: View, kind: RecordKind, back: timedelta) -> Sequence[Record]:
    return (await view.records(RecordFilter(kind=kind, since=view.now - back), limit=LOOKED_AT)).records


async def _newest(view: View, kind: RecordKind) -> Record | None:
    found = (await view.records(RecordFilter(kind=kind), limit=1)).records
    return found[0] if found else None


async def _oldest(view: View) -> Record | None:
    found = (await view.records(RecordFilter(oldest_first=True), limit=1)).records
    return found[0] if found else None


def _index(record: Record | None) -> int:
    return -1 if record is None or record.index is None else record.index


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(f"`{name}`" for name in names[:NAMED]) + more


def _age(now: datetime, then: datetime) -> str:
    seconds = max(0, int((now - then).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


CHECKS: dict[str, Check] = {
    "signed": _signed,
    "verified": _verified,
    "rows": _rows,
    "timers": _timers,
    "outcomes": _outcomes,
    "replays": _replays,
    "self_approved": _self_approved,
    "credentials": _credentials,
    "policy": _policy,
    "breakers": _breakers,
}
