"""The policy directory is read again: a refused one changes nothing and is on record, a sound one is taken up."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assent.core.errors import Forbidden, LedgerUnavailable, NotFound, PolicyInvalid, Unauthenticated
from assent.core.privileges import Activation
from assent.flows.activate_policy import Uptake, take_up_policy
from assent.flows.broker import Broker
from assent.flows.reload_policy import MOST_TRIES, read_policy_again, reload_policy
from assent.policy import LoadedPolicy
from assent.policy.current import PolicyHolder
from assent.ports import Gate
from tests.flows.card_town import Full
from tests.flows.policy_town import ADMIN, Town, with_admin
from tests.policy.directory import NOW, write
from tests.policy.edits import NARROWS, WIDENS

pytestmark = pytest.mark.requirement("T6", "T23")

MORE, LESS = with_admin(WIDENS[5]), with_admin(NARROWS[5])
BROKEN = {"agents.yaml": "bot: {owner: nobody, roles: [nothing]}\n"}


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    made = Town(tmp_path)
    await made.start()
    yield made
    await made.close()


async def test_what_lies_there_is_taken_up_and_the_same_again_is_nothing_new(town: Town) -> None:
    ada = await town.operator()
    assert (await reload_policy(town.broker, ada)).uptake is Uptake.UNCHANGED
    write(town.directory, LESS)
    taken = await reload_policy(town.broker, ada)
    assert (taken.uptake, taken.version) == (Uptake.ACTIVATED, town.holder.current.version)
    assert (await reload_policy(town.broker, ada)).uptake is Uptake.UNCHANGED
    assert len(await town.records("policy.activated")) == 2


async def test_what_widens_waits_where_somebody_has_to_confirm_it(town: Town) -> None:
    careful = replace(town.broker, activation=Activation.CONFIRM)
    serving = town.holder.current
    write(town.directory, MORE)
    assert (await reload_policy(careful, await town.operator())).uptake is Uptake.WAITING
    assert town.holder.current is serving


async def test_a_refused_directory_changes_nothing_and_is_on_record_with_who_asked(town: Town) -> None:
    serving = town.holder.current
    write(town.directory, BROKEN)
    with pytest.raises(PolicyInvalid) as refused:
        await reload_policy(town.broker, await town.operator())
    assert town.holder.current is serving
    (record,) = await town.records("policy.refused")
    assert (record["operator"], record["policy"]) == ("ada", serving.version)
    assert record["detail"] == {"findings": len(refused.value.findings)}
    assert refused.value.findings


async def test_files_that_changed_by_themselves_are_refused_in_nobodys_name(town: Town) -> None:
    write(town.directory, BROKEN)
    with pytest.raises(PolicyInvalid):
        await read_policy_again(town.broker)
    (record,) = await town.records("policy.refused")
    assert "operator" not in record
    write(town.directory, ADMIN)
    assert (await read_policy_again(town.broker)).uptake is Uptake.UNCHANGED


async def test_who_may_not_activate_policies_does_not_get_the_directory_read(town: Town) -> None:
    write(town.directory, BROKEN)
    with pytest.raises(Forbidden):
        await reload_policy(town.broker, await town.operator("fay"))
    assert await town.records("policy.refused") == []


async def test_an_expired_token_does_not_get_the_directory_read(town: Town) -> None:
    ada = await town.operator()
    write(town.directory, LESS)
    serving = town.holder.current
    town.world.clock.forward(days=91)
    with pytest.raises(Unauthenticated):
        await reload_policy(town.broker, ada)
    assert town.holder.current is serving


async def test_a_broker_of_one_version_reads_no_directory(town: Town) -> None:
    with pytest.raises(NotFound):
        await reload_policy(replace(town.broker, policies=None), await town.operator())


class Overtaken(Full):
    """A ledger in front of which another version is taken up, so many times, between reading and swapping."""

    def __init__(self, town: Town, times: int) -> None:
        super().__init__(town.world.ledger, good=1_000)
        self.town = town
        self.times = times

    async def transact(self, work: Any, *, within_seconds: float = 2.0, gate: Gate = Gate.SHARED) -> Any:
        if self.times > 0:
            self.times -= 1
            write(self.town.directory, {"agents.yaml": LESS["agents.yaml"] + f"# {self.times}\n"})
            await take_up_policy(self.town.broker, self.town.holder.read_again())
        return await super().transact(work, within_seconds=within_seconds, gate=gate)


def overtaken(town: Town, times: int) -> Broker:
    """Return the broker of a process that others overtake."""
    ledger: Any = Overtaken(town, times)
    return replace(town.broker, ledger=ledger)


async def test_who_is_overtaken_reads_again_and_takes_up_what_lies_there_by_then(town: Town) -> None:
    write(town.directory, LESS)
    taken = await read_policy_again(overtaken(town, 1))
    assert (taken.uptake, taken.version) == (Uptake.UNCHANGED, town.holder.current.version)
    assert town.holder.version_on_disk() == town.holder.current.version


async def test_who_is_overtaken_again_and_again_gives_up_and_says_so(town: Town) -> None:
    class AlwaysMore(PolicyHolder):
        """A directory whose files change between any two looks at them."""

        looks = 0

        def read_again(self) -> LoadedPolicy:
            self.looks += 1
            write(self._directory, {"agents.yaml": LESS["agents.yaml"] + f"# look {self.looks}\n"})
            return super().read_again()

    changing = AlwaysMore(town.directory, lambda: NOW)
    changing.serve(town.holder.current)
    broker = overtaken(town, 10_000)
    town.broker = replace(town.broker, policies=changing)
    before = changing.looks
    with pytest.raises(LedgerUnavailable):
        await read_policy_again(replace(broker, policies=changing))
    assert changing.looks - before == MOST_TRIES
