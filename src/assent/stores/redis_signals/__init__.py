"""Signals in Redis or Valkey, shared by every broker of one ledger: `docs/decisions/0034-signals-in-redis.md`."""

from assent.stores.redis_signals.clients import Access, connecting
from assent.stores.redis_signals.link import Link
from assent.stores.redis_signals.signals import RedisSignals

__all__ = ["Access", "Link", "RedisSignals", "connecting"]
