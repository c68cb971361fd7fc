"""How budgets, definitions of tools and marks of what was told are stored; the amounts of a budget are payload."""

from datetime import timedelta
from decimal import Decimal

from assent.core.alerts import Mark
from assent.core.breaker_rules import Definition
from assent.core.budgets import Budget
from assent.core.windows import Slices, microseconds
from assent.stores.packing import Value, pack, unpack
from assent.stores.rows.table import Split, Stored, Table
from assent.stores.sealing import LedgerKeys


def _split_budget(budget: Budget, _keys: LedgerKeys) -> Split:
    facts: dict[str, object] = {"window": microseconds(budget.window)}
    return (budget.id, budget.revision), facts, (pack_slices(budget.slices),)


def _join_budget(stored: Stored) -> Budget:
    return Budget(
        id=stored.columns["id"],
        revision=stored.columns["revision"],
        window=timedelta(microseconds=stored.facts["window"]),
        slices=unpack_slices(stored.payload[0]),
    )


def pack_slices(slices: Slices) -> bytes:
    """Return slices as bytes that hold their sums exactly."""
    return pack(part for place, much in slices for part in (place, str(much)))


def unpack_slices(packed: bytes) -> Slices:
    """Return the slices that `pack_slices` packed."""
    parts: list[Value] = list(unpack(packed))
    return tuple((int(str(place)), Decimal(str(much))) for place, much in zip(parts[::2], parts[1::2], strict=True))


BUDGETS: Table[Budget] = Table(name="budget", columns=("id", "revision"), split=_split_budget, join=_join_budget)


def _split_definition(definition: Definition, _keys: LedgerKeys) -> Split:
    return (definition.id, definition.revision), {"digest": definition.digest}, ()


def _join_definition(stored: Stored) -> Definition:
    columns = stored.columns
    return Definition(id=columns["id"], revision=columns["revision"], digest=stored.facts["digest"])


DEFINITIONS: Table[Definition] = Table(
    name="definition", columns=("id", "revision"), split=_split_definition, join=_join_definition
)


def _split_mark(mark: Mark, _keys: LedgerKeys) -> Split:
    return (mark.id, mark.revision), {"told_until": mark.told_until}, ()


def _join_mark(stored: Stored) -> Mark:
    columns = stored.columns
    return Mark(id=columns["id"], revision=columns["revision"], told_until=stored.facts["told_until"])


MARKS: Table[Mark] = Table(name="mark", columns=("id", "revision"), split=_split_mark, join=_join_mark)
