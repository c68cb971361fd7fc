"""The locks that brokers on one ledger take in the database, by number, and in what order.

- `GATE`: whoever may allow, vote or redeem passes together, whoever stops something passes alone. It is the first
  statement of every transaction, before anything is read, so that what is read is never older than the last stop.
- `TREE`: one broker at a time lets the tree grow.
- `END`: the end of the log, taken for the last write and the commit alone; the index of a record is its place in line.

A transaction takes them in this order, and each ends with the transaction. Two more: `SERVING` is held by the writing
connection of whoever serves, together with others that count in Redis or alone, `CHANGING` by whoever makes or changes
the tables.
"""

from typing import Final

GATE: Final = 0x61_73_73_65_6E_74_01  # `assent` and a number, so that other users of the database take others
TREE: Final = 0x61_73_73_65_6E_74_02
END: Final = 0x61_73_73_65_6E_74_03
SERVING: Final = 0x61_73_73_65_6E_74_04
CHANGING: Final = 0x61_73_73_65_6E_74_05
