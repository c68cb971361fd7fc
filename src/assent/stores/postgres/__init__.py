"""The ledger on PostgreSQL. What others use is here:

    ledger = PostgresLedger.open(Place(url=…), keys.ledger_keys(), clock=clock, new_id=new_id)

Several brokers may write: what decides their order is in `locks`, and each learns the end of the log at the gate.
"""

from assent.stores.postgres.ledger import PostgresLedger, Serving
from assent.stores.postgres.link import Place

__all__ = ["Place", "PostgresLedger", "Serving"]
