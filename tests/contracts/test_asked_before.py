"""An ask that was made before is found again: by its key, by its call, and where it has none by its content."""

from collections.abc import Sequence
from typing import Any

from assent.core.actions import Action, ActionState, Impact
from assent.ports import Ledger, View
from tests.contracts.samples import AGENT, RUN, action
from tests.contracts.test_queries import put

READ = Impact.READ


async def before(
    view: View,
    *,
    key: str | None = None,
    run: str | None = None,
    call: str | None = None,
    excluding: Sequence[str] = (),
) -> Action | None:
    """Return what an ask of the usual content means that was asked before."""
    given: dict[str, Any] = {"idempotency_key": key, "run_id": run, "call_id": call}
    return await view.asked_before(AGENT, content=b"c" * 32, excluding=excluding, **given)


async def test_an_action_is_found_by_its_agents_idempotency_key(ledger: Ledger) -> None:
    mine = action("a", idempotency_key="k")
    await put(ledger, mine, action("b", agent="other", idempotency_key="k"), action("c"))

    async def work(view: View) -> list[Action | None]:
        return [await before(view, key=key) for key in ("k", "K", "")]

    assert await ledger.read(work) == [mine, None, None]


async def test_an_action_is_found_by_its_call_with_and_without_a_run(ledger: Ledger) -> None:
    with_run, without = action("a", call_id="c"), action("b", call_id="c", run_id=None)
    await put(ledger, with_run, without)

    async def work(view: View) -> list[Action | None]:
        return [await before(view, run=run, call="c") for run in (RUN, None, "other", "")]

    assert await ledger.read(work) == [with_run, without, None, None]


async def test_the_key_counts_before_the_call_and_a_call_is_never_taken_for_its_content(ledger: Ledger) -> None:
    keyed, called = action("keyed", idempotency_key="k"), action("called", call_id="c")
    await put(ledger, keyed, called)

    async def work(view: View) -> list[Action | None]:
        asked: list[dict[str, Any]] = [
            {"key": "k", "run": RUN, "call": "c"},
            {"key": "new", "run": RUN, "call": "c"},
            {"key": "new", "run": RUN, "call": "new"},
            {"key": "new", "run": RUN},
            {"key": "new"},
            {"key": "k", "run": RUN, "excluding": ["keyed"]},
        ]
        return [await before(view, **one) for one in asked]

    assert await ledger.read(work) == await ledger.transact(work) == [keyed, called, None, keyed, None, keyed]


async def test_the_newest_action_of_the_same_content_that_may_be_meant_is_found(ledger: Ledger) -> None:
    for state in ActionState:
        await put(ledger, action(state.value, state=state), action(f"read {state.value}", state=state, impact=READ))
    await put(ledger, action("called", call_id="c"), action("else", content=b"x" * 32), action("run", run_id="other"))
    await put(ledger, action("theirs", agent="other"))

    async def work(view: View) -> list[str]:
        found: list[str] = []
        while (like := await before(view, run=RUN, excluding=found)) is not None:
            found.append(like.id)
        return found

    expected = ["unknown", "executing", "read ready", "ready", "read pending", "pending"]
    assert await ledger.read(work) == await ledger.transact(work) == expected


async def test_what_is_held_already_is_passed_over_however_much_it_is(ledger: Ledger) -> None:
    held = [f"a{n:03d}" for n in range(100)]
    await put(ledger, action("first"), *(action(name) for name in held))

    async def work(view: View) -> list[str | None]:
        found = [await before(view, run=RUN, excluding=held[:n]) for n in (0, 99, 100)]
        return [None if each is None else each.id for each in found]

    assert await ledger.read(work) == ["a099", "a099", "first"]
