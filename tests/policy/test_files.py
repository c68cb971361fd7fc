"""The directory: only its owner could have written it, nothing unknown is in it, and it did not change meanwhile."""

import grp
import os
import pwd
from pathlib import Path

import pytest

from assent.core.errors import PolicyInvalid
from assent.policy import files, load
from assent.policy.files import Source, read_directory
from assent.policy.findings import Findings
from tests.policy.directory import NOW, SAMPLE, write

pytestmark = pytest.mark.requirement("T6")


def found(directory: Path) -> tuple[str, ...]:
    findings = Findings()
    read_directory(directory, findings)
    return findings.lines()


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    directory = write(tmp_path / "p", SAMPLE)
    assert found(directory) == ()
    return directory


OPEN = "1:1: others may write it, run `chmod -R go-w` on the directory"


@pytest.mark.parametrize("name", ["", "roles", "agents.yaml", "roles/deployer.yaml"])
def test_what_everybody_may_write_is_refused(sound: Path, name: str) -> None:
    path = sound / name
    path.chmod(path.stat().st_mode | 0o002)
    assert f"{name or '.'}:{OPEN}" in found(sound)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to a group that it is not in")
@pytest.mark.parametrize("name", ["", "roles", "agents.yaml", "roles/deployer.yaml"])
def test_what_a_shared_group_may_write_is_refused(sound: Path, name: str) -> None:
    path = sound / name
    os.chown(path, -1, 12345)
    path.chmod(path.stat().st_mode | 0o020)
    assert f"{name or '.'}:{OPEN}" in found(sound)


def test_a_group_of_ones_own_is_nobody_else(sound: Path) -> None:
    mine, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(sound.stat().st_gid)
    if (mine.pw_name, mine.pw_gid) != (group.gr_name, group.gr_gid) or group.gr_mem:
        pytest.skip("this user has no group of their own, so umask 002 is refused here")
    (sound / "agents.yaml").chmod(0o664)
    assert found(sound) == ()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("name", ["", "roles", "agents.yaml"])
def test_what_belongs_to_somebody_else_is_refused(sound: Path, name: str) -> None:
    os.chown(sound / name, 12345, 12345)
    assert any("belongs to somebody else" in line for line in found(sound))


@pytest.mark.parametrize("name", ["agents.yaml", "roles/deployer.yaml", "tools"])
def test_a_symbolic_link_is_refused_wherever_it_leads(sound: Path, tmp_path: Path, name: str) -> None:
    (sound / name).rename(tmp_path / "elsewhere")
    (sound / name).symlink_to(tmp_path / "elsewhere")
    assert any(line.startswith(f"{name}:1:1: is a symbolic link") for line in found(sound))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("agent.yaml", "did you mean `agents.yaml`"),
        ("breaker.yaml", "did you mean `breakers.yaml`"),
        ("notes.txt", "has a place here"),
        ("roles/deployer.yml", "end in `.yaml`"),
        ("roles/.deployer.yaml", "has a place here"),
        ("roles/deployer.yaml~", "has a place here"),
        ("roles/dеployer.yaml", "has a place here"),
        ("role/x.yaml", "did you mean `roles`"),
        ("roles/deep/x.yaml", "has a place here"),
    ],
)
def test_a_file_without_a_place_is_refused(sound: Path, name: str, said: str) -> None:
    path = sound / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("{}\n")
    assert any(said in line for line in found(sound))


@pytest.mark.parametrize("name", files.REQUIRED)
def test_a_missing_file_is_refused(sound: Path, name: str) -> None:
    (sound / name).unlink()
    assert f"{name}:1:1: this file is missing" in found(sound)


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyInvalid, match="there is no directory"):
        load(tmp_path / "nowhere", lambda: NOW)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_refused(sound: Path) -> None:
    (sound / "agents.yaml").chmod(0o000)
    assert any(line.startswith("agents.yaml:1:1: cannot be read") for line in found(sound))


def test_a_pipe_does_not_hold_up_the_reader(sound: Path) -> None:
    os.mkfifo(sound / "roles" / "pipe.yaml", 0o600)
    assert any(line.startswith("roles/pipe.yaml:1:1: ") for line in found(sound))


def test_a_file_that_is_too_large_is_refused(sound: Path) -> None:
    with (sound / "roles" / "large.yaml").open("wb") as file:
        file.truncate(files.MAX_FILE_BYTES + 1)
    (sound / "roles" / "large.yaml").chmod(0o644)
    assert any(line.startswith("roles/large.yaml:1:1: is no file of at most") for line in found(sound))


def test_the_version_is_a_digest_of_every_path_and_byte() -> None:
    one = Source({"a": b"1", "b": b"2"})
    assert one.version == Source({"a": b"1", "b": b"2"}).version
    others = [
        {"a": b"1", "b": b"3"},
        {"a": b"1", "c": b"2"},
        {"a": b"1b2"},
        {"a1": b"", "b": b"2"},
        {"a": b"12", "b": b""},
    ]
    assert len({one.version, *(Source(other).version for other in others)}) == len(others) + 1


@pytest.mark.parametrize("folder", ["drafts", "examples", "schemas"])
def test_what_lies_beside_the_policy_is_no_part_of_it(sound: Path, folder: str) -> None:
    before = load(sound, lambda: NOW).version
    (sound / folder / "roles").mkdir(parents=True)
    (sound / folder / "roles" / "more.yaml").write_text("not: [even yaml")
    (sound / folder).chmod(0o777)
    assert load(sound, lambda: NOW).version == before


@pytest.mark.parametrize("folder", ["drafts", "examples", "schemas"])
def test_a_link_in_the_place_of_what_lies_beside_is_refused(sound: Path, tmp_path: Path, folder: str) -> None:
    (sound / folder).symlink_to(tmp_path)
    assert any("is a symbolic link" in line for line in found(sound))
