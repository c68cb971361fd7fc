"""A new secret is handed over: shown once at a terminal, or written to a new file for its owner alone; never both.

Where it goes is settled before anything is issued, so that no secret is made which then has no place to go.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from assent.cli import output
from assent.cli.called import as_called
from assent.cli.client import Heard, Unreachable
from assent.cli.output import Usage
from assent.core.characters import visible

Out = Annotated[Path | None, typer.Option(help="Write the secret to this new file, for you alone, and nowhere else.")]
ValidFor = Annotated[str | None, typer.Option(help="How long it is to live, such as 30d.")]
_NEW_AND_OURS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MODE: Final = 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """What was issued: `name` is the member of the answer that holds the secret, `what` says what it is in words.

    `shown_as` puts the secret into the line that is shown; `look` is the command that lists what there is.
    """

    name: str
    what: str
    shown_as: str
    look: str


def hand_over(issue: Callable[[], Heard], what: Handover, *, out: Path | None, as_json: bool) -> dict[str, Any]:
    """Issue, hand the secret over, and return the answer without it.

    Raises:
        Usage: there is no place for the secret, and nothing was issued; or the file broke while it was written.

    """
    if out is None:
        return _shown(issue, what, as_json=as_json)
    with _reserved(out) as descriptor:
        answer = _issued(issue, what).body
        secret = answer.pop(what.name)
        _write(descriptor, f"{secret}\n".encode(), out, what)
    if as_json:
        print(json.dumps({**answer, "file": str(out)}))
    else:
        print(f"issued {what.what}: it is in {visible(str(out))}, for you alone")
    return dict(answer)


def _shown(issue: Callable[[], Heard], what: Handover, *, as_json: bool) -> dict[str, Any]:
    if not as_json and not sys.stdout.isatty():
        raise Usage("a secret is not written into a pipe, nothing was issued", hint="use --out FILE, or --json")
    heard = _issued(issue, what)
    if as_json:
        output.print_json(heard)
    else:
        print(f"issued {what.what}, shown this once:\n\n  {what.shown_as.format(heard.body[what.name])}\n")
    return {name: value for name, value in heard.body.items() if name != what.name}


def _issued(issue: Callable[[], Heard], what: Handover) -> Heard:
    try:
        return issue()
    except Unreachable as lost:
        # The answer may have been lost on its way back: then there is one that nobody holds.
        hint = f"{lost.hint}; then see with `{what.look}` whether one was issued all the same, and revoke it"
        raise Unreachable(lost.message, hint=as_called(hint)) from None


@contextmanager
def _reserved(file: Path) -> Iterator[int]:
    """Make the file for its owner alone; without a secret in it at the end, it is gone again."""
    try:
        descriptor = os.open(file, _NEW_AND_OURS, _MODE)
    except FileExistsError:
        raise Usage(
            f"`{file}` is there already, nothing was issued", hint="name a file that does not exist with --out"
        ) from None
    try:
        os.fchmod(descriptor, _MODE)
        yield descriptor
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def _write(descriptor: int, secret: bytes, file: Path, what: Handover) -> None:
    try:
        written = os.write(descriptor, secret)
        os.fsync(descriptor)
    except OSError as fault:
        why = (fault.strerror or "it failed").lower()
        written, lost = 0, f"`{file}` cannot be written ({why})"
    else:
        lost = f"`{file}` took only a part"
    if written != len(secret):
        raise Usage(f"{lost}: {what.what} was issued and nobody holds it", hint=f"revoke it: `{what.look}` names it")
