"""The only place that knows concrete classes: settings become a broker on a real ledger, policy and keys."""

from assent.wiring.assembly import MACHINE, Assembly, Clocks, MakeSignals, assemble, publish_key

__all__ = ["MACHINE", "Assembly", "Clocks", "MakeSignals", "assemble", "publish_key"]
