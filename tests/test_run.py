"""The set-up of `./run`: which Python, when to install, and what two of them at once do.

A stand-in for uv counts how often it was called, so nothing is installed and no network is needed.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NEEDED = ("run", "pyproject.toml", "uv.lock", "requirements")
TOOLS = ("cat", "cksum", "dirname", "mkdir", "rm", "rmdir", "sleep")
SECONDS = 60
FAKE_UV = """#!/bin/sh
mkdir -p "$UV_PROJECT_ENVIRONMENT/bin"
[ -e "$UV_PROJECT_ENVIRONMENT/bin/python" ] || printf '#!/bin/sh\\nexit 0\\n' >"$UV_PROJECT_ENVIRONMENT/bin/python"
chmod +x "$UV_PROJECT_ENVIRONMENT/bin/python"
echo "$*" >>"$UV_CALLS"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """A copy of what `run` reads, and a PATH that holds a few system tools and what a test adds."""

    folder: Path
    tools: Path

    @property
    def installs(self) -> int:
        calls = self.folder / "calls"
        return len(calls.read_text().splitlines()) if calls.exists() else 0

    @property
    def environment(self) -> Path:
        return self.folder / ".venv" / f"demo-{sys.version_info.major}.{sys.version_info.minor}"

    def add_tool(self, name: str, script: str) -> None:
        (self.tools / name).write_text(script)
        (self.tools / name).chmod(0o755)

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        clean = {"PATH": str(self.tools), "UV_CALLS": str(self.folder / "calls")} | variables
        command = ["/bin/sh", str(self.folder / "run"), *arguments]
        return subprocess.Popen(command, env=clean, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, *arguments: str, **variables: str) -> tuple[int, str]:
        with self.start(*arguments, **variables) as process:
            out, err = process.communicate(timeout=SECONDS)
        return process.returncode, out + err


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    folder, tools = tmp_path / "a checkout", tmp_path / "tools"
    folder.mkdir()
    tools.mkdir()
    for name in NEEDED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    for tool in TOOLS:
        (tools / tool).symlink_to(str(shutil.which(tool)))
    return Checkout(folder=folder, tools=tools)


@pytest.fixture
def with_uv(checkout: Checkout) -> Checkout:
    (checkout.tools / "chmod").symlink_to(str(shutil.which("chmod")))
    checkout.add_tool("uv", FAKE_UV)
    return checkout


def test_no_command_prints_how_to_use_it(checkout: Checkout) -> None:
    code, said = checkout.run()
    assert (code, said.splitlines()[0]) == (2, "usage: ./run COMMAND [ARGUMENT ...]")


def test_without_a_python_it_says_in_one_line_what_to_install(checkout: Checkout) -> None:
    code, said = checkout.run("demo")
    assert code == 1
    assert said.startswith("run: no Python >= 3.11 found")
    assert said.count("\n") == 1


def test_a_python_that_was_named_but_does_not_work_is_not_replaced_by_another(with_uv: Checkout) -> None:
    with_uv.add_tool("broken", "#!/bin/sh\nexit 1\n")
    code, said = with_uv.run("setup", PYTHON="broken")
    assert code == 1
    assert "`broken`, which is not a working Python" in said


def test_a_shim_that_fails_is_passed_over(with_uv: Checkout) -> None:
    with_uv.add_tool("python3.13", "#!/bin/sh\necho 'no such version' >&2\nexit 127\n")
    with_uv.add_tool("python3", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    code, said = with_uv.run("setup")
    assert code == 0, said
    assert with_uv.installs == 1


def test_a_second_start_installs_nothing(with_uv: Checkout) -> None:
    codes = [with_uv.run("setup", PYTHON=sys.executable)[0] for _ in range(2)]
    assert (codes, with_uv.installs) == ([0, 0], 1)


@pytest.mark.parametrize("changed", ["pyproject.toml", "uv.lock", "requirements/demo.txt"])
def test_a_change_of_what_is_to_be_installed_installs_again(with_uv: Checkout, changed: str) -> None:
    with_uv.run("setup", PYTHON=sys.executable)
    with (with_uv.folder / changed).open("a") as file:
        file.write("\n# changed\n")
    with_uv.run("setup", PYTHON=sys.executable)
    assert with_uv.installs == 2


def test_of_several_at_once_only_one_installs(with_uv: Checkout) -> None:
    started = [with_uv.start("setup", PYTHON=sys.executable) for _ in range(4)]
    told = [process.communicate(timeout=SECONDS) for process in started]
    assert [process.returncode for process in started] == [0] * 4, told
    assert with_uv.installs == 1


def test_the_lock_of_a_process_that_died_is_taken_over(with_uv: Checkout) -> None:
    with subprocess.Popen(["/bin/sh", "-c", "exit 0"]) as dead:
        dead.wait(timeout=SECONDS)
    lock = Path(f"{with_uv.environment}.lock")
    lock.mkdir(parents=True)
    (lock / "pid").write_text(str(dead.pid))
    code, said = with_uv.run("setup", PYTHON=sys.executable)
    assert code == 0, said
    assert with_uv.installs == 1
    assert not lock.exists()


def test_a_failed_installation_leaves_no_stamp_and_no_lock(checkout: Checkout) -> None:
    checkout.add_tool("uv", "#!/bin/sh\nexit 1\n")
    nowhere = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    code, said = checkout.run("setup", PYTHON=sys.executable, **nowhere)
    assert code == 1
    assert "pip could not install" in said
    assert not (checkout.environment / ".stamp").exists()
    assert not Path(f"{checkout.environment}.lock").exists()


def test_uv_is_never_asked_to_fetch_a_python(with_uv: Checkout) -> None:
    with_uv.add_tool("uv", FAKE_UV + 'echo "$UV_PYTHON_DOWNLOADS" >>"$UV_CALLS.downloads"\n')
    with_uv.run("setup", PYTHON=sys.executable)
    assert (with_uv.folder / "calls.downloads").read_text() == "never\n"
    assert f"--python {sys.executable}" in (with_uv.folder / "calls").read_text()
