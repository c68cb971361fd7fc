"""A clone without a configuration: `serve` makes its state once, says so, and serves `./policies`."""

import json
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from tests.serving.broker_process import WAIT_SECONDS, clean_environment, run
from tests.serving.warm import PROGRAM

STARTER = Path(__file__).parent.parent.parent / "policies"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    shutil.copytree(STARTER, tmp_path / "policies")
    for path in (tmp_path / "policies").rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return tmp_path


def served(clone: Path) -> tuple[str, str]:
    """Serve until it answers, then stop; return what it said on standard output and beside it."""
    serve = [*PROGRAM, "serve", "--port", "0", "--json"]
    with subprocess.Popen(
        serve, cwd=clone, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        rest, errors = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 0, errors
    return first + rest, errors


@pytest.mark.requirement("P9")
def test_a_first_start_makes_state_for_its_owner_alone_and_says_where(clone: Path) -> None:
    said, beside = served(clone)
    assert json.loads(said)["ledger"] == ".assent/ledger.db"
    assert "made keys and a ledger in .assent/, credentials in .assent/credentials.env" in beside
    kept = clone / ".assent" / "credentials.env"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE((clone / ".assent").stat().st_mode) == 0o700
    assert "aso_" not in said + beside
    assert "asn_" not in said + beside


def test_a_second_start_goes_on_with_the_same_state(clone: Path) -> None:
    served(clone)
    before = (clone / ".assent" / "credentials.env").read_text()
    _, beside = served(clone)
    assert "made keys" not in beside
    assert (clone / ".assent" / "credentials.env").read_text() == before
    assert run("audit", "verify", cwd=clone).returncode == 0


def test_a_policy_with_findings_leaves_no_state_behind(clone: Path) -> None:
    (clone / "policies" / "agents.yaml").write_text("nobody: {}")
    ended = run("serve", "--port", "0", cwd=clone)
    assert (ended.returncode, "agents.yaml:" in ended.stderr) == (1, True)
    assert list(clone.glob(".assent*")) == []


def test_a_folder_without_policies_is_told_what_to_do(tmp_path: Path) -> None:
    ended = run("serve", cwd=tmp_path)
    assert (ended.returncode, "assent init DIR" in ended.stderr) == (2, True)
