"""The settings: every key with its default and bounds, and the combinations that are refused."""

from pathlib import Path
from typing import Annotated, ClassVar, Final, Self

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from assent.config.forms import (
    ISSUER,
    LOOPBACK,
    NAME,
    ON_THIS_MACHINE,
    ORIGIN,
    SENDER,
    SLACK_CHANNEL,
    TO_A_WEBHOOK,
    URL,
    WRITE_WEBHOOK,
    LogFormat,
    LogLevel,
    MailSecurity,
    WebhookSettings,
    is_address,
    is_loopback,
    network,
    refuse_unsafe_database,
)
from assent.config.redis_places import RedisPlace
from assent.config.secrets import secret_in
from assent.core.characters import visible
from assent.core.notes import NoteInvalid, parse_verifier_key
from assent.core.privileges import Activation

PREFIX: Final = "ASSENT_"
# What is secret, and may stand in the environment or, as `<key>_file`, in a file that only its owner reads.
SECRETS: Final = (
    "slack_bot_token",
    "slack_app_token",
    "slack_signing_secret",
    "alert_webhook_secret",
    "smtp_password",
    "oidc_client_secret",
    "ledger_password",
    "redis_password",
)
SLACK_API: Final = "https://slack.com/api/"
MAX_RELEASE_KEYS: Final = 16
LOG_ORIGIN: Final = "assent/local"
MAX_WEBHOOKS: Final = 16
MAX_PROXIES: Final = 16


class Unsafe(ValueError):
    """Two settings that are each fine and unsafe together."""

    def __init__(self, key: str, wrong: str, fix: str) -> None:
        super().__init__(wrong)
        self.wrong = f"`{key}`: {wrong}"
        self.fix = fix


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
    proxy_addresses: Annotated[tuple[str, ...], NoDecode, Field(min_length=1, max_length=MAX_PROXIES)] = LOOPBACK
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
    ledger_url: str | None = None
    ledger_password: SecretStr | None = None
    ledger_password_file: Path | None = None
    redis_url: str | None = None
    redis_password: SecretStr | None = None
    redis_password_file: Path | None = None
    redis_ca_file: Path | None = None
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

    # who is told of approvals besides Slack; routes name these as `webhook:NAME` and `email:GROUP`
    webhooks: Annotated[dict[str, WebhookSettings], Field(max_length=MAX_WEBHOOKS)] = {}
    smtp_host: str | None = None
    smtp_port: Annotated[int, Field(ge=1, le=65_535)] = 587
    smtp_security: MailSecurity = MailSecurity.STARTTLS
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    smtp_password_file: Path | None = None
    email_from: str | None = None

    # who vouches for people at the console
    oidc_issuer: str | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: SecretStr | None = None
    oidc_client_secret_file: Path | None = None

    # what others see
    log_format: LogFormat = LogFormat.AUTO
    log_level: LogLevel = LogLevel.INFO
    public_log: bool = False
    otel_endpoint: str | None = None

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
        if value is not None and not URL.fullmatch(value):
            raise ValueError("write it as https://HOST[:PORT][/PATH]")
        return value

    @field_validator("proxy_addresses", mode="before")
    @classmethod
    def _addresses_apart(cls, value: object) -> object:
        return tuple(value.split()) if isinstance(value, str) else value

    @field_validator("proxy_addresses")
    @classmethod
    def _are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(network, value))

    @field_validator("alert_webhook_url")
    @classmethod
    def _is_safe_to_tell(cls, value: str | None) -> str | None:
        if value is not None and not TO_A_WEBHOOK.fullmatch(value):
            raise ValueError(WRITE_WEBHOOK)
        return value

    @field_validator("otel_endpoint")
    @classmethod
    def _is_a_collector(cls, value: str | None) -> str | None:
        if value is not None and not ISSUER.fullmatch(value):
            raise ValueError("write it as https://HOST[:PORT][/PATH]; plain http only to this machine")
        return value

    @field_validator("oidc_issuer")
    @classmethod
    def _is_an_issuer(cls, value: str | None) -> str | None:
        if value is not None and not ISSUER.fullmatch(value):
            raise ValueError("write it as https://HOST[:PORT][/PATH]; plain http only to this machine")
        return value

    @field_validator("webhooks")
    @classmethod
    def _are_names(cls, value: dict[str, WebhookSettings]) -> dict[str, WebhookSettings]:
        for name in value:
            if not NAME.fullmatch(name):
                raise ValueError(f"`{visible(name)}` is no name: use letters, digits, `_`, `.` and `-`")
        return value

    @field_validator("email_from")
    @classmethod
    def _is_a_sender(cls, value: str | None) -> str | None:
        if value is not None and not SENDER.fullmatch(value):
            raise ValueError("write it as an address such as assent@example.com")
        return value

    @field_validator("checkpoint_sink")
    @classmethod
    def _is_a_place(cls, value: str | None) -> str | None:
        if value is not None and (not value or is_address(value)) and not TO_A_WEBHOOK.fullmatch(value):
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
        if not ORIGIN.fullmatch(value):
            raise ValueError("write it as a name without spaces and `+`, such as assent/example.com")
        return value

    @field_validator("slack_alert_channel")
    @classmethod
    def _is_a_slack_channel(cls, value: str | None) -> str | None:
        if value is not None and not SLACK_CHANNEL.fullmatch(value):
            raise ValueError("write the id of the channel, such as C0PROD; it stands at the foot of its details")
        return value

    @field_validator("slack_api_url")
    @classmethod
    def _is_slack(cls, value: str) -> str:
        if value != SLACK_API and not ON_THIS_MACHINE.fullmatch(value):
            raise ValueError(f"the bot token goes there: it is `{SLACK_API}`, or a stand-in on this machine")
        return value

    @model_validator(mode="after")
    def _secrets_once(self) -> Self:
        for key in SECRETS:
            if getattr(self, key) is not None and getattr(self, f"{key}_file") is not None:
                raise Unsafe(key, f"`{key}_file` is set as well, and the two may differ", "set one of them")
        return self

    @model_validator(mode="after")
    def _is_a_database(self) -> Self:
        if self.ledger_url is not None:
            try:
                refuse_unsafe_database(self.ledger_url)
            except ValueError as fault:
                # What was written is not shown: a password may stand in it.
                raise Unsafe("ledger_url", str(fault), "correct `ledger_url`") from None
        return self

    @model_validator(mode="after")
    def _password_for_somebody(self) -> Self:
        if self.ledger_url is None and (self.ledger_password is not None or self.ledger_password_file is not None):
            raise Unsafe("ledger_password", "there is no database that it is for", "set `ledger_url`, or remove it")
        return self

    @model_validator(mode="after")
    def _is_a_safe_redis(self) -> Self:
        if self.redis_url is not None:
            try:
                place = RedisPlace.of(self.redis_url)
            except ValueError as fault:
                raise Unsafe("redis_url", str(fault), "correct `redis_url`") from None
            if not place.has_tls and not all(is_loopback(host) for host, _ in place.hosts):
                wrong = "it leads to another machine in the clear, and anybody in between could count for it"
                raise Unsafe("redis_url", wrong, "write `rediss://` for TLS, with `redis_ca_file` for a CA of your own")
        return self

    @model_validator(mode="after")
    def _redis_for_somebody(self) -> Self:
        given = (self.redis_password, self.redis_password_file, self.redis_ca_file)
        if self.redis_url is None and any(one is not None for one in given):
            raise Unsafe("redis_url", "there is a password or a CA for a Redis, and no Redis", "set it, or remove both")
        return self

    @model_validator(mode="after")
    def _releases_mean_something(self) -> Self:
        if self.release_keys is not None and self.activation is Activation.AUTO:
            raise Unsafe(
                "release_keys",
                'with `activation = "auto"` every sound version serves without anybody\'s word',
                'set `activation = "confirm"`, or remove the keys',
            )
        if self.release_keys is not None and self.log_origin == LOG_ORIGIN:
            raise Unsafe(
                "release_keys",
                f"a release names the log that it is for, and `{LOG_ORIGIN}` is every log that nobody named",
                "set `log_origin` before the first start; a broker that has begun without one confirms by hand",
            )
        return self

    @model_validator(mode="after")
    def _signs_what_it_tells(self) -> Self:
        has_secret = self.alert_webhook_secret is not None or self.alert_webhook_secret_file is not None
        if self.alert_webhook_url is not None and not has_secret:
            raise Unsafe(
                "alert_webhook_url",
                "without a secret nobody there could tell an alert of this broker from anybody's",
                "set `alert_webhook_secret_file`, and give the other side the same secret",
            )
        return self

    @model_validator(mode="after")
    def _writes_safely(self) -> Self:
        if self.smtp_host is None:
            return self
        if self.email_from is None:
            raise Unsafe("smtp_host", "an e-mail needs somebody whom it is from", "set `email_from`")
        has_password = self.smtp_password is not None or self.smtp_password_file is not None
        if (self.smtp_user is not None) != has_password:
            raise Unsafe("smtp_user", "a user has a password, and a password a user", "set both, or neither")
        if self.smtp_security is MailSecurity.NONE and not is_loopback(self.smtp_host):
            raise Unsafe(
                "smtp_security",
                "who asks for what would travel in the clear",
                "use `starttls` or `tls`; `none` is for a mail server on this machine",
            )
        return self

    @model_validator(mode="after")
    def _is_known_to_its_issuer(self) -> Self:
        has_secret = self.oidc_client_secret is not None or self.oidc_client_secret_file is not None
        given = [self.oidc_issuer is not None, self.oidc_client_id is not None, has_secret]
        if any(given) and not all(given):
            names = "`oidc_issuer`, `oidc_client_id` and `oidc_client_secret_file`"
            raise Unsafe("oidc_issuer", "single sign-on needs an issuer, an id and a secret", f"set {names}, or none")
        return self

    @model_validator(mode="after")
    def _listens_safely(self) -> Self:
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            missing = "tls_key_file" if self.tls_key_file is None else "tls_certificate_file"
            raise Unsafe(missing, "TLS needs a certificate and its key", f"set `{missing}` as well, or neither")
        if self.proxy_addresses != LOOPBACK and not self.behind_proxy:
            wrong = "these are believed who calls, and no proxy stands in front of the broker"
            raise Unsafe("proxy_addresses", wrong, "set `behind_proxy = true`, or remove it")
        if not self.is_loopback and not self.has_tls and not self.behind_proxy:
            raise Unsafe(
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
        return secret_in(file, f"{key}_file")

    @property
    def ledger_name(self) -> str:
        """What people call the ledger: its file, or its database without what the URL says behind it."""
        return str(self.ledger_file) if self.ledger_url is None else self.ledger_url.partition("?")[0]

    @property
    def is_beside_others(self) -> bool:
        """Whether other brokers may serve the same ledger: in a database, and all of them count in one Redis."""
        return self.ledger_url is not None and self.redis_url is not None

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return is_loopback(self.host)

    @property
    def has_tls(self) -> bool:
        """Whether the broker itself speaks TLS."""
        return self.tls_certificate_file is not None
