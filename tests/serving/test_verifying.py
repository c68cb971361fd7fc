"""A broker verifies its own log while it serves: the result is a record, and a log that was changed is told."""

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from typing import Any

import pytest

from tests.serving.broker_process import WAIT_SECONDS, BrokerProcess, Home, clean_environment

pytestmark = pytest.mark.requirement("P8", "T16")

OFTEN = {"ASSENT_VERIFY_EACH_SECONDS": "1"}


def verified(broker: BrokerProcess, *, after: int) -> Any:
    """Return what the newest verification says, once there are more than `after`."""
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        found = broker.records("log.verified")
        if len(found) > after:
            return found[0]["detail"]
    raise AssertionError(broker.log())


def test_a_serving_broker_verifies_its_log_and_records_that(home: Home) -> None:
    with BrokerProcess(home=home, env=OFTEN) as broker:
        broker.ask("files.read", path="prod/a")
        found = verified(broker, after=0)
        assert (found["verified"], found["records"] >= found["signed"] >= 3, len(found["root"])) == (True, True, 64)
        again = verified(broker, after=1)
        assert again["records"] > found["records"], "the first result is among what the second looked at"
        assert broker.stop() == 0


def test_a_row_that_is_changed_under_a_serving_broker_is_told_by_the_next_verification(home: Home) -> None:
    with BrokerProcess(home=home, env=OFTEN) as broker:
        broker.ask("files.read", path="prod/a")
        verified(broker, after=0)
        with closing(sqlite3.connect(home.ledger, timeout=10)) as database, database:
            database.execute("UPDATE action SET state = 'succeeded'")
        seen = len(broker.records("log.verified"))
        while (found := verified(broker, after=seen))["verified"]:
            seen += 1
        told = [item for item in broker.as_operator("GET", "/v1/findings")["items"] if item["check"] == "verified"]
        assert (found["verified"], told[0]["ok"], "did not verify" in told[0]["what"]) == (False, False, True)
        assert "log_does_not_verify" in broker.log()


def test_a_young_log_is_not_verified_before_its_time(home: Home) -> None:
    with BrokerProcess(home=home) as broker:
        broker.ask("files.read", path="prod/a")
        assert broker.stop() == 0
    with BrokerProcess(home=home) as broker:
        assert broker.records("log.verified") == []


@pytest.mark.requirement("P9")
def test_what_verifies_shows_no_secret_and_says_when_it_cannot_find_out(home: Home) -> None:
    with BrokerProcess(home=home) as broker:
        broker.ask("files.read", path="prod/canary")
        assert broker.stop() == 0
    key = (home.directory / "ledger.db.pub").read_text().strip()

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "assent.wiring.verification", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=clean_environment())

    well = run(str(home.ledger), key, str(home.directory / "keys"))
    assert (json.loads(well.stdout)["verified"], "canary" in well.stdout + well.stderr) == (True, False)
    for wrong in (
        (str(home.ledger), key, str(home.directory)),
        (str(home.directory), key, str(home.directory / "keys")),
    ):
        failed = run(*wrong)
        assert (failed.returncode, failed.stdout, failed.stderr.count("\n")) == (1, "", 1)
