"""`assent audit erase`: nothing goes without a yes, what goes is gone from the file too, and the log verifies."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from assent.cli.exits import Exit
from assent.stores.key_places import PAYLOAD
from tests.cli.conftest import Shell
from tests.cli.terminal import answering
from tests.serving.broker_process import BrokerProcess, Home

pytestmark = pytest.mark.requirement("P9")

PEOPLE = """\
demo-owner: {}
you: {groups: [approvers], may: [approver, operator]}
clerk: {may: [security_admin]}
"""
CANARY = "canary-7f3a"
BASIS = ("--basis", "GDPR Art. 17")


@pytest.fixture
def own(made: Home, tmp_path: Path) -> Iterator[BrokerProcess]:
    home = made.copied(tmp_path / "own")
    (home.directory / "policies" / "operators.yaml").write_text(PEOPLE)
    with BrokerProcess(home=home) as running:
        yield running


@pytest.fixture
def clerk(own: BrokerProcess, shell: Shell) -> dict[str, str]:
    """Environment in which the command line is somebody who had no hand in anything."""
    said = shell("operators", "token", "issue", "clerk", "--direct", "--config", str(own.home.config), "--json")
    assert said.code == 0, said.err
    return {"ASSENT_URL": own.url, "ASSENT_OPERATOR_TOKEN": json.loads(said.out)["token"]}


def denied(own: BrokerProcess) -> Any:  # JSON
    """Return an ask that is over, with words of the agent and of the person who answered."""
    body = {
        "tool": "files.write",
        "arguments": {"path": "prod/a", "content": f"{CANARY}-content"},
        "reason": f"{CANARY}-reason",
    }
    asked = own.as_agent("POST", "/v1/actions", body)
    no = {"category": "not_needed", "reason": f"{CANARY}-comment"}
    own.as_operator("POST", f"/v1/approvals/{asked['approval']['id']}/deny", no)
    return asked


@pytest.mark.requirement("P8", "T16")
def test_what_was_asked_is_gone_its_records_stay_and_the_log_verifies_against_an_older_checkpoint(
    own: BrokerProcess, clerk: dict[str, str], shell: Shell, tmp_path: Path
) -> None:
    asked, config = denied(own), ("--config", str(own.home.config))
    code, kept = asked["approval"]["code"], tmp_path / "kept.note"
    assert CANARY in shell("audit", "show", code, "--payload", "--reason", "a look", **clerk).out
    assert shell("audit", "verify", *config, "--save-checkpoint", str(kept)).code == 0
    before = shell("audit", "show", code, **clerk).out

    refused = shell("audit", "erase", code, *BASIS, **clerk)
    assert (refused.code, "nothing was erased" in refused.err) == (Exit.USAGE, True)
    erased = shell("audit", "erase", code, *BASIS, "--yes", **clerk)
    assert erased.code == 0, erased.err
    assert "it does not reach what was shown before to clerk" in erased.out

    shown = shell("audit", "show", code, "--payload", **clerk).out
    assert CANARY not in shown
    assert "(not kept any more)" in shown
    assert "clerk erased the payload of" in shown
    assert all(line in shown for line in before.splitlines() if line.startswith(" "))
    approval = shell("approvals", "show", code, **own.operator).out
    assert (CANARY in approval, "what was asked is erased" in approval) == (False, True)
    assert own.stop() == 0
    keys = ("--keys", str(own.home.directory / "keys"))
    assert shell("audit", "verify", *config, *keys, "--checkpoint", str(kept)).code == 0
    assert (own.home.directory / "keys" / PAYLOAD).is_file()


def test_the_encrypted_bytes_are_overwritten_where_they_lay(
    own: BrokerProcess, clerk: dict[str, str], shell: Shell
) -> None:
    asked = denied(own)
    with closing(sqlite3.connect(own.home.ledger)) as database:
        sealed = [bytes(row[0]) for row in database.execute("SELECT sealed FROM record WHERE sealed NOT NULL")]
        sealed += [bytes(row[0]) for row in database.execute("SELECT sealed FROM action")]
    assert shell("audit", "erase", asked["action_id"], *BASIS, "--yes", "--json", **clerk).code == 0
    assert own.stop() == 0
    with closing(sqlite3.connect(own.home.ledger)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    left = own.home.ledger.read_bytes()
    assert len(sealed) > 2
    assert [one for one in sealed if one[13:45] in left] == []


def test_at_a_terminal_somebody_says_yes_or_nothing_goes(own: BrokerProcess, clerk: dict[str, str]) -> None:
    asked = denied(own)
    words = ("audit", "erase", asked["action_id"], *BASIS)
    no = answering(*words, asked="[y/N]", typed="n\n", env=clerk)
    assert (no.code, "nothing was erased" in no.text) == (Exit.USAGE, True)
    assert own.records("payload.erased") == []
    yes = answering(*words, asked="[y/N]", typed="y\n", env=clerk)
    assert (yes.code, "erased: what" in yes.text) == (0, True), yes.text


def test_who_had_a_hand_in_it_and_who_may_not_are_refused(
    own: BrokerProcess, clerk: dict[str, str], shell: Shell
) -> None:
    open_one = own.as_agent(
        "POST", "/v1/actions", {"tool": "files.write", "arguments": {"path": "prod/b", "content": "c"}}
    )
    waits = shell("audit", "erase", open_one["action_id"], *BASIS, "--yes", **clerk)
    assert (waits.code, "what is open is not erased" in waits.err) == (Exit.USAGE, True)
    asked = denied(own)
    people = own.home.directory / "policies" / "operators.yaml"
    lacks = shell("audit", "erase", asked["action_id"], *BASIS, "--yes", **own.operator)
    assert lacks.code == Exit.REFUSED
    people.write_text(PEOPLE.replace("[approver, operator]", "[security_admin]"))
    reloaded = shell("policy", "reload", **clerk)
    assert reloaded.code == 0, reloaded.err
    own_hand = shell("audit", "erase", asked["action_id"], *BASIS, "--yes", **own.operator)
    assert (own_hand.code, "had a hand in this action" in own_hand.err) == (Exit.REFUSED, True)


def test_under_a_legal_hold_nothing_goes(made: Home, tmp_path: Path, shell: Shell) -> None:
    home = made.copied(tmp_path / "held")
    (home.directory / "policies" / "operators.yaml").write_text(PEOPLE)
    with BrokerProcess(home=home, env={"ASSENT_LEGAL_HOLD": "case 7"}) as running:
        said = shell("operators", "token", "issue", "clerk", "--direct", "--config", str(home.config), "--json")
        env = {"ASSENT_URL": running.url, "ASSENT_OPERATOR_TOKEN": json.loads(said.out)["token"]}
        held = shell("audit", "erase", denied(running)["action_id"], *BASIS, "--yes", **env)
        assert (held.code, "`case 7` has to be kept" in held.err) == (Exit.USAGE, True)
        assert running.records("payload.erased") == []
