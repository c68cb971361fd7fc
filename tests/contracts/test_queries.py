"""What flows ask of the ledger: what waits, what runs, what is due, what holds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product

import pytest

from assent.core.actions import Action, ActionState, Impact
from assent.core.agents import AgentId
from assent.core.approvals import Approval, ApprovalId, ApprovalState, Need, Route, Step
from assent.core.breakers import BreakerState, Scope
from assent.core.credentials import Kind
from assent.core.decisions import Load
from assent.core.deliveries import Delivery, DeliveryState
from assent.core.errors import Stale
from assent.ports import Due, Ledger, OpenApprovals, Row, Tx, View, decision_cursor
from tests.contracts import samples
from tests.contracts.samples import AGENT, T0, Clock, action, approval

MINUTE = timedelta(minutes=1)
READ = Impact.READ


async def put(ledger: Ledger, *rows: Row) -> None:
    async def work(tx: Tx) -> None:
        for row in rows:
            await tx.add(row)

    await ledger.transact(work)


def ids(rows: Sequence[Row]) -> list[str]:
    return [str(row.id) for row in rows]


def decided(name: str, seconds: int, **changes: object) -> Action:
    at = T0 + timedelta(seconds=seconds)
    return action(name, decided_by_human=True, decided_at=at, state=ActionState.READY, **changes)


async def test_decisions_come_oldest_first_and_go_on_after_the_last_one_seen(ledger: Ledger) -> None:
    await put(
        ledger, decided("c", 1), decided("a", 2), decided("b", 2), decided("d", 0), decided("x", 1, agent="other")
    )
    await put(ledger, action("open", decided_by_human=True), action("machine", decided_at=T0))
    pages: list[list[str]] = []
    after: str | None = None
    while not pages or pages[-1]:

        async def work(view: View, after: str | None = after) -> Sequence[Action]:
            return await view.decided_for(AGENT, after, 2)

        found = await ledger.read(work)
        pages.append(ids(found))
        after = decision_cursor(found[-1]) if found else after

    assert pages == [["d", "c"], ["a", "b"], []]


@pytest.mark.requirement("P6")
async def test_what_runs_and_what_waits_is_found_by_scope(ledger: Ledger) -> None:
    for state in ActionState:
        await put(ledger, action(state.value, state=state))
    await put(ledger, action("nowhere", environment="", tool="db.drop"), action("staging", environment="staging"))
    await put(ledger, action("theirs", agent="other", state=ActionState.EXECUTING, tool="k8s.delete"))

    async def work(view: View) -> list[list[str]]:
        waiting = [ids(await view.waiting(scope)) for scope in (Scope(), Scope(environment="prod"), Scope(tool="db.*"))]
        running = [ids(await view.running(scope)) for scope in (Scope(), Scope(agent="other"), Scope(tool="k8s.scale"))]
        return waiting + running

    assert await ledger.read(work) == [
        ["staging", "nowhere", "ready", "pending"],
        ["nowhere", "ready", "pending"],
        ["nowhere"],
        ["theirs", "executing"],
        ["theirs"],
        ["executing"],
    ]


TOOLS = (None, "db.run", "db.*", "d*.run", "**", "*.run", "**.run", "db.**", "d", "", "DB.*", "k_s.*", "db.ru?")


@pytest.mark.requirement("P6")
async def test_what_is_live_in_a_scope_is_exactly_what_the_scope_covers(ledger: Ledger) -> None:
    states = (ActionState.PENDING, ActionState.EXECUTING)
    called = ("db.run", "db.old.run", "d.run", "run", "k8s.run", "dbx.run")
    live = product(("deployer", "other"), called, ("prod", "staging", ""), states)
    rows = [
        action(f"a{number}", agent=who, tool=what, environment=where, state=state)
        for number, (who, what, where, state) in enumerate(live)
    ]
    await put(ledger, *rows)

    async def work(view: View) -> None:
        for who, what, where in product((None, "deployer", "other"), TOOLS, (None, "prod", "staging")):
            scope = Scope(agent=who, tool=what, environment=where)
            covered = [r for r in rows[::-1] if scope.covers(agent=r.agent, tool=r.tool, environment=r.environment)]
            found = [ids(await view.waiting(scope)), ids(await view.running(scope))]
            assert found == [[row.id for row in covered if row.state is state] for state in states], scope

    await ledger.read(work)


async def test_an_approval_is_found_by_action_and_by_its_newest_code(ledger: Ledger) -> None:
    old = approval("apr_1", action="act_1", state=ApprovalState.EXPIRED)
    new = approval("apr_2", action="act_2")
    await put(ledger, old, new)

    async def work(view: View) -> list[object]:
        by_action = [await view.approval_of(name) for name in ("act_1", "act_2", "act_3")]  # type: ignore[arg-type]  # ids
        return [*by_action, await view.approval_by_code("K7Q-4MX"), await view.approval_by_code("nope")]

    assert await ledger.read(work) == [old, new, None, new, None]


async def test_approvals_are_listed_by_state_newest_first_in_pages(ledger: Ledger) -> None:
    states = (ApprovalState.PENDING, ApprovalState.DENIED, ApprovalState.PARTIAL, ApprovalState.PENDING)
    for n, state in enumerate(states):
        await put(ledger, approval(f"apr_{n}", code=f"C{n}", action=f"act_{n}", state=state))
    wanted = (ApprovalState.PENDING, ApprovalState.PARTIAL)

    async def work(view: View) -> list[list[str]]:
        first = await view.approvals(wanted, limit=2)
        rest = await view.approvals(wanted, limit=2, before=first[-1].id)
        return [ids(first), ids(rest), ids(await view.approvals((), limit=2))]

    assert await ledger.read(work) == [["apr_3", "apr_2"], ["apr_0"], []]


async def test_the_load_counts_open_approvals_by_agent_run_and_route_and_asks_in_the_hour(
    ledger: Ledger, clock: Clock
) -> None:
    slow, fast = Route(name="slow", needs=()), Route(name="fast", needs=())
    rows = [
        approval("a", run_id="r", routes=(slow, fast)),
        approval("b", run_id=None, routes=(slow,), asked_at=T0 - 59 * MINUTE),
        approval("c", run_id="r", routes=(slow,), state=ApprovalState.DENIED),
        approval("d", agent="other", run_id="r", routes=(slow,), state=ApprovalState.PARTIAL),
        approval("e", run_id="r", state=ApprovalState.EXPIRED, asked_at=T0 - 60 * MINUTE),
    ]
    await put(ledger, *(replace(row, code=row.id, action=f"act_{row.id}") for row in rows))  # type: ignore[arg-type]  # ids

    async def work(view: View) -> list[Load]:
        return [
            await view.load(AGENT, "r", ["fast", "slow"]),
            await view.load(AGENT, None, ["fast"]),
            await view.load(AGENT, "x", []),
        ]

    both, fast_only, neither = await ledger.read(work)
    assert both == Load(open_for_agent=2, open_for_run=1, open_for_fullest_route=3, asked_for_agent_in_last_hour=3)
    assert (fast_only.open_for_run, fast_only.open_for_fullest_route) == (0, 1)
    assert (neither.open_for_run, neither.open_for_fullest_route) == (0, 0)


async def test_a_grant_is_found_by_its_action(ledger: Ledger) -> None:
    await put(ledger, samples.grant())

    async def work(view: View) -> list[bool]:
        return [await view.grant_of(name) == samples.grant() for name in ("act_1", "act_2")]  # type: ignore[arg-type]  # ids

    assert await ledger.read(work) == [True, False]


@pytest.mark.requirement("P6", "T11")
async def test_open_approvals_are_counted_with_the_time_of_the_oldest(ledger: Ledger) -> None:
    async def work(view: View) -> OpenApprovals:
        return await view.open_approvals()

    assert await ledger.read(work) == OpenApprovals(0, None)
    late, early = approval("late", action="a", code="1"), approval("early", action="b", code="2", asked_at=T0 - MINUTE)
    over = approval("over", action="c", code="3", asked_at=T0 - 2 * MINUTE, state=ApprovalState.EXPIRED)
    await put(ledger, late, early, over)
    assert await ledger.read(work) == OpenApprovals(2, T0 - MINUTE)
    assert await ledger.transact(work) == OpenApprovals(2, T0 - MINUTE)


async def test_what_people_answered_is_counted_by_how_it_ended(ledger: Ledger) -> None:
    rows = [
        ("old", AGENT, "t", ActionState.SUCCEEDED, T0 - 2 * MINUTE),
        ("a", AGENT, "t", ActionState.SUCCEEDED, T0 - MINUTE),
        ("b", AGENT, "t", ActionState.DENIED, T0),
        ("c", AGENT, "t", ActionState.DENIED, T0),
        ("d", AGENT, "other", ActionState.FAILED, T0),
        ("e", "other", "t", ActionState.FAILED, T0),
    ]
    for name, agent, tool, state, at in rows:
        await put(ledger, action(name, agent=agent, tool=tool, state=state, decided_by_human=True, decided_at=at))
    await put(ledger, action("routine", tool="t", state=ActionState.FAILED, decided_at=T0))

    async def work(view: View) -> Mapping[ActionState, int]:
        return await view.answered(AGENT, "t", T0 - MINUTE)

    assert await ledger.read(work) == {ActionState.SUCCEEDED: 1, ActionState.DENIED: 2}


async def test_open_breakers_are_all_that_are_not_closed_in_reads_and_in_transactions(ledger: Ledger) -> None:
    for n, state in enumerate(BreakerState):
        await put(
            ledger, samples.breaker(f"b{n}", state=state, scope=Scope(agent=state.value), changed_at=T0 + n * MINUTE)
        )

    async def work(view: View) -> tuple[set[BreakerState], list[str]]:
        return {found.state for found in await view.open_breakers()}, ids(await view.breakers())

    expected = set(BreakerState) - {BreakerState.CLOSED}, ["b3", "b2", "b1", "b0"]
    assert await ledger.read(work) == expected
    assert await ledger.transact(work) == expected


async def test_a_breaker_that_closes_is_open_no_more_even_within_the_transaction(ledger: Ledger) -> None:
    tripped = samples.breaker()
    closed = replace(tripped, state=BreakerState.CLOSED, revision=2)
    await put(ledger, tripped)

    async def work(tx: Tx) -> list[int]:
        before = await tx.open_breakers()
        await tx.replace(tripped, closed)
        return [len(before), len(await tx.open_breakers())]

    assert await ledger.transact(work) == [1, 0]

    async def later(view: View) -> int:
        return len(await view.open_breakers())

    assert await ledger.transact(later) == 0


async def test_a_trip_that_was_undone_holds_nothing(ledger: Ledger) -> None:
    async def trip(tx: Tx) -> None:
        await tx.add(samples.breaker())
        await tx.add(samples.status())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await ledger.transact(trip)

    async def work(view: View) -> tuple[int, object]:
        return len(await view.open_breakers()), await view.get(type(samples.status()), AGENT)

    assert await ledger.transact(work) == (0, None)
    assert await ledger.read(work) == (0, None)


async def test_a_breaker_is_found_by_exactly_its_scope(ledger: Ledger) -> None:
    await put(
        ledger, samples.breaker("a", scope=Scope(agent="x")), samples.breaker("b", scope=Scope(agent="x", tool="t"))
    )

    async def work(view: View) -> list[str | None]:
        scopes = (Scope(agent="x"), Scope(agent="x", tool="t"), Scope(), Scope(tool="t"))
        found = [await view.breaker_over(scope) for scope in scopes]
        return [None if one is None else str(one.id) for one in found]

    assert await ledger.read(work) == ["a", "b", None, None]


async def test_passkeys_of_an_operator_are_listed_newest_first_also_those_that_are_over(ledger: Ledger) -> None:
    rows = (
        samples.passkey("a"),
        samples.passkey("b", operator="gus"),
        samples.passkey("c", revoked_at=samples.LATER),
        samples.passkey("d"),
    )
    await put(ledger, *rows)

    async def look(view: View) -> list[list[str]]:
        asked = ((samples.OWNER, 9), (samples.OWNER, 2), ("gus", 9), ("nobody", 9))
        return [ids(await view.passkeys(operator, limit=limit)) for operator, limit in asked]

    assert await ledger.read(look) == [["d", "c", "a"], ["d", "c"], ["b"], []]
    assert await ledger.transact(look) == [["d", "c", "a"], ["d", "c"], ["b"], []]


async def test_credentials_of_a_principal_are_listed_those_in_use_first_then_newest_first(ledger: Ledger) -> None:
    await put(
        ledger,
        samples.credential("used"),
        samples.credential("over", issued_at=T0 + MINUTE, expires_at=T0),
        samples.credential("gone", issued_at=T0 + 2 * MINUTE, revoked_at=T0, revoked_by="dana"),
        samples.credential("later", issued_at=T0 - MINUTE, expires_at=T0 + MINUTE),
    )
    await put(ledger, samples.credential("hers", principal="dana"), samples.credential("tool", kind=Kind.SERVICE))

    async def work(view: View) -> list[list[str]]:
        asked = ((Kind.AGENT, 9), (Kind.AGENT, 2), (Kind.SERVICE, 9), (Kind.OPERATOR, 9))
        return [ids(await view.credentials(kind, AGENT, limit=limit)) for kind, limit in asked]

    assert await ledger.read(work) == [["used", "later", "gone", "over"], ["used", "later"], ["tool"], []]


async def test_holders_are_told_by_name_once_for_each_kind(ledger: Ledger) -> None:
    await put(ledger, samples.credential("k1"), samples.credential("k2"), samples.credential("k3", principal="alpha"))
    await put(ledger, samples.credential("k4", kind=Kind.OPERATOR, principal="dana"))

    async def work(view: View) -> list[list[str]]:
        return [list(await view.holders(kind)) for kind in Kind]

    assert await ledger.read(work) == [["alpha", AGENT], [], ["dana"], [], []]


def live(name: str, state: ActionState, due: datetime) -> Action:
    field = "pick_up_until" if state is ActionState.READY else "lease_expires_at"
    return action(name, state=state, **{field: due})


@pytest.mark.requirement("P7")
async def test_what_is_due_comes_longest_due_first_and_nothing_before_its_time(ledger: Ledger, clock: Clock) -> None:
    await put(
        ledger, live("late", ActionState.READY, T0 + 3 * MINUTE), live("soon", ActionState.EXECUTING, T0 + MINUTE)
    )
    await put(ledger, live("done", ActionState.SUCCEEDED, T0), live("other", ActionState.READY, T0 + 9 * MINUTE))
    await put(
        ledger,
        approval("apr", expires_at=T0 + 2 * MINUTE),
        approval("gone", code="G", action="g", state=ApprovalState.DENIED),
    )

    async def work(view: View) -> tuple[Due, datetime | None]:
        return await view.due(2), await view.next_due()

    nothing, next_due = await ledger.read(work)
    assert (nothing, next_due) == (Due((), ()), T0 + MINUTE)
    clock.step(minutes=2)
    due, _ = await ledger.read(work)
    assert (ids(due.actions), ids(due.approvals)) == (["soon"], ["apr"])
    clock.step(minutes=60)
    due, _ = await ledger.read(work)
    assert ids(due.actions) == ["soon", "late"]


async def test_nothing_is_due_in_an_empty_ledger(ledger: Ledger) -> None:
    async def work(view: View) -> tuple[Due, datetime | None]:
        return await view.due(10), await view.next_due()

    assert await ledger.read(work) == (Due((), ()), None)


async def test_denials_still_in_force_are_listed_for_their_agent_and_tool(ledger: Ledger, clock: Clock) -> None:
    await put(
        ledger,
        samples.denial("cools", cools_until=T0 + MINUTE),
        samples.denial("counts", counts_until=T0 + 2 * MINUTE, cools_until=T0),
        samples.denial("over", cools_until=T0, counts_until=T0 - MINUTE),
        samples.denial("lifted"),
        samples.denial("theirs", agent="other", cools_until=T0 + MINUTE),
        samples.denial("another tool", tool="k8s.scale2", cools_until=T0 + MINUTE),
    )

    async def work(view: View) -> list[str]:
        return ids(await view.denials(AGENT, "k8s.scale"))

    assert await ledger.read(work) == await ledger.transact(work) == ["counts", "cools"]
    clock.step(seconds=60)
    assert await ledger.read(work) == ["counts"]
    clock.step(seconds=60)
    assert await ledger.read(work) == []


async def test_routes_of_an_approval_keep_their_steps_although_routes_are_compared_without(ledger: Ledger) -> None:
    steps = (Step(after=timedelta(0), tell=("slack:C0PROD", "slack:U0EVE")), Step(after=timedelta(minutes=4), tell=()))
    route = Route(name="default", needs=(Need(count=1, of="sre"),), steps=steps)
    await put(ledger, samples.approval(routes=(route,)))

    async def work(view: View) -> Approval | None:
        return await view.get(Approval, "apr_1")

    found = await ledger.read(work)
    assert found is not None
    assert found.routes[0].steps == steps
    assert found.routes[0] == replace(route, steps=())


async def test_deliveries_that_are_due_or_show_what_holds_no_more(ledger: Ledger) -> None:
    def told(name: str, **changes: object) -> Delivery:
        return samples.delivery(f"dlv_{name}", destination=f"slack:{name}", **changes)

    waiting = [
        told("QUEUED", due_at=samples.T0),
        told("SENT", due_at=samples.T0 - timedelta(seconds=9), state=DeliveryState.SENT),
        told("STALE", due_at=samples.T0 - timedelta(seconds=1), state=DeliveryState.STALE, place="C0/1", shown="1.1"),
    ]
    later = told("LATER", due_at=samples.LATER)
    outdated = told("OUTDATED", state=DeliveryState.CURRENT, place="C0/2", shown="1.0")
    quiet = [
        told("CURRENT", state=DeliveryState.CURRENT, place="C0/3", shown="1.1"),
        told("OVER", state=DeliveryState.OVER, place="C0/4", shown="1.0"),
        told("DEAD", state=DeliveryState.DEAD),
    ]
    await put(ledger, samples.action(), samples.approval(), *waiting, later, outdated, *quiet)

    async def work(view: View) -> tuple[Sequence[Delivery], Sequence[Delivery], datetime | None, Sequence[Delivery]]:
        return (
            await view.deliveries_due("slack", 10),
            await view.deliveries_outdated("slack", 10),
            await view.next_delivery_due("slack"),
            await view.deliveries_of(ApprovalId("apr_1")),
        )

    due, changed, next_due, every = await ledger.read(work)
    assert [delivery.destination for delivery in due] == ["slack:SENT", "slack:STALE", "slack:QUEUED"]
    assert list(changed) == [outdated]
    assert next_due == samples.LATER
    assert len(every) == 8


async def test_agents_that_wait_are_found_when_they_are_due_and_by_name(ledger: Ledger) -> None:
    due = samples.presence("act_due", due_at=samples.T0)
    longer = samples.presence("act_longer", due_at=samples.T0 - timedelta(seconds=9))
    later = samples.presence("act_later", due_at=samples.LATER)
    other = samples.presence("act_other", agent=AgentId("somebody"), due_at=samples.LATER)
    await put(ledger, due, longer, later, other, samples.presence("act_over"))

    async def work(view: View) -> tuple[list[list[str]], list[str]]:
        due = [ids(await view.presences_due(limit)) for limit in (10, 1)]
        soon = ids(await view.presences_due(10, within=samples.LATER - samples.T0))
        return [*due, soon], ids(await view.presences_of(samples.AGENT))

    found, mine = await ledger.read(work)
    assert found == [["act_longer", "act_due"], ["act_longer"], ["act_longer", "act_due", "act_later", "act_other"]]
    assert mine == ["act_later", "act_longer", "act_due"]


async def test_how_long_a_route_waits_for_an_agent_is_kept_with_the_approval(ledger: Ledger) -> None:
    route = Route(name="default", needs=(), agent_gone_after=timedelta(minutes=2, microseconds=1))
    await put(ledger, samples.approval(routes=(route, replace(route, agent_gone_after=None))))

    async def work(view: View) -> Approval | None:
        return await view.get(Approval, "apr_1")

    found = await ledger.read(work)
    assert found is not None
    assert [one.agent_gone_after for one in found.routes] == [route.agent_gone_after, None]


async def test_an_approval_is_told_once_at_one_destination(ledger: Ledger) -> None:
    await put(ledger, samples.delivery())
    with pytest.raises(Stale):
        await put(ledger, samples.delivery("dlv_2"))


async def test_actions_whose_end_nobody_knows_are_listed_newest_first(ledger: Ledger) -> None:
    await put(ledger, *(action(f"{state.value} {n}", state=state) for state in ActionState for n in (1, 2)))

    async def work(view: View) -> list[list[str]]:
        return [ids(await view.unknown(limit)) for limit in (10, 1)]

    assert await ledger.read(work) == [["unknown 2", "unknown 1"], ["unknown 2"]]
