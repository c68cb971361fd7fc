"""Settings: one frozen object from `assent.toml` and `ASSENT_*`, read once when the process starts.

The environment wins over the file. An unknown key, a value out of bounds or an unsafe combination stops the process
with the key, what is wrong and the fix. Every number has its unit in its name and a bound. A path in the file is
relative to the file.
"""

from assent.config.forms import (
    LogFormat,
    LogLevel,
    MailSecurity,
    WebhookKind,
    WebhookSettings,
    is_address,
    refuse_unsafe_database,
)
from assent.config.reading import DEFAULT_FILE, OTHER_VARIABLES, find_file, load_settings
from assent.config.redis_places import RedisPlace, Topology
from assent.config.secrets import require_private, secret_in
from assent.config.settings import Settings

__all__ = [
    "DEFAULT_FILE",
    "OTHER_VARIABLES",
    "LogFormat",
    "LogLevel",
    "MailSecurity",
    "RedisPlace",
    "Settings",
    "Topology",
    "WebhookKind",
    "WebhookSettings",
    "find_file",
    "is_address",
    "load_settings",
    "refuse_unsafe_database",
    "require_private",
    "secret_in",
]
