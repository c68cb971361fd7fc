"""Two brokers on one ledger: nobody decides by another policy than the active one, and everybody takes that up."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from assent.core.actions import ActionState
from assent.core.approvals import DenialCategory
from assent.core.breakers import Scope
from assent.core.credentials import Kind
from assent.core.decisions import Answer
from assent.core.errors import Forged, IllegalMove, PolicyBehind, PolicyInvalid, Unauthenticated
from assent.core.operators import Assurance
from assent.core.privileges import Activation
from assent.core.publications import Bundle
from assent.flows import issue_credentials, trip_breaker
from assent.flows.activate_policy import Uptake, activate_policy, judge_what_waits
from assent.flows.authenticate import OperatorCaller
from assent.flows.end_action import cancel_action
from assent.flows.follow_policy import follow_policy
from assent.flows.publish_policy import publish_policy
from assent.flows.read_policy import show_policy
from assent.flows.reload_policy import read_policy_again
from assent.flows.request_action import Ask, request_action
from assent.flows.resolve_approval import approve_action, deny_action, let_ask_again, revoke_approval
from assent.flows.resume_agent import resume_agent
from assent.flows.run_action import Report, redeem_as_agent, report_outcome
from assent.flows.suspend_agent import suspend_agent
from assent.policy import LoadedPolicy
from assent.policy.current import PolicyHolder
from tests.flows.policy_town import ADMIN, ATTEMPT, Town, with_admin
from tests.flows.replica_town import CASES, Replica, offer_of, published
from tests.policy.directory import NOW, write
from tests.policy.edits import NARROWS, WIDENS

pytestmark = pytest.mark.requirement("T23", "P1")

MORE, LESS = with_admin(WIDENS[5]), with_admin(NARROWS[5])


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    (tmp_path / "one").mkdir()
    made = Town(tmp_path / "one")
    made.broker = replace(made.broker, is_shared=True)
    yield made
    await made.close()


@pytest.fixture
async def other(town: Town, tmp_path: Path) -> Replica:
    (tmp_path / "two").mkdir()
    await town.start()
    made = Replica(town, tmp_path / "two")
    await made.start()
    return made


class Older(PolicyHolder):
    """A program that does not understand what it is given."""

    def of_files(self, files: Mapping[str, bytes], release: bytes | None) -> LoadedPolicy:
        raise PolicyInvalid(f"{len(files)} files hold what is not known here")


def console(name: str, town: Town) -> OperatorCaller:
    declared = town.holder.current.operator(name)
    assert declared is not None
    return OperatorCaller(operator=declared, surface="console", assurance=Assurance.CONSOLE)


async def test_an_ask_is_not_judged_by_a_policy_that_is_active_no_more(town: Town, other: Replica) -> None:
    bot, ada = await town.agent(), await town.operator()
    assert (await other.ask(bot, replicas=20)).decision.answer is Answer.ALLOW
    await published(town.broker, ada, write(town.directory, LESS))
    with pytest.raises(PolicyBehind) as refused:
        await other.ask(bot, replicas=20)
    assert "taking up another policy" in refused.value.message
    assert await other.broker.following.kicked(0), "who was refused has the active one loaded at once"
    followed = await follow_policy(other.broker)
    assert (followed.taken_up, followed.why_not) == (town.holder.current.version, None)
    assert (await other.ask(bot, replicas=20)).decision.answer is Answer.DENY


async def test_reads_that_are_simply_allowed_go_on_meanwhile_and_nothing_else(town: Town, other: Replica) -> None:
    bot, ada = await town.agent(), await town.operator()
    await published(town.broker, ada, write(town.directory, LESS))
    look = Ask(tool="k8s.get", arguments={"cluster": "stg-1", "namespace": "payments", "deployment": "d"})
    assert (await request_action(other.broker, bot, look)).decision.answer is Answer.ALLOW
    denied = replace(look, arguments={"cluster": "stg-1", "namespace": "secrets", "deployment": "d"})
    asked = Ask(tool="k8s.delete", arguments=look.arguments)
    unknown, wrong = Ask(tool="k8s.nothing", arguments={}), Ask(tool="k8s.get", arguments={})
    both = await town.agent("both")
    for caller, ask in ((both, denied), (bot, asked), (bot, unknown), (bot, wrong)):
        with pytest.raises(PolicyBehind):
            await request_action(other.broker, caller, ask)
    assert len(await town.records("action.decided")) == 1, "what was refused for that is no decision"


async def test_no_grant_is_redeemed_by_a_policy_that_is_active_no_more(town: Town, other: Replica) -> None:
    bot, ada = await town.agent(), await town.operator()
    ready = await town.ask(bot, replicas=3)
    assert ready.grant is not None
    running = await town.ask(bot, replicas=4, attempt=ATTEMPT)
    await published(town.broker, ada, write(town.directory, LESS))
    with pytest.raises(PolicyBehind):
        await redeem_as_agent(
            other.broker, bot, ready.grant.id, attempt=ATTEMPT, digest=ready.action.digest, arguments=None
        )
    assert (await town.state(ready)).state is ActionState.READY
    assert other.broker.following._kicked.is_set()  # noqa: SLF001  # who was refused has the active one loaded
    done = await report_outcome(
        other.broker, bot, running.action.id, Report(attempt=ATTEMPT, status=ActionState.SUCCEEDED)
    )
    assert done.action.state is ActionState.SUCCEEDED, "what runs already may say how it ended"
    await follow_policy(other.broker)
    redeemed = await redeem_as_agent(
        other.broker, bot, ready.grant.id, attempt=ATTEMPT, digest=ready.action.digest, arguments=None
    )
    assert redeemed.action.state is ActionState.EXECUTING


async def test_a_yes_waits_for_the_active_policy_and_a_no_does_not(town: Town, other: Replica) -> None:
    bot, ada = await town.agent(), await town.operator()
    asked = await town.ask(bot, cluster="prod-eu", namespace="web", replicas=3)
    second = await town.ask(bot, cluster="prod-eu", namespace="web", replicas=4)
    assert asked.approval is not None
    assert second.approval is not None
    await published(town.broker, ada, write(town.directory, LESS))
    eve = console("eve", town)
    with pytest.raises(PolicyBehind):
        await approve_action(other.broker, eve, asked.approval.id, digest_prefix=asked.action.digest)
    assert not await town.records("approval.voted")
    denied = await deny_action(other.broker, eve, second.approval.id, category=DenialCategory.WRONG_TARGET, comment="")
    assert denied.refused is None, "a no can always be said"
    with pytest.raises(PolicyBehind):
        await let_ask_again(other.broker, eve, second.approval.id)
    await follow_policy(other.broker)
    voted = await approve_action(other.broker, eve, asked.approval.id, digest_prefix=asked.action.digest)
    assert voted.refused is None
    assert (await let_ask_again(other.broker, eve, second.approval.id)).refused is None


async def test_taking_back_and_stopping_wait_for_no_policy(town: Town, other: Replica) -> None:
    bot, ada = await town.agent(), await town.operator()
    waiting, ready = await town.ask(bot, cluster="prod-eu"), await town.ask(bot, replicas=3)
    asked = await town.ask(bot, cluster="prod-eu", namespace="web", replicas=3)
    assert asked.approval is not None
    for name in ("eve", "fay"):
        await approve_action(town.broker, console(name, town), asked.approval.id, digest_prefix=asked.action.digest)
    await published(town.broker, ada, write(town.directory, LESS))
    assert (await cancel_action(other.broker, bot, waiting.action.id, "")).action.state is ActionState.CANCELLED
    await revoke_approval(other.broker, console("eve", town), asked.approval.id, reason="no")
    tripped = await trip_breaker.trip(other.broker, console("fay", town), Scope(tool="k8s.scale"))
    assert (await town.state(ready)).state is ActionState.CANCELLED
    with pytest.raises(PolicyBehind):
        await trip_breaker.reset(other.broker, console("ada", town), tripped.breaker.id, reason="fine")


async def test_nothing_is_let_go_on_or_handed_out_by_a_policy_that_is_active_no_more(
    town: Town, other: Replica
) -> None:
    bot, ada = await town.agent(), await town.operator()
    await suspend_agent(town.broker, ada, bot.agent, reason="odd")
    await published(town.broker, ada, write(town.directory, LESS))
    with pytest.raises(PolicyBehind):
        await resume_agent(other.broker, ada, bot.agent, reason="fine")
    with pytest.raises(PolicyBehind):
        await issue_credentials.issue_agent_key(other.broker, ada, "bot")
    assert not await town.records("agent.resumed")


async def test_the_other_broker_judges_nothing_that_waits_by_its_own_policy(town: Town, other: Replica) -> None:
    bot, ada = await town.agent(), await town.operator()
    ready = await town.ask(bot, replicas=3)
    await published(town.broker, ada, write(town.directory, with_admin(WIDENS[0])))
    other.holder.serve(PolicyHolder(write(other.directory, {**ADMIN, "agents.yaml": "{}"}), lambda: NOW).current)
    assert await judge_what_waits(other.broker) == ()
    assert (await town.state(ready)).state is ActionState.READY


async def test_a_version_that_waits_is_held_by_every_broker_and_confirmed_at_any(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    town = Town(tmp_path / "one", Activation.CONFIRM)
    await town.start()
    other = Replica(town, tmp_path / "two")
    await other.start()
    ada = await town.operator()
    taken = await published(town.broker, ada, write(town.directory, MORE))
    assert taken.uptake is Uptake.WAITING
    followed = await follow_policy(other.broker)
    assert (followed.held, other.holder.waiting and other.holder.waiting.version) == (taken.version, taken.version)
    assert (await follow_policy(other.broker)).held is None, "it is read once"
    bot = await town.agent()
    assert (await other.ask(bot, replicas=3)).decision.answer is Answer.ALLOW, "what waits keeps nobody from deciding"
    confirmed = await activate_policy(other.broker, ada, taken.version[:12])
    assert confirmed.publication is not None
    assert confirmed.publication.review.reviewer == "eve"
    with pytest.raises(PolicyBehind):
        await town.ask(bot, replicas=21)
    await follow_policy(town.broker)
    assert (town.holder.current.version, town.holder.waiting) == (taken.version, None)
    record = (await town.records("policy.activated"))[-1]
    assert (record["operator"], record["detail"]["review"]["author"]) == ("ada", "gus")
    await town.close()


async def test_a_version_held_for_nothing_is_let_go(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    town = Town(tmp_path / "one", Activation.CONFIRM)
    await town.start()
    other = Replica(town, tmp_path / "two")
    await other.start()
    ada = await town.operator()
    await published(town.broker, ada, write(town.directory, MORE))
    await follow_policy(other.broker)
    assert other.holder.waiting is not None
    again = await published(town.broker, ada, write(town.directory, ADMIN))
    assert again.uptake is Uptake.ACTIVATED, "what waited is withdrawn by what was published after it"
    await follow_policy(other.broker)
    assert {other.holder.waiting, town.holder.waiting} == {None}
    await town.close()


async def test_what_cannot_be_loaded_leaves_the_old_version_and_reads(town: Town, other: Replica) -> None:
    bot, ada = await town.agent(), await town.operator()
    before = other.holder.current.version
    await published(town.broker, ada, write(town.directory, LESS))

    older = Older(other.directory, lambda: NOW)
    other.broker = replace(other.broker, policy=lambda: older.current, policies=older)
    followed = await follow_policy(other.broker)
    assert followed.taken_up is None
    assert "cannot be loaded" in str(followed.why_not)
    assert (other.broker.following.why, older.current.version) == (followed.why_not, before)
    with pytest.raises(PolicyBehind):
        await other.ask(bot)
    shown = await show_policy(other.broker, ada)
    assert (shown.policy.version, shown.behind) == (before, followed.why_not)


async def test_a_bundle_that_is_missing_or_forged_serves_nobody(town: Town, other: Replica) -> None:
    ada = await town.operator()
    await published(town.broker, ada, write(town.directory, LESS))
    version = town.holder.current.version

    class Without:
        """A ledger whose bundles somebody took away, or changed."""

        def __init__(self, fault: Exception | None) -> None:
            self.fault = fault

        async def read(self, work: object, **more: object) -> object:
            async def without(view: object) -> object:
                return await work(_View(view, self.fault))  # type: ignore[operator]  # handed on as it came

            return await town.world.ledger.read(without)

        def __getattr__(self, name: str) -> object:
            return getattr(town.world.ledger, name)

    broker = other.broker
    for fault, said in ((None, "not in the ledger"), (Forged("a row was changed"), "a row was changed")):
        broker = replace(other.broker, ledger=Without(fault))  # type: ignore[arg-type]  # a ledger but for its bundles
        followed = await follow_policy(broker)
        assert said in str(followed.why_not)
    # A copy that has the digest is as good as the row: a restart on the right directory brings it.
    write(other.directory, {**LESS, "tests/deployer.yaml": CASES})
    other.holder.read_again()
    assert (await follow_policy(broker)).taken_up == version


class _View:
    def __init__(self, view: object, fault: Exception | None) -> None:
        self._view = view
        self._fault = fault

    async def get(self, kind: type, key: str) -> object:
        if kind is not Bundle:
            return await self._view.get(kind, key)  # type: ignore[attr-defined]  # a view
        if self._fault is not None:
            raise self._fault
        return None

    def __getattr__(self, name: str) -> object:
        return getattr(self._view, name)


async def test_a_ledger_whose_active_policy_was_changed_by_hand_is_followed_nowhere(town: Town, other: Replica) -> None:
    class Changed:
        """A ledger whose latches nobody may believe."""

        async def transact(self, work: object, **more: object) -> object:
            raise Forged("the name of the active policy was removed")

        def __getattr__(self, name: str) -> object:
            return getattr(town.world.ledger, name)

    broker = replace(other.broker, ledger=Changed())  # type: ignore[arg-type]  # a ledger that somebody changed
    before = other.holder.current
    assert (await follow_policy(broker)).why_not == "the name of the active policy was removed"
    assert other.holder.current is before


async def test_files_under_the_name_of_another_version_are_not_served(town: Town, other: Replica) -> None:
    ada = await town.operator()
    await published(town.broker, ada, write(town.directory, LESS))
    version = town.holder.current.version

    class Mistaken(PolicyHolder):
        """Reads something else than it was given."""

        def of_files(self, files: Mapping[str, bytes], release: bytes | None) -> LoadedPolicy:
            return super().read_again()

    mistaken = Mistaken(other.directory, lambda: NOW)
    broker = replace(other.broker, policy=lambda: mistaken.current, policies=mistaken)
    assert (await follow_policy(broker)).taken_up is None
    assert mistaken.current.version != version


async def test_a_broker_that_starts_serves_what_was_published_and_says_that_it_reads_no_directory(
    town: Town, tmp_path: Path
) -> None:
    await town.start()
    ada = await town.operator()
    await published(town.broker, ada, write(town.directory, LESS))
    active = town.holder.current.version
    (tmp_path / "two").mkdir()
    late = Replica(town, tmp_path / "two", MORE)
    on_disk = late.holder.current.version
    taken = await late.start()
    assert (taken.serving, taken.passed_over, late.holder.current.version) == (active, on_disk, active)
    assert len(await town.records("policy.activated")) == 2, "nothing became active by that"
    town.restart()
    assert (await town.start()).passed_over is None, "the same version on disk is no other one"
    with pytest.raises(IllegalMove, match="are published") as refused:
        await read_policy_again(late.broker)
    assert "policy publish" in str(refused.value.hint)


async def test_a_broker_that_starts_and_cannot_load_what_is_active_decides_nothing_but_reads(
    town: Town, tmp_path: Path
) -> None:
    await town.start()
    bot, ada = await town.agent(), await town.operator()
    await published(town.broker, ada, write(town.directory, LESS))
    (tmp_path / "two").mkdir()
    late = Replica(town, tmp_path / "two")

    older = Older(late.directory, lambda: NOW)
    late.broker = replace(late.broker, policy=lambda: older.current, policies=older)
    taken = await late.start()
    assert taken.serving == older.current.version
    with pytest.raises(PolicyBehind):
        await late.ask(bot)


async def test_where_nothing_was_published_the_directory_of_the_one_that_starts_last_counts_for_all(
    town: Town, tmp_path: Path
) -> None:
    await town.start()
    bot = await town.agent()
    (tmp_path / "two").mkdir()
    late = Replica(town, tmp_path / "two", LESS)
    assert (await late.start()).uptake is Uptake.ACTIVATED
    with pytest.raises(PolicyBehind):
        await town.ask(bot)
    assert (await follow_policy(town.broker)).taken_up == late.holder.current.version
    assert (await town.ask(bot, replicas=20)).decision.answer is Answer.DENY


async def test_the_one_that_starts_last_waits_where_it_widens_and_compares_with_the_ledgers_files(
    tmp_path: Path,
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    town = Town(tmp_path / "one", Activation.CONFIRM)
    town.broker = replace(town.broker, is_shared=True)
    await town.start()
    late = Replica(town, tmp_path / "two", MORE)
    taken = await late.start()
    assert (taken.uptake, late.holder.current.version) == (Uptake.WAITING, town.holder.current.version)
    await town.close()


async def test_who_starts_while_another_version_becomes_active_begins_anew(town: Town, tmp_path: Path) -> None:
    await town.start()
    (tmp_path / "two").mkdir()
    late = Replica(town, tmp_path / "two", LESS)

    class Meanwhile:
        """A ledger in front of which another broker takes a version up, once, between reading and recording."""

        done = False

        async def transact(self, work: object, **more: object) -> object:
            if not self.done:
                self.done = True
                await town.take_up(MORE)
            return await town.world.ledger.transact(work, **more)  # type: ignore[arg-type]  # handed on as it came

        def __getattr__(self, name: str) -> object:
            return getattr(town.world.ledger, name)

    late.broker = replace(late.broker, ledger=Meanwhile())  # type: ignore[arg-type]  # a ledger with a neighbour
    taken = await late.start()
    assert taken.uptake is Uptake.ACTIVATED
    last = (await town.records("policy.activated"))[-1]
    assert (last["detail"]["previous"], last["policy"]) == (town.holder.current.version, late.holder.current.version)


async def test_a_broker_of_one_version_follows_nothing(town: Town) -> None:
    assert (await follow_policy(replace(town.broker, policies=None))).taken_up is None


async def test_who_publishes_goes_by_the_version_that_is_active(town: Town, other: Replica) -> None:
    ada = await town.operator()
    await published(town.broker, ada, write(town.directory, LESS))
    # The other broker has not looked since: it does before it compares.
    taken = await publish_policy(other.broker, ada, offer_of(write(town.directory, MORE)))
    assert (taken.uptake, other.holder.current.version) == (Uptake.ACTIVATED, taken.version)
    detail = (await town.records("policy.activated"))[-1]["detail"]
    assert detail["previous"] == town.holder.current.version


async def test_a_token_that_was_revoked_publishes_nothing(town: Town, other: Replica) -> None:
    ada = await town.operator()
    offer = offer_of(write(town.directory, LESS))
    await issue_credentials.revoke(town.broker, ada, Kind.OPERATOR, "ada", ada.token.id)
    with pytest.raises(Unauthenticated, match="revoked"):
        await publish_policy(other.broker, ada, offer)
    assert not await town.records("policy.published")
