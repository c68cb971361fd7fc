"""People are reached without Slack: by a program and by e-mail, at once where Slack is away, and told how it ended."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from assent.core.approvals import Step
from assent.core.deliveries import SLACK
from assent.flows.deliver import deliver
from assent.serving.delivering import SET_UP_EACH_SECONDS, NotSetUp
from assent.slack.service import WhenConnected
from tests.channels.receivers import MailHouse, Program, mail_house, program
from tests.flows.card_town import NEXT, SECOND_STEP, Town, Wall, policy
from tests.flows.world import a_world
from tests.serving.broker_process import WAIT_SECONDS, BrokerProcess, Home

NOBODY = (NotSetUp(SLACK), WhenConnected(lambda: None))


@pytest.mark.requirement("T18")
@pytest.mark.parametrize("channel", NOBODY, ids=["not set up", "not connected"])
async def test_where_slack_tells_nobody_the_next_step_begins_after_twenty_seconds(channel: Any) -> None:
    slack = Step(after=timedelta(0), tell=("slack:C0PROD",))
    town = Town(a_world(policy=policy(slack, SECOND_STEP)), Wall())
    await town.world.ask(await town.world.agent())
    for _ in range(4):
        await deliver(town.world.broker, SLACK, channel)
        assert town.wall.cards == {}
        await town.round(seconds=SET_UP_EACH_SECONDS / 4)
    await deliver(town.world.broker, SLACK, channel)
    await town.round()
    assert await town.states() == {"slack:C0PROD": "queued", NEXT: "current"}
    assert len(town.wall.cards) == 1
    await town.world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has


@pytest.fixture
def there() -> Iterator[tuple[Program, MailHouse]]:
    with program() as pager, mail_house() as mail:
        yield pager, mail


def until(found: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        if value := found():
            return value
        time.sleep(0.01)
    raise AssertionError(f"{what} did not come")


def reached_by(home: Home, pager: Program, mail: MailHouse) -> None:
    """Let the broker's route tell `pager`, and the operator by e-mail."""
    secret = home.directory / "pager.secret"
    secret.write_text("a secret of both sides\n")
    secret.chmod(0o600)
    home.config.write_text(
        home.config.read_text()
        + f'\nsmtp_host = "127.0.0.1"\nsmtp_port = {mail.port}\nsmtp_security = "none"\nemail_from = "assent@here"\n'
        + f'[webhooks.pager]\nurl = "{pager.url}"\nsecret_file = "pager.secret"\n'
    )
    policies = home.directory / "policies"
    _edit(policies / "routes.yaml", "needs:", "steps: [{tell: [webhook:pager, email:approvers]}]\n  needs:")
    _edit(policies / "operators.yaml", "groups: [approvers]", "groups: [approvers], email: you@example.com")


def _edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text, text
    file.write_text(text.replace(old, new, 1))


@pytest.mark.requirement("T18")
def test_a_program_and_a_person_hear_of_it_from_a_broker_without_slack(
    home: Home, there: tuple[Program, MailHouse]
) -> None:
    pager, mail = there
    reached_by(home, pager, mail)
    with BrokerProcess(home=home) as broker:
        asked = broker.ask("files.write", path="prod/a", content="new")
        code = asked["approval"]["code"]
        until(lambda: pager.received and mail.taken, "word of it")
        assert pager.received[0].said["code"] == code
        assert f"Answer: assent approvals show {code}" in mail.texts()[0]
        shown = until(
            lambda: len(broker.records("approval.shown")) == 2 and broker.records("approval.shown"), "records"
        )
        assert {leaf["detail"]["destination"] for leaf in shown} == {"webhook:pager", "email:you"}
        assert [leaf["detail"]["approvable"] for leaf in shown] == [False, False]
        broker.as_agent("POST", f"/v1/actions/{asked['action_id']}/cancel", {})
        until(lambda: len(mail.taken) == 2, "the second e-mail")
        until(lambda: pager.received[-1].said["state"] == "cancelled", "the end")
    assert str(mail.taken[1][1]["Subject"]).endswith("cancelled, nothing was run")
