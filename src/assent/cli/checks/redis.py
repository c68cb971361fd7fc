"""Whether the Redis that is named can be used: reached, signed in, functions loaded, writes taken."""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from assent.cli.checks.findings import Finding, State

if TYPE_CHECKING:
    from assent.config import Settings

_WHAT: Final = "redis"


def redis(settings: "Settings") -> Iterator[Finding]:
    """Do with Redis what a broker does when it connects; nothing is counted."""
    import time

    from assent.stores.key_places import KeyPlaces
    from assent.stores.keys import Keys
    from assent.wiring.shared import redis_of

    signals = redis_of(settings, Keys.load(KeyPlaces.of(settings)), time.monotonic)
    if signals is None:
        return
    why = asyncio.run(signals.link.look())
    if why is None:
        said = f"`{signals.link.name}` can be used; what it holds may be lost at any time"
        yield Finding(_WHAT, State.OK, said)
        return
    said = f"`{signals.link.name}`: {why}; changes in production that a rule counts are denied"
    yield Finding(
        _WHAT, State.WRONG, said, "see that it can be used (docs/redis.md); the broker then does so by itself"
    )
