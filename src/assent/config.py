"""Settings: one frozen object from `assent.toml` and `ASSENT_*`, read once when the process starts.

The environment wins over the file. An unknown key, a value out of bounds or an unsafe combination stops the process
with the key, what is wrong and the fix. Every number has its unit in its name and a bound. A path in the file is
relative to the file.
"""

import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from assent.core.characters import visible
from assent.core.errors import ConfigInvalid
from assent.core.notes import NoteInvalid, parse_verifier_key
from assent.core.privileges import Activation

PREFIX: Final = "ASSENT_"
DEFAULT_FILE: Final = "assent.toml"
MAX_FILE_BYTES: Final = 65_536
# Read by clients, tests and contributors, not by the broker: these are no settings and no typing errors of one.
OTHER_VARIABLES: Final = frozenset(
    {
        "ASSENT_AGENT_KEY",
        "ASSENT_CASES",
        "ASSENT_DEBUG",
        "ASSENT_FAILPOINT",
        "ASSENT_OPERATOR_TOKEN",
        "ASSENT_SERVICE_KEY",
        "ASSENT_SPOOL",
        "ASSENT_URL",
    }
)

_URL = re.compile(r"https?://[^\s/?#@\\]+(/[^\s?#\\]*)?")

# What is secret, and may stand in the environment or, as `<key>_file`, in a file that only its owner reads.
SECRETS: Final = ("slack_bot_token", "slack_app_token", "slack_signing_secret", "alert_webhook_secret")
SLACK_API: Final = "https://slack.com/api/"
MAX_RELEASE_KEYS: Final = 16
LOG_ORIGIN: Final = "assent/local"
_TO_A_WEBHOOK = re.compile(
    r"https://[A-Za-z0-9.\-\[\]:]+(/[!-~]*)?|http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?(/[!-~]*)?"
)
_ON_THIS_MACHINE = re.compile(r"http://127\.0\.0\.1:[0-9]{1,5}/[a-z/]*")
_SLACK_CHANNEL = re.compile(r"[CG][A-Z0-9]{2,30}")
_SINK: Final = "checkpoint_sink"
_ORIGIN = re.compile(r"[!-*,-~]{1,128}")


class LogFormat(StrEnum):
    """How the operational log is written."""

    AUTO = "auto"
    JSON = "json"
    PRETTY = "pretty"


class LogLevel(StrEnum):
    """The least important event that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Settings(BaseSettings):
    """Everything that can be set; `docs/configuration.md` lists each with its default."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", frozen=True, validate_default=True, str_max_length=4_096
    )

    # where it listens
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8420
    public_url: str | None = None
    behind_proxy: bool = False
    tls_certificate_file: Path | None = None
    tls_key_file: Path | None = None

    # what it works with
    policy_directory: Path = Path("policies")
    activation: Activation = Activation.AUTO
    release_keys: Annotated[tuple[str, ...] | None, NoDecode, Field(min_length=1, max_length=MAX_RELEASE_KEYS)] = None
    keys_directory: Path = Path("keys")
    log_key_file: Path | None = None
    grant_key_file: Path | None = None
    ledger_key_file: Path | None = None
    payload_key_file: Path | None = None
    ledger_file: Path = Path("ledger.db")
    log_origin: str = LOG_ORIGIN
    checkpoint_sink: str | None = None

    # how long things may take
    lease_seconds: Annotated[int, Field(ge=1, le=86_400)] = 300
    pick_up_seconds: Annotated[int, Field(ge=1, le=86_400)] = 300
    tick_seconds: Annotated[float, Field(ge=0.01, le=60)] = 1.0
    checkpoint_seconds: Annotated[float, Field(ge=0.05, le=60)] = 1.0
    checkpoint_sink_each_seconds: Annotated[int, Field(ge=1, le=2_592_000)] = 86_400
    verify_each_seconds: Annotated[int, Field(ge=1, le=2_592_000)] = 86_400
    policy_watch_seconds: Annotated[float, Field(ge=0, le=3_600)] = 2.0
    arrival_seconds: Annotated[float, Field(ge=0.05, le=600)] = 10.0
    keep_alive_seconds: Annotated[int, Field(ge=1, le=3_600)] = 75
    shutdown_seconds: Annotated[int, Field(ge=1, le=600)] = 10

    # how much may wait for people
    open_per_agent: Annotated[int, Field(ge=1, le=1_000)] = 5
    open_per_run: Annotated[int, Field(ge=1, le=1_000)] = 2
    open_per_route: Annotated[int, Field(ge=1, le=10_000)] = 20
    asks_per_agent_per_hour: Annotated[int, Field(ge=1, le=100_000)] = 20

    # how much is taken at once
    max_connections: Annotated[int, Field(ge=8, le=100_000)] = 10_000
    max_connections_per_address: Annotated[int, Field(ge=1, le=100_000)] = 512
    max_head_bytes: Annotated[int, Field(ge=4_096, le=1_048_576)] = 65_536

    # Slack: secrets come from the environment or from a file of their own, never from assent.toml
    slack_bot_token: SecretStr | None = None
    slack_bot_token_file: Path | None = None
    slack_app_token: SecretStr | None = None
    slack_app_token_file: Path | None = None
    slack_signing_secret: SecretStr | None = None
    slack_signing_secret_file: Path | None = None
    slack_api_url: str = "https://slack.com/api/"

    # who is told of breakers
    slack_alert_channel: str | None = None
    alert_webhook_url: str | None = None
    alert_webhook_secret: SecretStr | None = None
    alert_webhook_secret_file: Path | None = None
    runbook_url: str = "docs/runbook-breakers.md"

    # what others see
    log_format: LogFormat = LogFormat.AUTO
    log_level: LogLevel = LogLevel.INFO
    public_log: bool = False

    # what is kept
    legal_hold: str | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # pydantic passes all five by name
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return what was given, then the environment, then what the file says (`written`); nothing else is read."""
        given = dict(init_settings())
        written = given.pop("written", {})
        return InitSettingsSource(settings_cls, given), env_settings, InitSettingsSource(settings_cls, written)

    @field_validator("*", mode="before")
    @classmethod
    def _number_is_no_switch(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, bool) and cls.model_fields[info.field_name or ""].annotation is not bool:
            raise ValueError("true and false are no value of this setting")
        return value

    @field_validator("public_url")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value is not None and not _URL.fullmatch(value):
            raise ValueError("write it as https://HOST[:PORT][/PATH]")
        return value

    @field_validator("alert_webhook_url")
    @classmethod
    def _is_safe_to_tell(cls, value: str | None) -> str | None:
        if value is not None and not _TO_A_WEBHOOK.fullmatch(value):
            raise ValueError("write it as https://HOST[:PORT]/PATH; plain http only to this machine")
        return value

    @field_validator("checkpoint_sink")
    @classmethod
    def _is_a_place(cls, value: str | None) -> str | None:
        if value is not None and (not value or is_address(value)) and not _TO_A_WEBHOOK.fullmatch(value):
            raise ValueError("write a file, a directory, or https://HOST[:PORT]/PATH; plain http only to this machine")
        return value

    @field_validator("release_keys", mode="before")
    @classmethod
    def _keys_apart(cls, value: object) -> object:
        return tuple(value.split()) if isinstance(value, str) else value

    @field_validator("release_keys")
    @classmethod
    def _are_public_keys(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        try:
            names = [(key.name, key.key_id) for key in map(parse_verifier_key, value or ())]
        except NoteInvalid as fault:
            raise ValueError(f"{fault.message}; write each as `assent keys release` printed it") from None
        if len(set(names)) < len(names):
            raise ValueError("one key stands there twice")
        return value

    @field_validator("log_origin")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        if not _ORIGIN.fullmatch(value):
            raise ValueError("write it as a name without spaces and `+`, such as assent/example.com")
        return value

    @field_validator("slack_alert_channel")
    @classmethod
    def _is_a_slack_channel(cls, value: str | None) -> str | None:
        if value is not None and not _SLACK_CHANNEL.fullmatch(value):
            raise ValueError("write the id of the channel, such as C0PROD; it stands at the foot of its details")
        return value

    @field_validator("slack_api_url")
    @classmethod
    def _is_slack(cls, value: str) -> str:
        if value != SLACK_API and not _ON_THIS_MACHINE.fullmatch(value):
            raise ValueError(f"the bot token goes there: it is `{SLACK_API}`, or a stand-in on this machine")
        return value

    @model_validator(mode="after")
    def _secrets_once(self) -> Self:
        for key in SECRETS:
            if getattr(self, key) is not None and getattr(self, f"{key}_file") is not None:
                raise _Unsafe(key, f"`{key}_file` is set as well, and the two may differ", "set one of them")
        return self

    @model_validator(mode="after")
    def _releases_mean_something(self) -> Self:
        if self.release_keys is not None and self.activation is Activation.AUTO:
            raise _Unsafe(
                "release_keys",
                'with `activation = "auto"` every sound version serves without anybody\'s word',
                'set `activation = "confirm"`, or remove the keys',
            )
        if self.release_keys is not None and self.log_origin == LOG_ORIGIN:
            raise _Unsafe(
                "release_keys",
                f"a release names the log that it is for, and `{LOG_ORIGIN}` is every log that nobody named",
                "set `log_origin` before the first start; a broker that has begun without one confirms by hand",
            )
        return self

    @model_validator(mode="after")
    def _signs_what_it_tells(self) -> Self:
        has_secret = self.alert_webhook_secret is not None or self.alert_webhook_secret_file is not None
        if self.alert_webhook_url is not None and not has_secret:
            raise _Unsafe(
                "alert_webhook_url",
                "without a secret nobody there could tell an alert of this broker from anybody's",
                "set `alert_webhook_secret_file`, and give the other side the same secret",
            )
        return self

    @model_validator(mode="after")
    def _listens_safely(self) -> Self:
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            missing = "tls_key_file" if self.tls_key_file is None else "tls_certificate_file"
            raise _Unsafe(missing, "TLS needs a certificate and its key", f"set `{missing}` as well, or neither")
        if not self.is_loopback and not self.has_tls and not self.behind_proxy:
            raise _Unsafe(
                "host",
                f"`{visible(self.host)}` can be reached from other machines, and credentials would travel in the clear",
                "set `tls_certificate_file` and `tls_key_file`, or `behind_proxy = true` when a proxy ends TLS",
            )
        return self

    def secret(self, key: str) -> str | None:
        """Return a secret from wherever it was given, None where it was not.

        Raises:
            ConfigInvalid: its file can be read by others, cannot be read, or is empty.

        """
        given: SecretStr | None = getattr(self, key)
        file: Path | None = getattr(self, f"{key}_file")
        if file is None:
            return None if given is None else given.get_secret_value()
        require_private(file, f"{key}_file")
        said = file.read_text(encoding="utf-8", errors="replace").strip()
        if not said:
            raise ConfigInvalid(f"`{key}_file`: `{visible(str(file))}` is empty", hint="put the secret in, and no more")
        return said

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def has_tls(self) -> bool:
        """Whether the broker itself speaks TLS."""
        return self.tls_certificate_file is not None


def is_address(place: str) -> bool:
    """Return whether a place is meant as an address, and not as a file."""
    return "://" in place or place.startswith("slack:")


def find_file(given: Path | None, directory: Path) -> Path | None:
    """Return the file that was named, else `assent.toml` in `directory` if it is there, else None.

    Raises:
        ConfigInvalid: the file that was named does not exist.

    """
    if given is None:
        default = directory / DEFAULT_FILE
        return default if default.is_file() else None
    if not given.is_file():
        raise ConfigInvalid(f"there is no file `{visible(str(given))}`", hint="make one with `assent init DIR`")
    return given


def load_settings(file: Path | None, *, root: Path | None = None, **given: str | int | Path) -> Settings:
    """Return the settings of `file`, with `ASSENT_*` in its place where set, and `given` above both.

    Paths that nobody sets lie in `root`, by default the directory of `file`.

    Raises:
        ConfigInvalid: a key is unknown, a value is out of bounds or unsafe; the message names key, fault and fix.

    """
    _refuse_unknown_variables(os.environ)
    base = root or (file.parent if file is not None else Path())
    written = {} if file is None else _read(file)
    values = _paths_below(base, {**_default_paths(), **written})
    try:
        known: dict[str, Any] = {**given, "written": values}
        return Settings(**known)
    except ValidationError as fault:
        raise _explained(fault, file) from None


def require_private(file: Path, key: str) -> None:
    """Let a secret's file through when only its owner can read it.

    Raises:
        ConfigInvalid: it is missing, or others may read it.

    """
    try:
        mode = file.stat().st_mode
    except OSError as fault:
        raise ConfigInvalid(f"`{key}`: `{visible(str(file))}` cannot be read: {fault.strerror}") from None
    if mode & 0o077:
        raise ConfigInvalid(
            f"`{key}`: `{visible(str(file))}` can be read by others", hint=f"run `chmod 600 {visible(str(file))}`"
        )


def _read(file: Path) -> dict[str, Any]:
    name = visible(str(file))
    try:
        raw = file.read_bytes()
    except OSError as fault:
        raise ConfigInvalid(f"`{name}` cannot be read: {fault.strerror}") from None
    if len(raw) > MAX_FILE_BYTES:
        raise ConfigInvalid(f"`{name}` is longer than {MAX_FILE_BYTES} bytes")
    try:
        return _without_secrets(tomllib.loads(raw.decode()), name)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        said = visible(str(fault))
        raise ConfigInvalid(
            f"`{name}` is not TOML: {said[:1].lower()}{said[1:]}", hint="correct it at that place"
        ) from None


def _without_secrets(written: dict[str, Any], name: str) -> dict[str, Any]:
    for key in SECRETS:
        if key in written:
            variable = PREFIX + key.upper()
            hint = f"set `{variable}` in the environment, or `{key}_file` to a file of mode 0600"
            raise ConfigInvalid(f"`{key}` stands in `{name}`, where secrets are copied around", hint=hint)
    return written


def _path_keys() -> list[str]:
    return [key for key in Settings.model_fields if key.endswith(("_file", "_directory"))]


def _default_paths() -> dict[str, Any]:
    return {key: default for key in _path_keys() if (default := Settings.model_fields[key].default) is not None}


def _paths_below(base: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    paths = set(_path_keys())
    below = {
        key: base / value if key in paths and isinstance(value, str | Path) else value for key, value in values.items()
    }
    sink = below.get(_SINK)
    return {**below, _SINK: str(base / sink)} if isinstance(sink, str) and sink and not is_address(sink) else below


def _refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    known = {PREFIX + key.upper() for key in Settings.model_fields} | OTHER_VARIABLES
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known:
            raise ConfigInvalid(
                f"the environment sets `{visible(name)}`, which is no setting{_did_you_mean(name, known)}",
                hint="unset it; the settings stand in docs/configuration.md",
            )


def _did_you_mean(word: str, known: set[str]) -> str:
    near = get_close_matches(word, sorted(known), n=1)
    return f", did you mean `{near[0]}`" if near else ""


class _Unsafe(ValueError):
    """Two settings that are each fine and unsafe together."""

    def __init__(self, key: str, wrong: str, fix: str) -> None:
        super().__init__(wrong)
        self.wrong = f"`{key}`: {wrong}"
        self.fix = fix


def _explained(fault: ValidationError, file: Path | None) -> ConfigInvalid:
    first = fault.errors(include_url=False)[0]
    key = ".".join(map(str, first["loc"]))
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, _Unsafe):
        return ConfigInvalid(cause.wrong, hint=cause.fix)
    if first["type"] == "extra_forbidden":
        where = "this file" if file is None else f"`{visible(str(file))}`"
        suggestion = _did_you_mean(key, set(Settings.model_fields))
        return ConfigInvalid(
            f"`{visible(key)}` in {where} is no setting{suggestion}",
            hint="remove it; the settings stand in docs/configuration.md",
        )
    said = "…" if key in SECRETS else visible(str(first["input"])[:200])
    message = first["msg"].removeprefix("Value error, ")
    problem = message[:1].lower() + message[1:]
    variable = PREFIX + key.upper()
    place = f"`{variable}`" if variable in os.environ else f"`{key}`"
    return ConfigInvalid(f"{place} is `{said}`: {visible(problem)}", hint=f"correct {place}")
