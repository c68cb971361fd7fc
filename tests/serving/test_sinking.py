"""The newest checkpoint goes to where the keeper of the ledger cannot change it, and nothing there is overwritten."""

import json
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from assent.channels.checkpoint_sink import NotTaken, send
from assent.cli.exits import Exit
from assent.core.checkpoints import claimed_size
from tests.serving.broker_process import WAIT_SECONDS, BrokerProcess, Home, run

pytestmark = pytest.mark.requirement("P8", "T16")

OFTEN = {"ASSENT_CHECKPOINT_SINK_EACH_SECONDS": "1", "ASSENT_CHECKPOINT_SECONDS": "0.05"}


def until(found: Path, *, above: int = 0) -> bytes:
    """Return the note in `found`, once it is of more than `above` records."""
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        if found.is_file() and claimed_size(found.read_bytes()) > above:
            return found.read_bytes()
    raise AssertionError(f"nothing came to {found}")


def note(size: int, root: str = "A") -> bytes:
    return f"assent/local\n{size}\n{root * 42}A=\n\n— assent/local {'A' * 96}\n".encode()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


def test_a_file_elsewhere_keeps_the_newest_and_the_log_verifies_against_it(home: Home, elsewhere: Path) -> None:
    kept = elsewhere / "assent.note"
    with BrokerProcess(home=home, env={**OFTEN, "ASSENT_CHECKPOINT_SINK": str(kept)}) as broker:
        first = claimed_size(until(kept))
        broker.ask("files.read", path="prod/a")
        until(kept, above=first)
        assert broker.stop() == 0
    assert (home.directory / "ledger.db.sent").stat().st_mode & 0o777 == 0o600
    verified = run("audit", "verify", "--config", str(home.config), "--checkpoint", str(kept))
    assert verified.returncode == 0, verified.stderr


def test_a_directory_keeps_each_and_a_broker_that_is_started_again_waits_its_time(home: Home, elsewhere: Path) -> None:
    home.config.write_text(home.config.read_text() + 'checkpoint_sink = "../elsewhere"\n')
    sent = home.directory / "ledger.db.sent"
    with BrokerProcess(home=home) as broker:
        until(sent)
        assert broker.stop() == 0
    (only,) = elsewhere.iterdir()
    assert int(only.stem) == claimed_size(only.read_bytes())
    with BrokerProcess(home=home) as broker:
        broker.ask("files.read", path="prod/a")
        assert broker.stop() == 0
    assert list(elsewhere.iterdir()) == [only]
    os.utime(sent, (time.time() + 9_000, time.time() + 9_000))  # as if the clock had been set back
    with BrokerProcess(home=home) as broker:
        until(sent, above=int(only.stem))
        assert broker.stop() == 0
    assert len(list(elsewhere.iterdir())) == 2


class _Takes(BaseHTTPRequestHandler):
    answers: list[int]
    taken: list[bytes]

    def do_POST(self) -> None:  # the name that http.server calls
        self.taken.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(self.answers.pop(0) if self.answers else 204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    _Takes.answers, _Takes.taken = [302], []
    server = HTTPServer(("127.0.0.1", 0), _Takes)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/notes?of=assent"
    server.shutdown()
    server.server_close()


def test_an_address_is_sent_each_until_it_takes_one(home: Home, address: str) -> None:
    with BrokerProcess(home=home, env={**OFTEN, "ASSENT_CHECKPOINT_SINK": address}) as broker:
        until(home.directory / "ledger.db.sent")
        events = [json.loads(line)["event"] for line in broker.log().splitlines()]
        assert broker.stop() == 0
    assert len(_Takes.taken) >= 2
    assert all(taken.startswith(b"assent/local\n") for taken in _Takes.taken)
    assert events.count("checkpoint_not_taken") == 1


def test_what_lies_there_of_a_longer_or_another_log_is_not_written_over(elsewhere: Path) -> None:
    kept = elsewhere / "assent.note"
    send(str(kept), note(7))
    for other in (note(6), note(7, "B")):
        with pytest.raises(NotTaken, match="does not follow on"):
            send(str(kept), other)
    assert kept.read_bytes() == note(7)
    send(str(kept), note(8))
    assert kept.read_bytes() == note(8)
    kept.write_text("a diary")
    with pytest.raises(NotTaken, match="no checkpoint"):
        send(str(kept), note(9))
    with pytest.raises(NotTaken, match="cannot be written"):
        send(str(elsewhere / "gone" / "assent.note"), note(9))


def test_a_broker_whose_sink_is_away_serves_on_and_the_doctor_misses_it(home: Home, elsewhere: Path) -> None:
    sink = {"ASSENT_CHECKPOINT_SINK": str(elsewhere / "gone" / "x.note"), **OFTEN}
    with BrokerProcess(home=home, env=sink) as broker:
        assert broker.ask("files.read", path="prod/a")["decision"] == "allow"
        end = time.monotonic() + WAIT_SECONDS
        while "checkpoint_not_taken" not in broker.log():
            assert time.monotonic() < end
        assert broker.stop() == 0
    said = run("doctor", "--config", str(home.config)).stdout
    assert "nobody is sent one: set `checkpoint_sink`" in said
    sent = home.directory / "ledger.db.sent"
    sent.write_bytes(b"")
    os.utime(sent, (0, 0))
    missed = run("doctor", "--config", str(home.config), env=sink)
    assert (missed.returncode, "see `checkpoint_not_taken`" in missed.stdout) == (Exit.FINDINGS, True), missed.stdout
    beside = run("doctor", "--config", str(home.config), env={"ASSENT_CHECKPOINT_SINK": str(home.directory)})
    assert "lies beside the ledger" in beside.stdout


@pytest.mark.parametrize("place", ["", "slack:C0123", "ftp://elsewhere/x", "http://elsewhere.example/x"])
def test_a_place_that_is_none_is_refused(home: Home, place: str) -> None:
    ended = run("serve", "--config", str(home.config), env={"ASSENT_CHECKPOINT_SINK": place})
    assert (ended.returncode, "`ASSENT_CHECKPOINT_SINK`" in ended.stderr) == (Exit.USAGE, True), ended.stderr
