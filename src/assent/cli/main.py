"""The entry point: finds the module of a command, runs it, and tells every failure in one line with its exit code.

A command's module is imported only when that command is used, so that help answers at once.
"""

import errno
import os
import sys
from importlib import import_module
from typing import Annotated, Any, Final, NoReturn, cast

import typer
from typer.core import TyperGroup

from assent.cli.called import as_called
from assent.cli.exits import Exit, exit_of
from assent.core.characters import visible
from assent.core.errors import AssentError, VerificationFailed

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "stop": ("assent.cli.breakers:stop", "stop an agent, a tool, an environment or everything, now"),
    "serve": ("assent.cli.serve:app", "run a broker on this machine"),
    "demo": ("assent.cli.demo:app", "the whole story in a minute, with a real broker"),
    "init": ("assent.cli.init:app", "make a configuration, keys and starter policies"),
    "login": ("assent.cli.login:app", "keep your token for this account, and see who you are"),
    "agents": ("assent.cli.agents:app", "see who may ask; issue keys, suspend agents and let them go on"),
    "operators": ("assent.cli.operators:app", "see who may do what; issue and revoke tokens"),
    "services": ("assent.cli.services:app", "the keys of tools' own services"),
    "approvals": ("assent.cli.approvals:app", "see what waits for a human, approve or deny it"),
    "action": ("assent.cli.action:app", "run a program as an agent, once the broker assents"),
    "breakers": ("assent.cli.breakers:app", "stop agents, tools or environments, and let them go on"),
    "policy": ("assent.cli.policy:app", "check, try, explain and read policies; confirm what widens"),
    "keys": ("assent.cli.keys:app", "see the broker's keys, and put a new one in the place of an old one"),
    "backup": ("assent.cli.backup:app", "copy the ledger while a broker serves it, and verify the copy"),
    "restore": ("assent.cli.restore:app", "put a copy in the place of the ledger"),
    "ledger": ("assent.cli.ledger:app", "make the tables of a ledger in PostgreSQL"),
    "migrate": ("assent.cli.migrate:app", "move a ledger from its file into PostgreSQL"),
    "doctor": ("assent.cli.doctor:app", "look at everything that the broker here depends on"),
    "slack": ("assent.cli.slack:app", "make the Slack app, and find out what is wrong with it"),
    "audit": ("assent.cli.audit:app", "read the log, and check that nobody changed it"),
}
INTERRUPTED: Final = 130
STANDARD_OUTPUT: Final = "standard output"
OUTPUT_FAULTS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF})


class OnDemand(TyperGroup):
    """A group that knows its commands by name and loads one when it is called."""

    def __init__(self, **attrs: Any) -> None:  # noqa: ANN401  # handed through to typer as they come
        super().__init__(**attrs)
        self.commands = cast("dict[str, Any]", dict.fromkeys(COMMANDS))  # names only: typer suggests from them

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401, ARG002  # typer keeps these types private
        """Return the command of that name, imported now, or None."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        return typer.main.get_command(getattr(import_module(module), name))

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002  # same
        """Write the list of commands without importing one of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, sentence) for name, (_, sentence) in COMMANDS.items()])


app = typer.Typer(cls=OnDemand, name="assent", rich_markup_mode=None, no_args_is_help=True)


def _print_version(wanted: bool) -> None:  # noqa: FBT001  # typer calls it with the value
    if wanted:
        from importlib.metadata import version

        print(version("assent"))
        raise typer.Exit


@app.callback()
def assent(
    *,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and end.")
    ] = False,
) -> None:
    """Assent: no agent acts without assent."""
    del version  # its callback has answered before anything runs


def main() -> None:
    """Run the command line that this process was started with."""
    try:
        _run()
    except AssentError as fault:
        fail(fault)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        _give_up_output()
        sys.exit(Exit.FINDINGS)
    except OSError as fault:
        fail_on_file(fault)
    except Exception as fault:  # noqa: BLE001  # the last line of defence: told in one line, never swallowed
        fail_unexpectedly(fault)


def _run() -> None:
    if sys.stdout is None:  # what Python makes of a stream that was closed before it started
        raise OSError(errno.EBADF, "it is closed", STANDARD_OUTPUT)
    try:
        app(prog_name="assent", help_option_names=["-h", "--help"])
    finally:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as fault:
            raise OSError(fault.errno, fault.strerror, STANDARD_OUTPUT) from None


def _give_up_output() -> None:
    """Send what is still unwritten nowhere, so that the end of the process does not fail on it again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)


def fail_on_file(fault: OSError) -> NoReturn:
    """Tell in one line which file or stream could not be used and why."""
    if os.environ.get("ASSENT_DEBUG") == "1":
        raise fault
    what = "a file or stream" if fault.filename is None else f"`{visible(str(fault.filename))}`"
    if fault.filename == STANDARD_OUTPUT or (fault.filename is None and fault.errno in OUTPUT_FAULTS):
        what = STANDARD_OUTPUT
        _give_up_output()
    print(f"assent: {what} cannot be used: {(fault.strerror or str(fault)).lower()}", file=sys.stderr)
    print("  next: name one that exists and that you may write, with space left", file=sys.stderr)
    sys.exit(Exit.USAGE)


def fail(fault: AssentError) -> NoReturn:
    """Tell what is wrong and the next step, and end with the code of the problem."""
    tell(fault)
    sys.exit(exit_of(fault.code))


def tell(fault: AssentError) -> None:
    """Tell what is wrong and the next step."""
    print(f"assent: {visible(as_called(fault.message))}", file=sys.stderr)
    if isinstance(fault, VerificationFailed) and fault.index is not None:
        print(f"  first bad record: {fault.index}", file=sys.stderr)
    for finding in getattr(fault, "findings", ()):
        if finding not in fault.message:
            print(f"  {visible(finding)}", file=sys.stderr)
    if fault.hint:
        print(f"  next: {visible(as_called(fault.hint))}", file=sys.stderr)


def fail_unexpectedly(fault: Exception) -> NoReturn:
    """Tell in one line that something unforeseen happened; ASSENT_DEBUG=1 shows where."""
    if os.environ.get("ASSENT_DEBUG") == "1":
        raise fault
    kind = type(fault).__name__
    print(f"assent: something unforeseen happened ({kind}: {visible(str(fault)[:200])})", file=sys.stderr)
    print("  next: run it again with ASSENT_DEBUG=1 and report what that shows", file=sys.stderr)
    sys.exit(Exit.USAGE)
