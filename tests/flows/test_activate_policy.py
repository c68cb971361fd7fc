"""Policies are taken up on record: by themselves or confirmed; what waits is judged again by the one that serves."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assent.core.actions import ActionState
from assent.core.approvals import ApprovalState
from assent.core.canonical import Json
from assent.core.decisions import Answer
from assent.core.errors import Forbidden, LedgerUnavailable, NotFound, PolicyInvalid
from assent.core.privileges import Activation
from assent.flows.activate_policy import NotWaiting, Uptake, activate_policy, judge_what_waits, take_up_policy
from assent.flows.end_action import cancel_action
from assent.flows.request_action import Ask, request_action
from assent.ports import Gate, Ledger, Tx
from assent.stores.sqlite import SqliteLedger
from tests.flows.policy_town import ADMIN, ATTEMPT, Town, with_admin
from tests.flows.world import KEYS, CountedIds, SetClock, TownPolicy, World
from tests.policy.directory import write
from tests.policy.edits import NARROWS, WIDENS, Edit


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    made = Town(tmp_path)
    yield made
    await made.close()


@pytest.fixture
async def careful(tmp_path: Path) -> AsyncIterator[Town]:
    made = Town(tmp_path, Activation.CONFIRM)
    yield made
    await made.close()


MORE = with_admin(WIDENS[5])
LESS = with_admin(NARROWS[5])


@pytest.mark.requirement("P2", "T23")
async def test_a_version_is_recorded_with_what_it_widens_and_serves(town: Town) -> None:
    await town.start()
    taken = await town.take_up(MORE)
    assert (taken.uptake, town.holder.current.version) == (Uptake.ACTIVATED, taken.version)
    first, second = await town.records("policy.activated")
    assert first["detail"] == {"review": "none", "revision": 1}
    assert (second["detail"]["review"], second["detail"]["revision"]) == ("none", 2)
    assert second["policy"] == taken.version
    assert second["detail"]["previous"] == first["policy"]
    assert second["detail"]["diff"] == {"widens": 1}
    assert second["detail"]["widens"][0].startswith("rule scale-stg: now allows")


async def test_the_same_version_again_changes_and_records_nothing(town: Town) -> None:
    await town.start()
    assert (await town.take_up({})).uptake is Uptake.UNCHANGED
    assert len(await town.records("policy.activated")) == 1


@pytest.mark.requirement("T23")
@pytest.mark.parametrize("edit", WIDENS, ids=lambda edit: edit.said)
async def test_every_kind_of_widening_serves_at_once_or_waits_as_the_mode_says(tmp_path: Path, edit: Edit) -> None:
    for mode, uptake in ((Activation.AUTO, Uptake.ACTIVATED), (Activation.CONFIRM, Uptake.WAITING)):
        town = Town(tmp_path / mode, mode)
        await town.start()
        before = town.holder.current.version
        taken = await town.take_up(with_admin(edit))
        assert taken.uptake is uptake
        assert (town.holder.current.version == before) is (uptake is Uptake.WAITING)
        assert len(await town.records("policy.proposed")) == (uptake is Uptake.WAITING)
        await town.close()


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path) -> None:
    for mode in Activation:
        (tmp_path / mode).mkdir()


@pytest.mark.requirement("T23")
async def test_what_narrows_serves_without_a_confirmation(careful: Town) -> None:
    await careful.start()
    assert (await careful.take_up(LESS)).uptake is Uptake.ACTIVATED


@pytest.mark.requirement("T23")
async def test_a_version_that_widens_serves_once_an_operator_confirms_its_digest(careful: Town) -> None:
    await careful.start()
    ada, taken = await careful.operator(), await careful.take_up(MORE)
    bot = await careful.agent()
    assert (await careful.ask(bot, replicas=21, attempt=ATTEMPT)).decision.answer is Answer.DENY
    confirmed = await activate_policy(careful.broker, ada, taken.version[:12])
    assert (confirmed.uptake, careful.holder.waiting) == (Uptake.ACTIVATED, None)
    assert (await careful.ask(bot, replicas=21, attempt=ATTEMPT)).decision.answer is Answer.ALLOW
    record = (await careful.records("policy.activated"))[-1]
    assert (record["operator"], record["policy"]) == ("ada", taken.version)
    again = await activate_policy(careful.broker, ada, taken.version)
    assert again.uptake is Uptake.UNCHANGED


@pytest.mark.requirement("T23")
async def test_nobody_confirms_without_the_permission_of_the_version_that_serves(careful: Town) -> None:
    await careful.start()
    promoted = {**MORE, "operators.yaml": MORE["operators.yaml"].replace("dana: {}", "dana: {may: [security_admin]}")}
    taken = await careful.take_up(promoted)
    dana = await careful.operator("dana")
    with pytest.raises(Forbidden):
        await activate_policy(careful.broker, dana, taken.version)
    assert careful.holder.current.version != taken.version


@pytest.mark.requirement("T23")
async def test_another_digest_than_the_one_that_waits_confirms_nothing(careful: Town) -> None:
    await careful.start()
    ada = await careful.operator()
    with pytest.raises(NotFound):
        await activate_policy(careful.broker, ada, "0" * 64)
    first = await careful.take_up(MORE)
    second = await careful.take_up({**MORE, "agents.yaml": MORE["agents.yaml"] + "# another\n"})
    assert first.version != second.version
    for digest in (first.version, second.version[:7], ""):
        with pytest.raises(NotWaiting):
            await activate_policy(careful.broker, ada, digest)
    assert (await activate_policy(careful.broker, ada, second.version.upper())).uptake is Uptake.ACTIVATED


async def test_a_proposal_is_recorded_once_and_goes_when_the_files_go_back(careful: Town) -> None:
    await careful.start()
    await careful.take_up(MORE)
    await careful.take_up({})
    assert len(await careful.records("policy.proposed")) == 1
    assert (await careful.take_up(ADMIN)).uptake is Uptake.UNCHANGED
    assert careful.holder.waiting is None


@pytest.mark.requirement("T23")
async def test_files_that_changed_while_nobody_served_are_compared_with_what_the_log_names(careful: Town) -> None:
    await careful.start()
    served = careful.holder.current.version
    write(careful.directory, MORE)
    careful.restart()
    taken = await careful.start()
    assert (taken.uptake, careful.holder.current.version) == (Uptake.WAITING, served)
    assert careful.holder.waiting is not None
    confirmed = await activate_policy(careful.broker, await careful.operator(), taken.version)
    assert careful.holder.current.version == confirmed.version


async def test_files_that_narrowed_while_nobody_served_serve(careful: Town) -> None:
    await careful.start()
    write(careful.directory, LESS)
    careful.restart()
    assert (await careful.start()).uptake is Uptake.ACTIVATED
    assert (await careful.records("policy.activated"))[-1]["detail"]["diff"] == {"narrows": 1}


@pytest.mark.requirement("T23")
@pytest.mark.parametrize("damage", ["gone", "changed"])
async def test_without_a_copy_of_what_was_confirmed_a_careful_broker_does_not_begin(careful: Town, damage: str) -> None:
    await careful.start()
    (copy,) = (careful.directory.parent / "copies").iterdir()
    write(careful.directory, MORE)
    careful.restart()
    if damage == "gone":
        copy.unlink()
    else:
        copy.write_text(copy.read_text().replace("agents.yaml", "agentz.yaml"))
    with pytest.raises(PolicyInvalid, match="no copy of it"):
        await careful.start()


async def test_an_easy_broker_begins_without_a_copy_and_says_that_the_diff_is_unknown(town: Town) -> None:
    await town.start()
    (copy,) = (town.directory.parent / "copies").iterdir()
    copy.unlink()
    write(town.directory, MORE)
    town.restart()
    assert (await town.start()).uptake is Uptake.ACTIVATED
    assert (await town.records("policy.activated"))[-1]["detail"]["diff"] == "unknown"


# --- what waits ---


async def test_a_comment_strands_nobody(town: Town) -> None:
    await town.start()
    bot = await town.agent()
    asked, granted = await town.ask(bot, cluster="prod-eu"), await town.ask(bot)
    assert (asked.decision.answer, granted.decision.answer) == (Answer.PENDING, Answer.ALLOW)
    taken = await town.take_up({"agents.yaml": ADMIN["agents.yaml"] + "# at 03:00\n"})
    assert (taken.uptake, taken.ended) == (Uptake.ACTIVATED, ())
    assert (await town.state(asked)).state is ActionState.PENDING
    assert (await town.state(granted)).state is ActionState.READY


@pytest.mark.parametrize(
    ("edit", "ends"),
    [
        (Edit("roles/deployer.yaml", "route: oncall", "route: default", ""), "asked"),
        (Edit("roles/deployer.yaml", "effect: require_approval\n      route: oncall", "effect: deny", ""), "asked"),
        (Edit("roles/deployer.yaml", "{max: 20}", "{max: 2}", ""), "granted"),
        (Edit("environments.yaml", "{nonproduction: true}", "{}", ""), "granted"),
        (Edit("routes.yaml", "assurance: console", "assurance: step_up", ""), "asked"),
        (Edit("tools/kubernetes.yaml", "changes the capacity", "alters the capacity", ""), "both"),
        (Edit("tools/kubernetes.yaml", '  undo: "scale', '  sensitive: [note]\n  undo: "scale', ""), "both"),
        (Edit("roles/deployer.yaml", "{max: 20}", "{max: 200}", ""), "neither"),
        (Edit("roles/deployer.yaml", "never to zero", "not to zero", ""), "neither"),
    ],
)
async def test_what_waits_ends_only_where_verdict_route_or_sensitivity_changed(
    town: Town, edit: Edit, ends: str
) -> None:
    await town.start()
    bot = await town.agent()
    asked, granted = await town.ask(bot, cluster="prod-eu"), await town.ask(bot)
    taken = await town.take_up(with_admin(edit))
    expected = {"asked": {asked.action.id}, "granted": {granted.action.id}, "neither": set()}
    both = {asked.action.id, granted.action.id}
    assert {action.id for action in taken.ended} == expected.get(ends, both)
    for answered in (asked, granted):
        is_over = (await town.state(answered)).state is ActionState.CANCELLED
        assert is_over is (answered.action.id in expected.get(ends, both))


async def test_an_approved_action_that_policy_would_ask_otherwise_ends_with_its_grant(town: Town) -> None:
    await town.start()
    bot = await town.agent()
    asked = await town.ask(bot, cluster="prod-eu")
    taken = await town.take_up(with_admin(Edit("routes.yaml", "any: 2", "any: 1", "")))
    assert [action.id for action in taken.ended] == [asked.action.id]
    approval = await town.world.ledger.read(lambda view: view.approval_of(asked.action.id))
    assert approval is not None
    assert approval.state is ApprovalState.CANCELLED
    assert (await town.state(asked)).reasons[-1].code == "definition_changed"


async def test_very_many_that_wait_are_judged_in_several_transactions(town: Town) -> None:
    await town.start()
    bot = await town.agent()
    granted = [await town.ask(bot, replicas=n % 20) for n in range(99)]
    taken = await town.take_up(with_admin(NARROWS[2]))
    assert len(taken.ended) == len(granted)


# --- nothing between two versions ---


class Overtaken:
    """A ledger in front of which another policy is taken up, after an ask was judged and before it is decided."""

    def __init__(self, ledger: Ledger, first: Any) -> None:
        self._ledger = ledger
        self._first = first

    async def transact(self, work: Any, *, within_seconds: float = 2.0, gate: Gate = Gate.SHARED) -> Any:
        first, self._first = self._first, None
        if first is not None:
            await first()
        return await self._ledger.transact(work, within_seconds=within_seconds, gate=gate)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


@pytest.mark.requirement("T6")
async def test_nothing_judged_by_an_older_policy_is_decided_after_the_newer_one_is_on_record(town: Town) -> None:
    await town.start()
    bot = await town.agent()

    async def tighten() -> None:
        await town.take_up(with_admin(NARROWS[2]))

    overtaken: Any = Overtaken(town.world.ledger, tighten)
    where: dict[str, Json] = {"cluster": "stg-1", "namespace": "payments", "deployment": "d", "replicas": 3}
    ask = Ask(tool="k8s.scale", arguments=where, attempt=ATTEMPT)
    answered = await request_action(replace(town.broker, ledger=overtaken), bot, ask)
    assert answered.decision.answer is Answer.DENY
    assert answered.action.policy_version == town.holder.current.version


class Full:
    """A ledger whose commit fails."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def transact(self, work: Any, *, within_seconds: float = 2.0, gate: Gate = Gate.SHARED) -> Any:
        async def and_fail(tx: Tx) -> None:
            await work(tx)
            raise LedgerUnavailable("no space left")

        return await self._ledger.transact(and_fail, within_seconds=within_seconds, gate=gate)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


@pytest.mark.requirement("P2")
async def test_a_policy_whose_record_is_not_durable_does_not_serve(town: Town) -> None:
    await town.start()
    before = town.holder.current.version
    write(town.directory, MORE)
    full: Any = Full(town.world.ledger)
    with pytest.raises(LedgerUnavailable):
        await take_up_policy(replace(town.broker, ledger=full), town.holder.read_again())
    assert town.holder.current.version == before
    assert len(await town.records("policy.activated")) == 1


async def test_a_broker_of_one_version_takes_up_no_other(town: Town) -> None:
    await town.start()
    with pytest.raises(NotFound):
        await take_up_policy(replace(town.broker, policies=None), town.holder.current)


async def test_a_revoked_token_confirms_nothing(careful: Town) -> None:
    await careful.start()
    ada, taken = await careful.operator(), await careful.take_up(MORE)
    careful.world.clock.forward(days=400)
    with pytest.raises(Exception, match="expired"):
        await activate_policy(careful.broker, ada, taken.version)
    assert careful.holder.current.version != taken.version


async def test_what_was_withdrawn_just_before_it_is_judged_again_is_left_as_it_is(town: Town) -> None:
    await town.start()
    bot = await town.agent()
    asked, other = await town.ask(bot, cluster="prod-eu"), await town.ask(bot)
    write(town.directory, with_admin(Edit("tools/kubernetes.yaml", "changes the capacity", "alters the capacity", "")))
    await town.let_serve(town.holder.read_again())

    async def withdraw() -> None:
        await cancel_action(town.broker, bot, asked.action.id, "not needed")

    overtaken: Any = Overtaken(town.world.ledger, withdraw)
    ended = await judge_what_waits(replace(town.broker, ledger=overtaken))
    assert [action.id for action in ended] == [other.action.id]
    assert (await town.state(asked)).reasons[-1].code == "cancelled"


@pytest.mark.requirement("T19")
async def test_what_was_edited_by_hand_holds_up_nothing_that_is_judged_again(tmp_path: Path) -> None:
    path, clock, ids = tmp_path / "ledger.sqlite", SetClock(), CountedIds()
    ledger = SqliteLedger.open(path, KEYS, clock=clock, new_id=ids, unsafe_not_durable="a short story")
    world = World(ledger, clock, TownPolicy(), ids)
    bot = await world.agent()
    edited, other = await world.ask(bot), await world.ask(bot)
    world.policy = replace(world.policy, tools={})

    async def edit() -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as stranger:
            stranger.execute("UPDATE action SET mac = x'00' WHERE id = ?", (edited.action.id,))

    overtaken: Any = Overtaken(ledger, edit)
    ended = await judge_what_waits(replace(world.broker, ledger=overtaken))
    assert [action.id for action in ended] == [other.action.id]
    await ledger.close()
