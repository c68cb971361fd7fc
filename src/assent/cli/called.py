"""How the reader calls this program, so that every command that is printed works where it is read."""

import os
import re
from functools import cache
from typing import Final

# Not one of ASSENT_*: those are settings, and an unknown one is refused.
VARIABLE: Final = "CALLED_AS"
NAME: Final = "assent"


def as_called(text: str) -> str:
    """Return our own `text` with each command in it as the reader has to type it, `./run assent …` for instance."""
    name = os.environ.get(VARIABLE) or NAME
    return _command().sub(lambda _: f"{name} ", text)


@cache
def _command() -> re.Pattern[str]:
    from assent.cli.main import COMMANDS

    return re.compile(rf"(?<![\w./-]){NAME} (?=(?:{'|'.join(map(re.escape, COMMANDS))})\b)")
