"""Exit codes: one table from the code of a problem to what the process ends with."""

from enum import IntEnum
from typing import Final


class Exit(IntEnum):
    """What a script may rely on; the numbers never change."""

    DONE = 0
    FINDINGS = 1
    USAGE = 2
    REFUSED = 3
    ALREADY_DECIDED = 4
    EXPIRED = 5
    DIGEST_CHANGED = 6
    STEP_UP = 7
    UNREACHABLE = 8
    VERIFICATION_FAILED = 9


class RunExit(IntEnum):
    """What `assent action run` ends with where it is not the program's own code."""

    NOT_DECIDED = 125
    REFUSED = 126
    NOT_STARTED = 127


BY_CODE: Final[dict[str, Exit]] = {
    # denied or not eligible
    "forbidden": Exit.REFUSED,
    "not_approved": Exit.REFUSED,
    "not_denied": Exit.REFUSED,
    "not_eligible": Exit.REFUSED,
    "not_shown": Exit.REFUSED,
    "unauthenticated": Exit.REFUSED,
    # somebody was first
    "already_closed": Exit.ALREADY_DECIDED,
    "already_decided": Exit.ALREADY_DECIDED,
    "approval_expired": Exit.EXPIRED,
    "digest_changed": Exit.DIGEST_CHANGED,
    "step_up_required": Exit.STEP_UP,
    # nobody could say
    "bad_answer": Exit.UNREACHABLE,
    "broker_unavailable": Exit.UNREACHABLE,
    "held_not_durable": Exit.UNREACHABLE,
    "rate_limited": Exit.UNREACHABLE,
    "stale": Exit.UNREACHABLE,
    "unreachable": Exit.UNREACHABLE,
    # the log is not what it was
    "row_forged": Exit.VERIFICATION_FAILED,
    "verification_failed": Exit.VERIFICATION_FAILED,
    # files with findings
    "policy_error": Exit.FINDINGS,
    "policy_refused": Exit.FINDINGS,
}


def exit_of(code: str) -> Exit:
    """Return the exit code for a problem; one that is not in the table is the caller's to correct."""
    return BY_CODE.get(code, Exit.USAGE)
