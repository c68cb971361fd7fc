"""Whether the database that the ledger is in can be used: reached, version and keys that fit, a role held short."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from assent.cli.checks import ledger as of_a_file
from assent.cli.checks import policy
from assent.cli.checks.findings import Finding, State

if TYPE_CHECKING:
    from assent.config import Settings


def ledger(settings: "Settings") -> Iterator[Finding]:
    """Look at the database, then at a copy of the ledger in it as at a file: log and clock."""
    from assent.stores.postgres.roles import may_change_records
    from assent.wiring.database import as_file, place_of, refuse_two

    refuse_two(settings)
    place = place_of(settings)
    if may_change_records(place):
        said = f"the role that `{settings.ledger_name}` names may change and delete what is on record"
        fix = "let another role own the tables: `assent ledger prepare --owner-url URL --role ROLE`"
        yield Finding("ledger's role", State.SOON, said, fix)
    else:
        yield Finding("ledger's role", State.OK, "it may read and add, and change nothing that is on record")
    kept = of_a_file.kept_size(settings)
    with as_file(settings) as file:
        copied = settings.model_copy(update={"ledger_file": file, "ledger_url": None})
        yield from of_a_file.ledger(copied)
        yield from of_a_file.log(copied, kept=kept)
        yield from of_a_file.clock(copied)
        yield from policy.active(copied)
