"""The ledger on SQLite. What others use is here:

    ledger = SqliteLedger.open(path_or_":memory:", keys.ledger_keys(), clock=clock, new_id=new_id)
    await ledger.transact(work); await ledger.read(work); ledger.blind(purpose, value)
    await ledger.failed()      # ends only when the ledger closed for good: end the process then
    await ledger.close()
    with ServingLock(path): …  # held by the one process that serves; `--direct` writers do without

Several processes may write: each reads the end of the log anew when another one wrote. In memory there is one
process and no reading threads, and the rest is the same code.
"""

from assent.stores.sqlite.ledger import SqliteLedger
from assent.stores.sqlite.turnstile import ServingLock

__all__ = ["ServingLock", "SqliteLedger"]
