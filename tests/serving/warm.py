"""Processes of the command line that begin at once: forks of one that has loaded everything.

Most of what a short command takes is loading modules; a suite that starts hundreds of them spends its time on little
else. So each worker of the tests keeps one process that has the modules and waits (`python -m tests.serving.warm`), and
every command is a fork of it: a process of its own, with its own arguments, environment, directory and descriptors,
that is killed, waited for and looked at as any other. How it starts from nothing is what other tests are about: those
of the pages, of `./run`, of the hammers and of a clone. Where the system cannot do this, the real thing is started.
"""

import array
import atexit
import gc
import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Final, Protocol

PROGRAM: Final = (sys.executable, "-m", "assent")
ROOT: Final = Path(__file__).parents[2]
LOADED: Final = (
    "assent.__main__",
    "assent.api.framework",
    "assent.cli.action",
    "assent.cli.agents",
    "assent.cli.approvals",
    "assent.cli.audit",
    "assent.cli.backup",
    "assent.cli.breakers",
    "assent.cli.init",
    "assent.cli.keys",
    "assent.cli.operators",
    "assent.cli.policy",
    "assent.cli.restore",
    "assent.console.app",
    "assent.policy.packs",
    "assent.serving",
    "assent.slack.service",
)
_MESSAGE_BYTES: Final = 262_144
_STREAMS: Final = 3


class Process(Protocol):
    """What tests do with a process; `subprocess.Popen` is one."""

    pid: int
    returncode: Any
    stdout: IO[bytes] | None

    def poll(self) -> int | None:
        """Return its code if it has ended."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its code, negative for a signal. Raises TimeoutExpired."""

    def send_signal(self, sig: int) -> None:
        """Send it a signal, unless it has ended."""

    def kill(self) -> None:
        """Kill it."""

    def communicate(self, input: None = None, timeout: float | None = None) -> tuple[bytes, Any]:  # noqa: A002  # as Popen
        """Read all that it says until its end. Raises TimeoutExpired."""


def start(arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path | None = None, stderr: int) -> Process:
    """Start a command without input, with a pipe for what it says and `stderr` for what it complains of."""
    if not hasattr(os, "pidfd_open"):
        return subprocess.Popen(
            [*PROGRAM, *arguments],
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
    reading, writing = os.pipe()
    with Path(os.devnull).open("rb") as nothing, os.fdopen(writing, "wb") as said:
        pid = _stove().fork(arguments, env, cwd or Path.cwd(), (nothing.fileno(), said.fileno(), stderr))
    return Warm(pid, os.fdopen(reading, "rb"))


def run(arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path | None, timeout: float) -> tuple[int, str, str]:
    """Run a command without input to its end; return its code, what it said and what it complained of."""
    complaints_from, complaints_to = os.pipe()
    with os.fdopen(complaints_from, "rb") as complaints:
        try:
            process = start(arguments, env=env, cwd=cwd, stderr=complaints_to)
        finally:
            os.close(complaints_to)
        read: list[bytes] = []
        reading = threading.Thread(target=lambda: read.append(complaints.read()))
        reading.start()
        try:
            said, _ = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            process.communicate()
            raise
        finally:
            reading.join()
    return process.returncode, said.decode(), read[0].decode()


@dataclass(slots=True)
class Warm:
    """A process that is not our child: its end is seen through its descriptor, its code is asked for."""

    pid: int
    stdout: IO[bytes] | None
    returncode: Any = None
    _descriptor: int = field(init=False)

    def __post_init__(self) -> None:
        self._descriptor = os.pidfd_open(self.pid)

    def poll(self) -> int | None:
        """Return its code if it has ended."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its code, negative for a signal."""
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return code

    def send_signal(self, sig: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            signal.pidfd_send_signal(self._descriptor, sig)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, input: None = None, timeout: float | None = None) -> tuple[bytes, None]:  # noqa: A002  # as Popen
        """Read all that it says until its end."""
        del input
        read: list[bytes] = []
        stream = self.stdout
        if stream is None or stream.closed:
            self.wait(timeout)
            return b"", None
        reading = threading.Thread(target=lambda: read.append(stream.read()), daemon=True)
        reading.start()
        self.wait(timeout)
        # What it started may hold the pipe open for a while.
        reading.join(timeout)
        if reading.is_alive():
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        stream.close()
        return read[0], None

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._descriptor], [], [], timeout)[0]:
            self.returncode = _stove().code_of(self.pid)
            os.close(self._descriptor)
        return None if self.returncode is None else int(self.returncode)


class _Stove:
    """The process that has everything loaded, from outside: it forks when asked, and tells how its forks ended."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._lock = threading.Lock()
        self._here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", "tests.serving.warm", str(there.fileno())]
        env = {name: value for name, value in os.environ.items() if not name.startswith("ASSENT_")}
        passed = (there.fileno(),)
        self._process = subprocess.Popen(command, cwd=ROOT, env=env, pass_fds=passed, stdin=subprocess.DEVNULL)
        there.close()
        atexit.register(self.close)

    def fork(self, arguments: Sequence[str], env: Mapping[str, str], cwd: Path, streams: tuple[int, ...]) -> int:
        """Return the id of a new process."""
        return self._asked({"fork": list(arguments), "env": dict(env), "cwd": str(cwd)}, streams)

    def code_of(self, pid: int) -> int:
        """Return how a process ended; it has."""
        return self._asked({"ended": pid})

    def close(self) -> None:
        """End it."""
        if self.owner == os.getpid():
            self._here.close()
            self._process.wait()

    def _asked(self, wish: Mapping[str, Any], streams: tuple[int, ...] = ()) -> int:
        passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", streams))] if streams else []
        with self._lock:
            self._here.sendmsg([json.dumps(wish).encode()], passed)
            answer = self._here.recv(_MESSAGE_BYTES)
        if not answer:
            raise ConnectionError("the process that forks has ended")
        return int(answer)


_kept: list[_Stove] = []


def _stove() -> _Stove:
    if not _kept or _kept[0].owner != os.getpid():
        _kept[:] = [_Stove()]
    return _kept[0]


# --- inside ----------------------------------------------------------------------------------------------------------


def serve(descriptor: int) -> None:
    """Load everything, then fork as often as asked, until nobody is there to ask."""
    for module in LOADED:
        import_module(module)
    if threading.active_count() > 1:
        sys.exit("a module started a thread: a fork would lose it")
    gc.collect()
    gc.freeze()
    asking = socket.socket(fileno=descriptor)
    # Whoever presses Ctrl-C means the tests; they end what they started.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        message, streams, _, _ = socket.recv_fds(asking, _MESSAGE_BYTES, _STREAMS)
        if not message:
            return
        wish = json.loads(message)
        if "ended" in wish:
            _, status = os.waitpid(wish["ended"], 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = os.fork()
            if not answer:
                asking.close()
                _become(wish, streams)
            for stream in streams:
                os.close(stream)
        asking.send(str(answer).encode())


def _become(wish: Mapping[str, Any], streams: Sequence[int]) -> None:
    """Be the command, as `python -m assent` would, and end with its code."""
    code = 1
    try:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.environ.clear()
        os.environ.update(wish["env"])
        os.chdir(wish["cwd"])
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.stdin, sys.stdout = open(0), io.TextIOWrapper(open(1, "wb"), line_buffering=False)  # noqa: SIM115  # for life
        sys.stderr = io.TextIOWrapper(open(2, "wb"), errors="backslashreplace", line_buffering=True)  # noqa: SIM115  # same
        sys.argv = [str(sys.modules["assent.__main__"].__file__), *wish["fork"]]
        code = _code_of_main()
        atexit._run_exitfuncs()  # noqa: SLF001  # what the interpreter does at its end
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _code_of_main() -> int:
    from assent.cli.main import main

    try:
        main()
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
            return 1
        return ended.code or 0
    return 0


if __name__ == "__main__":
    serve(int(sys.argv[1]))
