"""The log has the last word: a row that was put back to an earlier state contradicts its own records.

Whoever can write the database without the keys cannot make a row, but can put an old one back. Where that would run
something twice, the deciding transaction asks the log first.
"""

from assent.core.actions import Action
from assent.core.errors import Forged
from assent.core.looking import RecordFilter
from assent.core.records import RecordKind
from assent.ports import View


async def believe_log(view: View, action: Action, *never: RecordKind) -> None:
    """Let an action go on only if none of these ever happened to it.

    Raises:
        Forged: one of them is on record, so the row at hand is older than the log.

    """
    for kind in never:
        if (await view.records(RecordFilter(action=action.id, kind=kind), limit=1)).records:
            raise Forged(
                f"action `{action.id}` was put back to an older state: `{kind}` is on record",
                hint="somebody changed the database: keep a copy and run `assent audit verify`",
            )
