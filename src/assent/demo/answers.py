"""Who answers when a person is asked: the reader, on the card or with a key, or the story itself, which then says so.

A key only says yes or no; the answer itself is given by pressing the button of the card, like any other.
"""

import os
import select
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from assent.demo.narrator import Narrator

PATIENCE_SECONDS: Final = 180.0
_KEYS: Final[dict[bytes | None, bool]] = {b"a": True, b"d": False}
HUNG_UP: Final = b""
_TICK_SECONDS: Final = 1.0


Decided: TypeAlias = Callable[[], bool | None]
"""Tells what somebody has answered on the card meanwhile: yes, no, or None while nobody has."""


class Answers(Protocol):
    """Says yes (true) or no to what was just shown."""

    def decide(self, narrator: Narrator, who: str, decided: Decided) -> bool: ...


@dataclass(frozen=True, slots=True)
class Story:
    """Answers yes at once: there is nobody to ask."""

    def decide(self, narrator: Narrator, who: str, decided: Decided) -> bool:  # noqa: ARG002  # nobody else answers
        """Say yes, and that it was not the reader who said it."""
        narrator.say(f"nobody is asked here (--auto, or no terminal): the story answers as {who}: approve")
        return True


@dataclass(frozen=True, slots=True)
class Reader:
    """Answers with a key of the terminal `keyboard`; after `patience_seconds` the story says yes and says so."""

    keyboard: int
    patience_seconds: float = PATIENCE_SECONDS

    def decide(self, narrator: Narrator, who: str, decided: Decided) -> bool:
        """Wait for `a` or `d`, or for a click on the card."""
        until = time.monotonic() + self.patience_seconds
        with _single_keys(self.keyboard):
            while (left := until - time.monotonic()) > 0:
                narrator.ask(
                    f"you are {who}: click, or press a: approve  d: deny  ({_clock(left)}, then the story approves)"
                )
                key = self._key(min(left, _TICK_SECONDS))
                if key == HUNG_UP:
                    break
                if (clicked := decided()) is not None:
                    narrator.answered(f"you, as {who}, on the card: {'approve' if clicked else 'deny'}")
                    return clicked
                if (answer := _KEYS.get(key)) is not None:
                    narrator.answered(f"you, as {who}: {'approve' if answer else 'deny'}")
                    return answer
        narrator.answered(f"nobody answered: the story answers as {who}: approve")
        return True

    def _key(self, seconds: float) -> bytes | None:
        ready, _, _ = select.select([self.keyboard], [], [], seconds)
        return os.read(self.keyboard, 1).lower() if ready else None


@contextmanager
def _single_keys(keyboard: int) -> Iterator[None]:
    """Read keys as they are pressed, without echo; Ctrl-C stays Ctrl-C. What was typed before does not count."""
    before = termios.tcgetattr(keyboard)
    tty.setcbreak(keyboard)
    termios.tcflush(keyboard, termios.TCIFLUSH)
    try:
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
