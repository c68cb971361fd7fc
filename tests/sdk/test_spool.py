"""Outcomes that could not be told: on disk before anybody goes on, and sent with the next ask."""

import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from assent import Assent
from assent.sdk.messages import OutcomeReport
from assent.sdk.spool import MAX_FILE_BYTES, Spool, spool_path
from tests.sdk.standin import Fault, StandIn, lose, refuse


def report(number: int) -> OutcomeReport:
    return OutcomeReport(action_id=f"act_{number}", attempt=f"attempt-{number}", status="succeeded", duration_ms=1)


@pytest.fixture
def kept(spool: Path) -> Spool:
    return Spool(spool)


@pytest.mark.requirement("T20")
def test_an_outcome_that_nobody_took_is_spooled_and_sent_before_the_next_ask(
    broker: Assent, standin: StandIn, spool: Path
) -> None:
    standin.break_next("/outcome", *[refuse(503, "broker_unavailable")] * 3)
    with broker.action("files.read", {"path": "a"}):
        pass
    assert stat.S_IMODE(spool.stat().st_mode) == 0o600
    assert spool.read_bytes().count(b"\n") == 1
    with broker.action("files.read", {"path": "b"}):
        pass
    assert [seen.path.rpartition("/")[2] for seen in standin.seen][-3:] == ["outcome", "actions", "outcome"]
    assert standin.outcomes() == ["succeeded", "succeeded"]
    assert not spool.exists()


@pytest.mark.parametrize("fault", [lose, refuse(503, "broker_unavailable"), refuse(401, "unauthenticated")])
def test_a_report_that_fails_hides_neither_the_result_nor_the_exception(
    broker: Assent, standin: StandIn, spool: Path, fault: Fault
) -> None:
    @broker.guard("files.read")
    def read(path: str) -> str:
        if path == "bad":
            raise ValueError(path)
        return path

    broker.tools()
    standin.break_next("/outcome", *[fault] * 3)
    assert read("good") == "good"
    standin.break_next("/outcome", *[fault] * 4)  # one more for the replay
    with pytest.raises(ValueError, match="bad"):
        read("bad")
    assert spool.exists()


def test_an_outcome_that_the_broker_will_never_take_is_dropped(broker: Assent, standin: StandIn, spool: Path) -> None:
    Spool(spool).add(report(99))
    with broker.action("files.read", {"path": "a"}):
        pass
    assert not spool.exists()


def test_entries_are_read_back_in_order(kept: Spool) -> None:
    for number in range(3):
        kept.add(report(number))
    assert kept.waiting() == tuple(report(number) for number in range(3))
    kept.remove([report(1)])
    assert kept.waiting() == (report(0), report(2))
    kept.remove([report(0), report(2)])
    assert kept.waiting() == ()


def test_a_torn_line_costs_itself_and_no_other(kept: Spool, spool: Path) -> None:
    kept.add(report(1))
    whole = spool.read_bytes()
    for end in range(len(whole) - 1, -1, -1):
        spool.write_bytes(whole[:end])
        kept.add(report(2))
        assert report(2) in kept.waiting()
        assert set(kept.waiting()) <= {report(1), report(2)}


GOOD: dict[str, object] = {"v": 1, "action_id": "act_9", "attempt": "a", "status": "failed"}


@pytest.mark.requirement("T12")
@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b"[]",
        b"1",
        b'{"v":1}',
        b"\xff",
        *(
            json.dumps(GOOD | change).encode()
            for change in (
                {"v": 9},
                {"v": True},
                {"action_id": 7},
                {"action_id": ".."},
                {"action_id": "../grants/x/redeem?"},
                {"action_id": "x\r\nEvil: 1"},
                {"attempt": "a b"},
                {"status": "done"},
                {"duration_ms": float("inf")},
                {"duration_ms": float("nan")},
                {"duration_ms": -1},
                {"duration_ms": True},
                {"duration_ms": "1"},
                {"error": 1},
                {"error": "x" * 1_001},
                {"result_digest": ["x"]},
            )
        ),
        json.dumps(GOOD).encode()[:-1] + b',"status":"succeeded"}',
    ],
)
def test_a_line_that_is_no_entry_is_set_aside_with_a_warning_and_never_sent(
    kept: Spool, spool: Path, caplog: pytest.LogCaptureFixture, line: bytes
) -> None:
    kept.add(report(1))
    with spool.open("ab") as file:
        file.write(line + b"\n")
    assert kept.waiting() == (report(1),)
    assert "spool_lines_set_aside count=1" in caplog.text
    assert spool.with_suffix(".bad").read_bytes() == line + b"\n"
    assert stat.S_IMODE(spool.with_suffix(".bad").stat().st_mode) == 0o600
    caplog.clear()
    assert kept.waiting() == (report(1),)
    assert caplog.text == ""


def test_a_full_spool_keeps_the_newest_in_memory_and_says_so(
    kept: Spool, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept.add(report(1))
    with spool.open("ab") as file:
        file.write(b"x" * (MAX_FILE_BYTES - spool.stat().st_size - 1) + b"\n")
    kept.add(report(2))
    assert kept.waiting() == (report(1), report(2))
    assert "outcome_kept_in_memory" in caplog.text
    kept.remove([report(1), report(2)])
    assert kept.waiting() == ()


def test_a_disk_that_takes_nothing_leaves_it_in_memory(spool: Path) -> None:
    script = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from assent.sdk.messages import OutcomeReport\n"
        "from assent.sdk.spool import Spool\n"
        "spool = Spool(Path(sys.argv[1]))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "report = OutcomeReport(action_id='act_1', attempt='x' * 43, status='succeeded', error='E' * 80)\n"
        "spool.add(report)\n"
        "assert spool.waiting() == (report,), spool.waiting()\n"
        "spool.add(report)\n"
        "spool.remove([report])\n"
        "assert spool.waiting() == (), spool.waiting()\n"
    )
    subprocess.run([sys.executable, "-c", script, str(spool)], check=True, timeout=30)


def test_a_folder_that_cannot_be_made_leaves_it_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    kept = Spool(tmp_path / "file" / "spool.jsonl")
    kept.add(report(1))
    assert kept.waiting() == (report(1),)


def test_a_link_in_place_of_the_file_is_not_followed(kept: Spool, spool: Path, tmp_path: Path) -> None:
    spool.parent.mkdir()
    (tmp_path / "target").write_bytes(b"")
    spool.symlink_to(tmp_path / "target")
    kept.add(report(1))
    assert (tmp_path / "target").read_bytes() == b""


def test_a_lock_that_somebody_sits_on_does_not_hold_up_the_agent(spool: Path) -> None:
    spool.parent.mkdir()
    kept = Spool(spool, lock_seconds=0.01)
    with spool.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept.add(report(1))
    assert not spool.exists()
    assert kept.waiting() == (report(1),)


def test_threads_and_processes_share_one_file_without_losing_a_line(spool: Path) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from assent.sdk.messages import OutcomeReport\n"
        "from assent.sdk.spool import Spool\n"
        "spool = Spool(Path(sys.argv[1]))\n"
        "for n in range(20):\n"
        "    spool.add(OutcomeReport(action_id=f'act_{sys.argv[2]}_{n}', attempt='a', status='succeeded'))\n"
    )
    others = [subprocess.Popen([sys.executable, "-c", script, str(spool), name]) for name in "ab"]
    kept = Spool(spool)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(kept.add, [report(number) for number in range(20)]))
        kept.remove([report(0)])
    assert [other.wait(timeout=30) for other in others] == [0, 0]
    assert len(set(kept.waiting())) == 59


def test_the_file_lies_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSENT_SPOOL", str(tmp_path))
    assert spool_path("k") == tmp_path / "spool-k.jsonl"
    monkeypatch.delenv("ASSENT_SPOOL")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert spool_path("k") == tmp_path / "state" / "assent" / "spool-k.jsonl"


CRASHING_AGENT = """
import os, signal, sys
from pathlib import Path
from assent import AlreadyExecuted, ApprovalPending, Assent, Limits
from tests.sdk.standin import KEY
broker = Assent(sys.argv[1], KEY, spool=Path(sys.argv[2]), limits=Limits(first_pause_seconds=0.01))
with broker, broker.run("r"):
    try:
        with broker.action("db.delete", {"table": "t", "where": "w"}, wait=float(sys.argv[4])) as action:
            Path(sys.argv[3]).open("a").write("ran\\n")
            os.kill(os.getpid(), signal.SIGKILL)
    except AlreadyExecuted:
        sys.exit(7)
    except ApprovalPending:
        sys.exit(8)
"""


def agent(url: str, spool: Path, effects: Path, wait: float = 10) -> "subprocess.Popen[bytes]":
    arguments = [sys.executable, "-c", CRASHING_AGENT, url, str(spool), str(effects), str(wait)]
    return subprocess.Popen(arguments, cwd=Path(__file__).parents[2], env={**os.environ, "PYTHONPATH": "src:."})


@pytest.mark.requirement("P4", "T20", "T21")
def test_an_agent_killed_between_redemption_and_outcome_never_runs_it_again(
    url: str, standin: StandIn, spool: Path, tmp_path: Path
) -> None:
    effects = tmp_path / "effects"
    first = agent(url, spool, effects)
    standin.wait_until(lambda: "act_1" in standin.actions, seconds=20)
    standin.approve("act_1")
    assert first.wait(timeout=30) == -signal.SIGKILL
    assert agent(url, spool, effects).wait(timeout=30) == 7
    assert effects.read_text() == "ran\n"
    assert standin.executions == ["act_1"]
    assert standin.outcomes() == []


@pytest.mark.requirement("T20")
def test_an_agent_killed_while_it_waits_finds_the_same_approval_after_its_restart(
    url: str, standin: StandIn, spool: Path, tmp_path: Path
) -> None:
    effects = tmp_path / "effects"
    first = agent(url, spool, effects)
    standin.wait_until(lambda: any("wait=" in seen.path for seen in standin.seen), seconds=20)
    first.kill()
    first.wait(timeout=30)
    assert agent(url, spool, effects, wait=0).wait(timeout=30) == 8
    standin.approve("act_1")
    assert agent(url, spool, effects).wait(timeout=30) == -signal.SIGKILL
    assert effects.read_text() == "ran\n"
    assert len(standin.actions) == 1
