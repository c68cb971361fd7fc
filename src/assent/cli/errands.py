"""One program from the ask to its exit code, as an agent: asked about, waited for, run once, its outcome reported.

The broker's word is the argument vector: nothing that stands on the command line is executed, only what came back as
judged. Whatever goes wrong before that, no program is started.
"""

import json
import os
import sys
import time
import warnings
from dataclasses import dataclass
from typing import Final

from assent.cli import margin, output
from assent.cli.client import DEFAULT_URL, URL_VARIABLE
from assent.cli.exits import RunExit
from assent.cli.main import tell
from assent.cli.output import Usage
from assent.cli.programs import NotStarted, Program
from assent.cli.watching import cut
from assent.core.actions import Runs
from assent.core.canonical import Json
from assent.core.characters import visible
from assent.core.errors import AssentError
from assent.sdk.client import Assent
from assent.sdk.decisions import Decision, ToolNotice
from assent.sdk.errors import ActionDenied, AlreadyExecuted, ApprovalPending, RunIdMissing

POLL_SECONDS: Final = 5.0
_REFUSED: Final = (ActionDenied, AlreadyExecuted, ApprovalPending)


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What is to be run; `runs` says how it was given: as arguments of the tool, or as the vector itself."""

    tool: str
    arguments: dict[str, Json]
    runs: Runs
    reason: str | None = None
    run_id: str | None = None
    call_id: str | None = None
    on_behalf_of: tuple[str, ...] | None = None
    wait_seconds: float | None = None

    @property
    def is_found_again(self) -> bool:
        """Whether the same command, typed again, means the same action."""
        return self.run_id is not None or self.call_id is not None


def run_errand(errand: Errand, *, as_json: bool) -> int:
    """Return what to end with, after what there is to say stands on standard error; the rest is the program's."""
    program = Program()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RunIdMissing)  # who wants to be found again says so with an option
        try:
            code = _run(errand, program)
        except AssentError as fault:
            code = _exit_of(fault)
            _tell(fault, code, as_json=as_json)
            return code
    if program.stopped is not None and code:
        _tell(program.stopped, RunExit.REFUSED, as_json=as_json)
        return RunExit.REFUSED
    if as_json:
        print(json.dumps({"action_id": program.action, "exit_code": code}), file=sys.stderr)
    return code


def _run(errand: Errand, program: Program) -> int:
    with Assent(os.environ.get(URL_VARIABLE) or DEFAULT_URL) as client:
        _refuse_what_is_no_program(client.tools(), errand)
        action = client.action(
            errand.tool,
            errand.arguments,
            reason=errand.reason,
            run_id=errand.run_id,
            call_id=errand.call_id,
            on_behalf_of=errand.on_behalf_of,
            wait=0,
            on_stop=program.stop,
        )
        try:
            return program.carry_out(action)
        except ApprovalPending as pending:
            decision = _until_answered(client, errand, pending.action_id)
        return program.carry_out(client.resume(decision, on_stop=program.stop))


def _refuse_what_is_no_program(known: tuple[ToolNotice, ...], errand: Errand) -> None:
    """Let through what runs as it was given, and what the broker does not list: refusing that is its word."""
    found = next((notice for notice in known if notice.name == errand.tool), None)
    if found is None or found.runs is errand.runs:
        return
    tool = visible(errand.tool)
    if found.runs is None:
        raise Usage(
            f"`{tool}` is no program: its catalogue entry has no `command`",
            hint="guard a function with it, or let whoever keeps the catalogue say what it runs",
        )
    if found.runs is Runs.COMMAND:
        raise Usage(
            f"the catalogue says what `{tool}` runs, and a command of yours has no place in it",
            hint=f"give its arguments: assent action run {tool} KEY=VALUE …",
        )
    raise Usage(f"`{tool}` takes a program and its arguments", hint=f"assent action run {tool} -- PROGRAM …")


def _until_answered(client: Assent, errand: Errand, action_id: str) -> Decision:
    """Return the decision once people gave one, saying meanwhile who is waited for.

    A question that nobody would find again is withdrawn when nobody waits for it any more: it costs nobody's time.

    Raises:
        ApprovalPending: nobody answered within the wait.

    """
    waiting = _Waiting()
    try:
        decision = _waited(client, errand, action_id, waiting)
    except KeyboardInterrupt:
        if not errand.is_found_again:
            client.cancel(action_id, "interrupted while it waited")
        raise
    finally:
        waiting.end()
    if not decision.is_pending:
        return decision
    code = "" if decision.approval is None else f" (`{visible(decision.approval.code)}`)"
    if errand.is_found_again:
        raise ApprovalPending(
            f"nobody answered yet{code}; the question goes on, and the same command finds it again",
            action_id=action_id,
            approval_code=None if decision.approval is None else decision.approval.code,
            tool=errand.tool,
        )
    client.cancel(action_id, "nobody waits for it any more")
    raise ActionDenied(
        f"nobody answered within the wait{code}; nothing was run, and the question was withdrawn",
        code="approval_expired",
        hint="wait longer, or name a run with --run-id, so that the same command finds the question again",
        tool=errand.tool,
        action_id=action_id,
    )


def _waited(client: Assent, errand: Errand, action_id: str, waiting: "_Waiting") -> Decision:
    until = None if errand.wait_seconds is None else time.monotonic() + errand.wait_seconds
    decision = client.wait(action_id, timeout=0)
    while decision.is_pending and (until is None or time.monotonic() < until):
        waiting.show(decision)
        left = POLL_SECONDS if until is None else max(0.0, min(POLL_SECONDS, until - time.monotonic()))
        decision = client.wait(action_id, timeout=left)
    return decision


class _Waiting:
    """Says on standard error who is waited for: one line, drawn anew at a terminal, told once into a file."""

    def __init__(self) -> None:
        self._redraws = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._shown = ""

    def show(self, decision: Decision) -> None:
        """Show the question that waits, with the time that is left."""
        notice = decision.approval
        if notice is None or (self._shown and not self._redraws):
            return
        who = output.words(notice.who) if isinstance(notice.who, list) else ""
        left = "" if notice.expires_at is None else output.time_left(notice.expires_at.isoformat())
        said = f"{notice.code} waits for {who or 'nobody who could answer'}: {left}, then nothing runs"
        line = margin.shown(said)
        if not self._redraws:
            print(line, file=sys.stderr, flush=True)
        else:
            print(f"\r\x1b[K{cut(line, margin.terminal_columns() - 1)}", end="", file=sys.stderr, flush=True)
        self._shown = line

    def end(self) -> None:
        """End the line that is drawn anew."""
        if self._shown and self._redraws:
            print(file=sys.stderr, flush=True)


def _exit_of(fault: AssentError) -> RunExit:
    if isinstance(fault, NotStarted):
        return RunExit.NOT_STARTED
    return RunExit.REFUSED if isinstance(fault, _REFUSED) else RunExit.NOT_DECIDED


def _tell(fault: AssentError, code: int, *, as_json: bool) -> None:
    if as_json:
        told = {"code": fault.code, "message": fault.message, "hint": fault.hint, "exit_code": int(code)}
        print(json.dumps(told), file=sys.stderr)
        return
    if isinstance(fault, _REFUSED):
        # What runs this is often an agent, which reads what it is told: this says whether to ask again, too.
        print(f"assent: {visible(fault.model_message)}", file=sys.stderr)
    else:
        tell(fault)
