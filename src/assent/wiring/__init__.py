"""The only place that knows concrete classes: settings become a broker on a real ledger, policy and keys."""

from assent.wiring.assembly import Assembly, assemble, publish_key

__all__ = ["Assembly", "assemble", "publish_key"]
