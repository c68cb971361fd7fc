"""The page `docs/refusals.md`, written from the tables: every code that the API answers, its status and what to do.

Write it anew with `python -m assent.api.reference > docs/refusals.md`; a test compares.
"""

import sys

from assent.api.problems import ERRORS, TABLE
from assent.core.refusals import REFUSALS, Refusal, Seen

_OPENING = """\
# Codes

Every answer that is not a success is a problem document (RFC 9457, `application/problem+json`) with a stable `code`.
Branch on the code, never on the text. This page is written from the tables in the code.

## Refusals

A refusal is a "no" that was decided: a reason of a decision (`reasons[].code`, answered 200 with `decision: deny`) or,
where a call itself is refused, a problem document with the status given here. "Again" says whether asking again helps.

| code | status | heard by | what it says | what to do | again |
|---|---|---|---|---|---|
"""
_ERRORS_OPENING = """
## Errors

An error means that the request cannot be, or that the broker could not find out. Both run nothing.

| code | status | what it says |
|---|---|---|
"""
_CLOSING = """
Codes answered 503 carry `Retry-After`; nothing was decided. What exactly failed stands in the broker's own log, under
the `incident` of the answer where it has one.
"""
_WHO = {Seen.AGENT: "agent", Seen.OPERATOR: "operator", Seen.BOTH: "both"}


def refusals_page() -> str:
    """Return the page in Markdown."""
    refusals = "".join(_refusal(refusal) for refusal in REFUSALS.values())
    told = [(code, row) for code, row in ERRORS.items() if row.tells]
    errors = "".join(f"| `{code}` | {row.status.value} | {row.title} |\n" for code, row in told)
    inside = ", ".join(f"`{code}`" for code, row in ERRORS.items() if not row.tells)
    kept = f"\nKept inside and answered as `broker_unavailable`: {inside}.\n"
    return _OPENING + refusals + _ERRORS_OPENING + errors + kept + _CLOSING


def _refusal(refusal: Refusal) -> str:
    status = TABLE[refusal.code].status.value
    again = "yes" if refusal.agent_may_retry else "no"
    who = _WHO[refusal.seen_by]
    return f"| `{refusal.code}` | {status} | {who} | {refusal.sentence} | {refusal.next_step} | {again} |\n"


if __name__ == "__main__":
    sys.stdout.write(refusals_page())
