"""An auditor reads the life of one action: everything the log says of it, and the stops that touched it.

The log is the story; the action's row only adds where it stands now. A row that is damaged or gone is said to be, and
the story is told all the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from assent.core.actions import ENDED, Action, ActionId
from assent.core.approvals import Approval
from assent.core.canonical import Json, load
from assent.core.errors import Forged, NotFound
from assent.core.looking import FoundRecords, RecordFilter
from assent.core.operators import Permission
from assent.core.records import Record, RecordKind
from assent.core.telling import leaf_detail, scope_of
from assent.flows.agent_status import AGENT_PREFIX
from assent.flows.authenticate import OperatorCaller, confirm_operator, require
from assent.flows.broker import Broker
from assent.ports import View

MAX_STOPS = 200
_STOPS = (
    RecordKind.BREAKER_TRIPPED,
    RecordKind.BREAKER_RESET,
    RecordKind.AGENT_SUSPENDED,
    RecordKind.AGENT_RESUMED,
)
_STOPPED_BY = {"breaker_open": RecordKind.BREAKER_TRIPPED, "agent_suspended": RecordKind.AGENT_SUSPENDED}
_JUST_AFTER = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One page of the life of an action, oldest first.

    `action` is None where its row is damaged or gone. `own` are the records of the action; `stops` are those of
    breakers and suspensions that held over it. `rest` is where its own records go on, None at the end.
    """

    id: ActionId
    action: Action | None
    approval: Approval | None
    own: tuple[Record, ...]
    stops: tuple[Record, ...]
    rest: int | None

    def in_order(self) -> list[Record]:
        """Return all records of the page in the order of the log."""
        return sorted((*self.own, *self.stops), key=lambda record: record.index or 0)


@dataclass(frozen=True, slots=True)
class _About:
    agents: frozenset[str]
    tool: str
    environment: str


async def tell_story(
    broker: Broker, caller: OperatorCaller, key: str, *, limit: int, first: int | None = None
) -> Story:
    """Return the life of an action, named by its id, its approval's id or code, from index `first` on.

    Raises:
        Forbidden: the caller may not read the audit log.
        NotFound: the log knows no such action.

    """
    require(caller, Permission.AUDIT_READ)

    async def work(view: View) -> Story:
        await confirm_operator(view, caller)
        return await _story(view, key, limit=limit, first=first)

    return await broker.ledger.read(work)


async def _story(view: View, key: str, *, limit: int, first: int | None) -> Story:
    identifier = await action_named(view, key)
    found = await view.records(RecordFilter(action=identifier, first=first, oldest_first=True), limit=limit)
    opening = await view.records(RecordFilter(action=identifier, oldest_first=True), limit=1)
    if not opening.records:
        raise NotFound(f"the log knows no action `{identifier}`", hint="find it with `assent audit search`")
    about, action = _about(opening.records[0]), await _sound(view, identifier)
    before = await _earlier(view, about, found.records) if first is None else ()
    return Story(
        id=identifier,
        action=action,
        approval=await _approval_of(view, identifier),
        own=found.records,
        stops=(*before, *await _stops(view, about, found, first=first, until=_end(action, found))),
        rest=found.rest,
    )


async def action_named(view: View, key: str) -> ActionId:
    """Return the id of the action that `key` names: its own, or that of its approval, or the approval's code.

    Raises:
        NotFound: nothing has this name.

    """
    if (await view.records(RecordFilter(action=key), limit=1)).records:
        return ActionId(key)
    approval = await view.get(Approval, key) or await view.approval_by_code(key.upper())
    if approval is None:
        raise NotFound(
            f"no action or approval `{key}`", hint="find it with `assent audit search` or `assent approvals list`"
        )
    return approval.action


async def _sound(view: View, key: ActionId) -> Action | None:
    try:
        return await view.get(Action, key)
    except Forged:
        return None


async def _approval_of(view: View, key: ActionId) -> Approval | None:
    try:
        return await view.approval_of(key)
    except Forged:
        return None


def leaf_of(record: Record) -> Mapping[str, Json]:
    """Return the members of a record's leaf."""
    leaf = load(record.leaf)
    return leaf if isinstance(leaf, dict) else {}


def _about(opening: Record) -> _About:
    leaf = leaf_of(opening)
    named = leaf_detail(leaf).get("on_behalf_of")
    others = [str(name) for name in named] if isinstance(named, list) else []
    agents = [name.removeprefix(AGENT_PREFIX) for name in others if name.startswith(AGENT_PREFIX)]
    return _About(
        agents=frozenset({str(leaf.get("agent", "")), *agents}),
        tool=str(leaf.get("tool", "")),
        environment=str(leaf.get("environment", "")),
    )


def _end(action: Action | None, page: FoundRecords) -> datetime | None:
    """Return until when stops belong to this page, None for up to now: what lives is still touched by them."""
    if not page.records or (action is not None and action.state not in ENDED):
        return None
    # What cut an action off stands just behind it, at the same moment.
    return page.records[-1].time + _JUST_AFTER


async def _stops(
    view: View, about: _About, page: FoundRecords, *, first: int | None, until: datetime | None
) -> tuple[Record, ...]:
    """Return the stops over the action from where the page begins to where the next one does."""
    if not page.records:
        return ()
    begin = page.records[0].index if first is None else first
    which = RecordFilter(first=begin, before=page.rest, until=until, oldest_first=True)
    found = [(await view.records(replace(which, kind=kind), limit=MAX_STOPS)).records for kind in _STOPS]
    return tuple(record for records in found for record in records if _holds_over(record, about))


async def _earlier(view: View, about: _About, own: Sequence[Record]) -> tuple[Record, ...]:
    """Return the newest stop from before the action for each reason that names one."""
    reasons = {str(reason) for record in own for reason in _reasons(record)}
    found: list[Record] = []
    for code in sorted(reasons & set(_STOPPED_BY)):
        which = RecordFilter(kind=_STOPPED_BY[code], before=own[0].index)
        earlier = (await view.records(which, limit=MAX_STOPS)).records
        found += [record for record in earlier if _holds_over(record, about)][:1]
    return tuple(found)


def _reasons(record: Record) -> Sequence[Json]:
    found = leaf_of(record).get("reasons")
    return found if isinstance(found, list) else ()


def _holds_over(record: Record, about: _About) -> bool:
    leaf = leaf_of(record)
    if leaf.get("kind") in {RecordKind.AGENT_SUSPENDED, RecordKind.AGENT_RESUMED}:
        return leaf.get("agent") in about.agents
    scope = scope_of(leaf)
    return any(scope.covers(agent=agent, tool=about.tool, environment=about.environment) for agent in about.agents)
