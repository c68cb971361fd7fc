"""A program that runs inside an action: started from the judged vector, told of signals and stops, its end reported.

A program that ends by itself with 0 has succeeded, with anything else it has failed; of one that a signal ended nobody
knows how far it got. It does not inherit our credentials: it was assented to once, and could ask for more with them.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from assent.core.characters import visible
from assent.core.errors import AssentError
from assent.sdk.action import Action
from assent.sdk.errors import ActionDenied, ConfigurationError

_HANDED_ON: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_CREDENTIALS: Final = frozenset({"ASSENT_AGENT_KEY", "ASSENT_OPERATOR_TOKEN", "ASSENT_SERVICE_KEY"})
_BY_SIGNAL: Final = 128


class NotStarted(AssentError):
    """The program cannot be started on this machine."""

    code = "not_started"


class ProgramFailed(Exception):
    """It ended with another code than 0."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(f"it ended with {exit_code}")
        self.exit_code = exit_code


class ProgramKilled(BaseException):
    """A signal ended it: no `Exception`, so that the outcome is reported as unknown."""

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number} ended it")
        self.number = number


class Program:
    """The one program of this process. `stopped` is what a breaker that opened meanwhile said."""

    def __init__(self) -> None:
        self.action = ""
        self.stopped: ActionDenied | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    def carry_out(self, action: Action) -> int:
        """Run the action's program and return its exit code, as a shell tells it; the outcome is reported.

        Raises:
            NotStarted: there is no such program here.
            AssentError: the action may not run.

        """
        try:
            with action, self._hands_signals_on():
                self.action = action.id
                self._run(_vector(action))
        except ProgramFailed as failed:
            return failed.exit_code
        except ProgramKilled as killed:
            return _BY_SIGNAL + killed.number
        return 0

    def stop(self, why: ActionDenied) -> None:
        """Ask the program to end, because its action is stopped."""
        self.stopped = why
        self._tell(signal.SIGTERM)

    def _run(self, vector: tuple[str, ...]) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in _CREDENTIALS}
        try:
            self._process = subprocess.Popen(vector, env=environment)  # noqa: S603  # what the broker judged, no shell
        except (OSError, ValueError) as fault:
            why = getattr(fault, "strerror", None) or str(fault)
            raise NotStarted(
                f"`{visible(vector[0])}` cannot be started: {why[:1].lower()}{why[1:]}",
                hint="install it, or have the catalogue name it as it is called here; nothing was run",
            ) from None
        for number in self._early:
            self._tell(number)
        code = self._process.wait()
        if code < 0:
            raise ProgramKilled(-code)
        if code:
            raise ProgramFailed(code)

    def _tell(self, number: int) -> None:
        if self._process is None:
            self._early.append(number)
        else:
            self._process.send_signal(number)

    @contextmanager
    def _hands_signals_on(self) -> Iterator[None]:
        """Hand on to the program what this process is told, for as long as it holds the action."""
        at_terminal = sys.stdin is not None and sys.stdin.isatty()

        def hand_on(number: int, _frame: FrameType | None) -> None:
            # Ctrl-C at a terminal reaches the program by itself, and two of them mean more than one.
            if number != signal.SIGINT or not at_terminal:
                self._tell(number)

        # What is ignored here (nohup) stays ignored in the program.
        told = [number for number in _HANDED_ON if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, hand_on) for number in told}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _vector(action: Action) -> tuple[str, ...]:
    """Return what the action runs.

    Raises:
        ConfigurationError: this process is not to run it, or the broker names nothing to run.

    """
    if action.token is not None:
        raise ConfigurationError(
            "this tool is redeemed by its own service, so no program runs here",
            hint="send the grant's token to the service, with the SDK",
        )
    if not action.command:
        raise ConfigurationError("the broker names no command for this action", hint="the catalogue has to say it")
    return action.command
