"""The signals that settings name: in Redis, shared with other brokers of the same ledger, or in this process."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from assent.config import RedisPlace, Settings
from assent.core.errors import ConfigInvalid
from assent.stores.keys import Keys
from assent.stores.sealing import derive

if TYPE_CHECKING:
    from assent.stores.redis_signals import RedisSignals


def redis_of(settings: Settings, keys: Keys, steady: Callable[[], float]) -> "RedisSignals | None":
    """Return the signals in Redis, not connected yet, or None where settings name none.

    Raises:
        ConfigInvalid: what it takes is not installed, or a file that is named is not private or cannot be read.

    """
    if settings.redis_url is None:
        return None
    if find_spec("redis") is None:
        raise ConfigInvalid("`redis_url` needs more than is installed", hint="run `pip install 'assent[redis]'`")
    from assent.stores.redis_signals import (  # noqa: PLC0415  # an extra, and nobody else pays for loading it
        Access,
        RedisSignals,
        connecting,
    )

    if settings.redis_ca_file is not None and not settings.redis_ca_file.is_file():
        raise ConfigInvalid(
            f"`redis_ca_file`: `{settings.redis_ca_file}` is no file", hint="name the PEM of who vouches"
        )
    place = RedisPlace.of(settings.redis_url)
    access = Access(password=settings.secret("redis_password"), ca_file=settings.redis_ca_file)
    # All brokers of a ledger have its key; whoever looks into Redis has not, and cannot tell what is counted.
    secret = derive(keys.ledger, "assent/redis/v1")
    return RedisSignals(connecting(place, access), name=place.name, secret=secret, monotonic=steady)
