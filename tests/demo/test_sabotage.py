"""A story told with a broker that breaks a promise does not end well: the chapter says what came out wrong."""

import io
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assent.demo import story
from assent.demo.actors import Broker
from assent.demo.answers import Story
from assent.demo.chapters import approval, breaker, crash, log, misuse, runaway, secrecy, separation, silence
from assent.demo.narrator import Narrator
from assent.demo.scene import Scene
from assent.demo.setting import set_up
from assent.demo.slack_beside import SlackBeside
from assent.demo.telephone import call
from assent.demo.town import build
from assent.demo.trickster import SWAPPED
from tests.demo.stage import Lie, LyingProxy, Told, lying

Lies = dict[tuple[str, str], Lie]


@pytest.fixture(scope="module")
def slack() -> Iterator[SlackBeside]:
    slack = SlackBeside()
    yield slack
    slack.stop()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, slack: SlackBeside) -> Iterator[Broker]:
    folder = tmp_path_factory.mktemp("sabotage")
    folder.chmod(0o700)
    broker = Broker(set_up(folder), slack.settings)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


class Stage:
    """One broker for all tests of this file, and for each a town of its own and runs of its own."""

    def __init__(self, broker: Broker, slack: SlackBeside, folder: Path) -> None:
        self.broker = broker
        self.slack = slack
        self.runs = folder.name
        self.setting = replace(broker.setting, town=build(folder / "town"))

    def told_wrong(self, chapter: Callable[[Scene], None], lies: Lies) -> str:
        """Returns what the story says after telling one chapter through a lying proxy, which must come out wrong."""
        out = io.StringIO()
        with ExitStack() as running, lying(LyingProxy(self.broker.url, lies)) as url:
            scene = self._scene(Narrator(out, colour=False), running, url)
            code = story.tell_in(scene, [story.Chapter("sabotaged", chapter)])
        assert code == story.WRONG
        said = " ".join(out.getvalue().split())
        assert "step 1 came out wrong (sabotaged)" in said
        return said

    def clear(self) -> None:
        """Denies what a story that stopped early left open, and closes what it tripped."""
        with ExitStack() as running:
            scene = self._scene(Narrator(io.StringIO(), colour=False), running, self.broker.url)
            open_ones = call(scene.url, scene.noor.token, "GET", "/v1/approvals").body["items"]
            for one in open_ones:
                scene.noor.deny(one)
                scene.noor.let_again(one["code"])
            for one in call(scene.url, scene.noor.token, "GET", "/v1/breakers").body["items"]:
                scene.noor.reset(one["id"])
                scene.mara.reset(one["id"])

    def _scene(self, narrator: Narrator, running: ExitStack, url: str) -> Scene:
        return Scene(
            setting=self.setting,
            narrator=narrator,
            answers=Story(),
            slack=self.slack,
            broker=self.broker,
            running=running,
            url=url,
            runs=self.runs,
        )


@pytest.fixture
def stage(broker: Broker, slack: SlackBeside, tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(broker, slack, tmp_path)
    yield stage
    stage.clear()


def change(**fields: Any) -> Lie:
    def lie(path: str, ask: Callable[[str], Told]) -> Told:
        status, body = ask(path)
        return status, body | fields

    return lie


def say(status: int, **fields: Any) -> Lie:
    return lambda _path, _ask: (status, fields)


def waits_and_ran(scene: Scene) -> None:
    approval.waits(scene)
    approval.runs_once(scene)


def test_a_person_who_is_shown_other_arguments_than_asked(stage: Stage) -> None:
    lie = change(arguments={"database": "staging", "order": 7, "was": "paid", "status": "refunded"})
    assert "the person is shown the arguments" in stage.told_wrong(approval.waits, {("GET", "/v1/approvals/"): lie})


def test_an_answer_that_is_not_counted(stage: Stage) -> None:
    said = stage.told_wrong(approval.waits, {("GET", "/v1/approvals/"): change(state="pending")})
    assert "noor's answer makes the approval approved" in said


def test_an_owner_who_may_approve(stage: Stage) -> None:
    said = stage.told_wrong(separation.owner_refused, {("POST", "/approve"): say(200, state="approved")})
    assert "mara's approval is refused" in said


def cheat(scene: Scene) -> None:
    scene.errand("cheat").hear("waiting")
    misuse.swapped_and_replayed(scene)


def test_a_grant_that_takes_swapped_arguments(stage: Stage) -> None:
    lie = say(200, action_id="act_x", arguments=SWAPPED)
    assert "other arguments are refused" in stage.told_wrong(cheat, {("POST", "/redeem"): lie})


def test_silence_that_is_told_as_somebody_s_denial(stage: Stage) -> None:
    def denied(path: str, ask: Callable[[str], Told]) -> Told:
        status, body = ask(path.partition("?")[0])
        reason = {"code": "approval_denied", "message": "no"}
        return status, body | {"decision": "deny", "state": "denied", "reasons": [reason]}

    def asked_and_over(scene: Scene) -> None:
        silence.ask(scene)
        silence.timed_out(scene)

    said = stage.told_wrong(asked_and_over, {("GET", "/v1/actions/"): denied})
    assert "the agent hears of a time-out" in said


def test_a_breaker_that_one_person_closes(stage: Stage) -> None:
    def lie(path: str, ask: Callable[[str], Told]) -> Told:
        return 200, ask(path)[1] | {"closed": True}

    assert "one person is not enough" in stage.told_wrong(breaker.tripped, {("POST", "/reset"): lie})


def test_a_trip_that_nobody_carried_out(stage: Stage) -> None:
    swallowed = say(200, breaker={"id": "brk_none"}, cut_off=[], running=[])
    said = stage.told_wrong(breaker.tripped, {("POST", "/trip"): swallowed})
    assert "tells `refused production`" in said


def test_a_loop_that_its_owner_may_let_go_on(stage: Stage) -> None:
    agreed = say(200, closed=True, breaker={"id": "brk_none"}, who=[])
    assert "the owner may not reset it" in stage.told_wrong(runaway.looped, {("POST", "/reset"): agreed})


def test_a_loop_that_somebody_else_is_said_to_have_stopped(stage: Stage) -> None:
    def lie(path: str, ask: Callable[[str], Told]) -> Told:
        status, body = ask(path)
        return status, body | ({"breaker": {**body["breaker"], "who": "noor"}} if "breaker" in body else {})

    said = stage.told_wrong(runaway.looped, {("POST", "/v1/actions"): lie})
    assert "the loop is stopped by the rule" in said


def test_another_question_after_a_crash(stage: Stage) -> None:
    looks: list[str] = []

    def lie(path: str, ask: Callable[[str], Told]) -> Told:
        looks.append(path)
        status, body = ask(path)
        return status, body if len(looks) == 1 else body | {"digest": "0" * 64}

    said = stage.told_wrong(crash.killed_and_back, {("GET", "/v1/approvals/"): lie})
    assert "the same question is still open" in said


@pytest.mark.parametrize("file", ["ledger.db", "ledger.db-wal", "broker.log"])
def test_an_argument_that_lies_about_in_the_clear(stage: Stage, tmp_path: Path, file: str) -> None:
    stage.setting = replace(stage.setting, folder=tmp_path)
    folder = stage.setting.configuration.parent
    folder.mkdir()
    for name in ("ledger.db", "broker.log", file):
        (folder / name).write_bytes(b"nothing here")
    (folder / file).write_bytes(b'{"content":"tea 3.40\\nlamp 49.00\\nkite 12.50\\n"}')
    assert "no argument and no reason stands" in stage.told_wrong(secrecy.nothing_in_the_clear, {})


def test_a_log_that_leaves_a_step_out(stage: Stage) -> None:
    def lie(path: str, ask: Callable[[str], Told]) -> Told:
        status, body = ask(path)
        return status, body | {"items": [item for item in body["items"] if item["leaf"]["kind"] != "grant.redeemed"]}

    said = stage.told_wrong(waits_and_ran, {("GET", "/v1/records"): lie})
    assert "the log tells the life of the action" in said


def test_an_answer_of_another_shape(stage: Stage) -> None:
    assert "KeyError" in stage.told_wrong(approval.waits, {("GET", "/v1/approvals/"): say(200, state="pending")})


def test_a_broker_that_does_not_start(tmp_path: Path, slack: SlackBeside) -> None:
    tmp_path.chmod(0o700)
    out = io.StringIO()
    setting = set_up(tmp_path)
    (tmp_path / "broker/policies/agents.yaml").write_text("clerk: [this, is, no, agent]\n")
    with ExitStack() as running:
        broker = Broker(setting)
        running.callback(broker.stop)
        scene = Scene(
            setting=setting,
            narrator=Narrator(out, colour=False),
            answers=Story(),
            slack=slack,
            broker=broker,
            running=running,
        )
        assert story.tell_in(scene, story.CHAPTERS) == story.WRONG
    assert "step 1 came out wrong (A broker starts)" in out.getvalue()
    assert "agents.yaml:1" in out.getvalue()


def test_a_log_that_was_edited_before_the_story_verifies_it(stage: Stage, tmp_path: Path) -> None:
    real = stage.setting.configuration.parent / "ledger.db"
    stage.setting = replace(stage.setting, folder=tmp_path)
    copy = stage.setting.configuration.parent / "ledger.db"
    copy.parent.mkdir()
    shutil.copy(real.with_name("ledger.db.pub"), copy.with_name("ledger.db.pub"))
    with closing(sqlite3.connect(real)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        target.execute("DROP TRIGGER record_is_never_changed")
        target.execute("UPDATE record SET leaf = replace(leaf, 'mara', 'noor')")
        target.commit()
    assert "the log verifies" in stage.told_wrong(log.verified, {})


def test_a_tampering_that_changes_nothing_is_not_told_as_caught(stage: Stage) -> None:
    def lie(path: str, ask: Callable[[str], Told]) -> Told:
        status, body = ask(path)
        return status, body | {"items": [item | {"index": 0} for item in body["items"]]}

    def asked_and_edited(scene: Scene) -> None:
        scene.errand("refund").hear("waiting")
        log.edited(scene)

    said = stage.told_wrong(asked_and_edited, {("GET", "/v1/records"): lie})
    assert "the edited copy does not verify" in said
