"""Settings: what they default to, who wins, and how a wrong one stops the process with its key, fault and fix."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from assent.config import OTHER_VARIABLES, Settings, WebhookKind, find_file, load_settings, require_private
from assent.core.errors import ConfigInvalid
from assent.core.notes import VerifierKey

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "configuration.md").read_text()


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*OTHER_VARIABLES, *(f"ASSENT_{key.upper()}" for key in Settings.model_fields)]:
        monkeypatch.delenv(name, raising=False)


def written(folder: Path, text: str) -> Path:
    file = folder / "assent.toml"
    file.write_text(text)
    return file


def refusal(folder: Path, text: str) -> tuple[str, str]:
    with pytest.raises(ConfigInvalid) as refused:
        load_settings(written(folder, text))
    return refused.value.message, refused.value.hint or ""


def test_the_defaults_serve_one_machine(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, ""))
    assert (settings.host, settings.port) == ("127.0.0.1", 8420)
    assert settings.is_loopback


def test_a_path_is_relative_to_the_file_that_names_it(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, 'ledger_file = "state/log.db"\nkeys_directory = "/etc/keys"'))
    assert settings.ledger_file == tmp_path / "state" / "log.db"
    assert settings.keys_directory == Path("/etc/keys")
    assert settings.policy_directory == tmp_path / "policies"


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSENT_PORT", "9000")
    monkeypatch.setenv("ASSENT_LEDGER_FILE", "elsewhere.db")
    settings = load_settings(written(tmp_path, "port = 8000\nlease_seconds = 10"))
    assert (settings.port, settings.lease_seconds) == (9000, 10)
    assert settings.ledger_file == Path("elsewhere.db")


def test_the_command_line_wins_over_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSENT_PORT", "9000")
    assert load_settings(written(tmp_path, "port = 8000"), port=0).port == 0


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, ""))
    with pytest.raises(ValidationError):
        settings.port = 1


RELEASE_KEY = VerifierKey(name="acme/ci", public_key=bytes(32)).encode()
CONFIRM = 'activation = "confirm"\n'


def test_addresses_of_a_proxy_stand_in_the_file_or_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = 'behind_proxy = true\nproxy_addresses = ["10.0.4.0/24"]'
    assert load_settings(written(tmp_path, named)).proxy_addresses == ("10.0.4.0/24",)
    monkeypatch.setenv("ASSENT_PROXY_ADDRESSES", "10.0.5.7/32 fd00::1")
    assert load_settings(written(tmp_path, named)).proxy_addresses == ("10.0.5.7", "fd00::1")


def test_release_keys_stand_in_the_file_or_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = f'{CONFIRM}log_origin = "assent/acme"\nrelease_keys = ["{RELEASE_KEY}"]'
    assert load_settings(written(tmp_path, named)).release_keys == (RELEASE_KEY,)
    second = VerifierKey(name="acme/ci", public_key=b"1" * 32).encode()
    monkeypatch.setenv("ASSENT_RELEASE_KEYS", f"{RELEASE_KEY} {second}")
    assert load_settings(written(tmp_path, named)).release_keys == (RELEASE_KEY, second)


MAIL = 'smtp_host = "mail.example"\nemail_from = "assent@example.com"\n'
BAD: list[tuple[str, str, str]] = [
    # what is written, what the message must say, what the fix must say
    ("prt = 1", r"`prt` .* no setting, did you mean `port`", "remove it"),
    ("[server]\nport = 1", r"`server` .* no setting", "remove it"),
    ("port = 65536", r"`port` is `65536`: .*65535", "correct `port`"),
    ("port = true", r"`port` is `True`: true and false are no value", "correct `port`"),
    ('port = "many"', r"`port` is `many`", "correct `port`"),
    ("lease_seconds = 0", r"`lease_seconds` is `0`: .*1", "correct `lease_seconds`"),
    ("tick_seconds = 1e9", r"`tick_seconds` is .*60", "correct `tick_seconds`"),
    ("ledger_file = 3", r"`ledger_file` is `3`", "correct `ledger_file`"),
    ('log_format = "xml"', r"`log_format` is `xml`: .*'auto', 'json' or 'pretty'", "correct `log_format`"),
    ('public_url = "here"', r"`public_url` is `here`: write it as https", "correct `public_url`"),
    ('public_url = "https://me:pw@host"', r"`public_url` is .*write it as https", "correct `public_url`"),
    ('log_origin = "my log"', r"`log_origin` is `my log`: write it as a name", "correct `log_origin`"),
    ('host = "0.0.0.0"', r"`host`: `0.0.0.0` can be reached from other machines", "behind_proxy = true"),
    ('host = "broker.example"', r"`host`: `broker.example` can be reached", "tls_certificate_file"),
    ('behind_proxy = true\nproxy_addresses = ["proxy"]', r"`proxy_addresses` is .*write addresses, or net", "correct"),
    (
        'behind_proxy = true\nproxy_addresses = ["10.0.0.1/24"]',
        r"`proxy_addresses` is .*without bits behind",
        "correct",
    ),
    ('behind_proxy = true\nproxy_addresses = ["0.0.0.0/0"]', r"`proxy_addresses` is .*that is everybody", "correct"),
    ('proxy_addresses = ["10.0.0.1"]', r"`proxy_addresses`: these are believed who calls", "set `behind_proxy = true`"),
    ('tls_key_file = "key.pem"', r"`tls_certificate_file`: TLS needs a certificate and its key", "or neither"),
    ('tls_certificate_file = "c.pem"', r"`tls_key_file`: TLS needs a certificate and its key", "or neither"),
    ('release_keys = ["x"]', r"`release_keys` is .*: .*write each as `assent keys release`", "correct `release_keys`"),
    ("release_keys = []", r"`release_keys` is .*at least 1", "correct `release_keys`"),
    (f'release_keys = ["{RELEASE_KEY}"]', r"`release_keys`: with `activation = \"auto\"` every", "confirm"),
    (f'{CONFIRM}release_keys = ["{RELEASE_KEY}"]', r"`release_keys`: a release names the log", "set `log_origin`"),
    (f'{CONFIRM}release_keys = ["{RELEASE_KEY}", "{RELEASE_KEY}"]', r"one key stands there twice", "release_keys"),
    (
        f'{CONFIRM}release_keys = ["{RELEASE_KEY.replace("acme", "acne")}"]',
        r"`release_keys` is .*key id",
        "correct `release_keys`",
    ),
    ('smtp_host = "m.example"', r"`smtp_host`: an e-mail needs somebody whom it is from", "set `email_from`"),
    ('smtp_host = "m.example"\nemail_from = "me"', r"`email_from` is `me`: write it as an address", "correct"),
    ('oidc_issuer = "https://id.example"', r"`oidc_issuer`: single sign-on needs an issuer, an id", "or none"),
    ('oidc_issuer = "http://id.example"', r"`oidc_issuer` is .*write it as https", "correct `oidc_issuer`"),
    ('oidc_client_secret = "x"', r"`oidc_client_secret` stands in", "ASSENT_OIDC_CLIENT_SECRET"),
    ('ledger_url = "mysql://a/b"', r"`ledger_url`: write it as postgresql://", "correct `ledger_url`"),
    ('ledger_url = "postgresql://a@/"', r"`ledger_url`: write it as postgresql://", "correct `ledger_url`"),
    ('ledger_url = "postgresql://a:pw@/b"', r"`ledger_url`: a password stands in it", "correct `ledger_url`"),
    ('ledger_url = "postgresql://a@/b?password=pw"', r"`ledger_url`: a password stands in it", "correct"),
    ('ledger_url = "postgresql://a@db.example/b"', r"`ledger_url`: it leads to another machine", "correct"),
    ('ledger_url = "postgresql://a@/b?host=db.example"', r"`ledger_url`: it leads to another machine", "correct"),
    ('ledger_password_file = "p"', r"`ledger_password`: there is no database", "set `ledger_url`"),
    ('redis_url = "http://a"', r"`redis_url`: write it as rediss://", "correct `redis_url`"),
    ('redis_url = "rediss://a:pw@b"', r"`redis_url`: a password stands in it", "correct `redis_url`"),
    ('redis_url = "redis://redis.example"', r"`redis_url`: it leads to another machine in the clear", "rediss://"),
    ('redis_url = "redis+cluster://127.0.0.1,b"', r"`redis_url`: it leads to another machine", "rediss://"),
    ('redis_password_file = "p"', r"`redis_url`: there is a password or a CA", "set it"),
    ('redis_ca_file = "p"', r"`redis_url`: there is a password or a CA", "set it"),
    (f'{MAIL}smtp_user = "a"', r"`smtp_user`: a user has a password", "set both"),
    (f'{MAIL}smtp_password_file = "p"', r"`smtp_user`: a user has a password", "set both"),
    (f'{MAIL}smtp_security = "none"', r"`smtp_security`: who asks for what would travel in the clear", "starttls"),
    ('[webhooks.x]\nurl = "http://other/"\nsecret_file = "s"', r"`webhooks.x.url` is .*https", "correct"),
    ('[webhooks.x]\nurl = "https://other/"', r"`webhooks.x.secret_file` is .*required", "correct"),
    ('[webhooks."x y"]\nurl = "https://other/"\nsecret_file = "s"', r"`x y` is no name", "correct `webhooks`"),
    ('[webhooks.x]\nurl = "https://o/"\nsecret_file = "s"\nkid = 1', r"`webhooks.x.kid` .* is no setting", "remove"),
    ("port = ", r"is not TOML: invalid value", "correct it at that place"),
    ("port = 1\nport = 2", r"is not TOML", "correct it at that place"),
    ("x" * 70_000, r"is longer than 65536 bytes", ""),
]


@pytest.mark.requirement("P1")
@pytest.mark.parametrize(("text", "message", "fix"), BAD, ids=[text[:40] for text, _, _ in BAD])
def test_a_wrong_setting_is_told_with_its_key_and_its_fix(tmp_path: Path, text: str, message: str, fix: str) -> None:
    said, hint = refusal(tmp_path, text)
    assert re.search(message, said), said
    assert fix in hint


@pytest.mark.parametrize(
    "text",
    [
        'host = "0.0.0.0"\nbehind_proxy = true',
        'host = "::"\ntls_certificate_file = "c.pem"\ntls_key_file = "k.pem"',
        'host = "::1"',
        'host = "localhost"',
        'host = "127.8.9.1"',
    ],
)
def test_a_safe_way_to_listen_is_taken(tmp_path: Path, text: str) -> None:
    assert load_settings(written(tmp_path, text)).port == 8420


def test_a_misspelt_variable_stops_with_the_one_that_was_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSENT_BEHIND_PROXI", "1")
    said, hint = refusal(tmp_path, "")
    assert "`ASSENT_BEHIND_PROXI`, which is no setting, did you mean `ASSENT_BEHIND_PROXY`" in said
    assert "unset it" in hint


def test_a_wrong_variable_is_told_by_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSENT_PORT", "-1")
    said, hint = refusal(tmp_path, "")
    assert said.startswith("`ASSENT_PORT` is `-1`")
    assert hint == "correct `ASSENT_PORT`"


def test_an_invisible_character_in_a_value_is_told_visibly(tmp_path: Path) -> None:
    said, _ = refusal(tmp_path, 'log_level = "info\\u202e"')
    assert r"info\u{202e}" in said


def test_variables_of_clients_and_tests_are_no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OTHER_VARIABLES:
        monkeypatch.setenv(name, "something")
    assert load_settings(written(tmp_path, "")).port == 8420


def test_a_configuration_that_was_named_must_be_there(tmp_path: Path) -> None:
    assert find_file(None, tmp_path) is None
    with pytest.raises(ConfigInvalid, match="there is no file"):
        find_file(tmp_path / "assent.toml", tmp_path)
    assert find_file(None, written(tmp_path, "").parent) == tmp_path / "assent.toml"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_secret_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "key.pem"
    file.touch()
    file.chmod(mode)
    with pytest.raises(ConfigInvalid, match="can be read by others") as refused:
        require_private(file, "tls_key_file")
    assert "chmod 600" in (refused.value.hint or "")


def test_a_secret_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"`tls_key_file`: .* cannot be read"):
        require_private(tmp_path / "key.pem", "tls_key_file")


@pytest.mark.parametrize("key", Settings.model_fields)
def test_every_setting_stands_on_its_page_with_its_default(key: str) -> None:
    default = Settings.model_fields[key].default
    written = " ".join(default) if isinstance(default, tuple) else str(default)
    shown = "–" if default is None or default == {} else written.lower() if isinstance(default, bool) else written
    assert re.search(rf"^\| `{key}` \| `?{re.escape(shown)}`? \|", PAGE, re.MULTILINE), f"{key}, default {shown}"


def test_the_page_names_no_setting_that_does_not_exist() -> None:
    named = re.findall(r"^\| `([a-z_]+)` \|", PAGE, re.MULTILINE)
    assert [key for key in named if key not in Settings.model_fields] == []


@pytest.mark.parametrize("key", Settings.model_fields)
def test_every_number_has_its_unit_or_its_thing_in_its_name_and_a_bound(key: str) -> None:
    field = Settings.model_fields[key]
    if field.annotation not in {int, float}:
        return
    assert key.endswith(("port", "_seconds", "_bytes", "_connections")) or "_per_" in key
    assert {type(bound).__name__ for bound in field.metadata} >= {"Ge", "Le"}


def test_webhooks_lie_below_the_file_and_their_secrets_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = '[webhooks.pager]\nurl = "https://pager.example/v2"\nkind = "pagerduty"\nsecret_file = "keys/pager"\n'
    pager = load_settings(written(tmp_path, named)).webhooks["pager"]
    assert (pager.kind, pager.secret_file) == (WebhookKind.PAGERDUTY, tmp_path / "keys" / "pager")
    monkeypatch.setenv("ASSENT_WEBHOOKS", '{"chat": {"url": "https://chat.example/", "secret_file": "here"}}')
    chat = load_settings(written(tmp_path, "")).webhooks["chat"]
    assert (chat.kind, chat.secret_file) == (WebhookKind.SIGNED, Path("here"))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://a@/b",
        "postgres://a@/b?host=/run/postgresql",
        "postgresql://a@127.0.0.1:5433/b",
        "postgresql://a@db.example/b?sslmode=verify-full",
    ],
)
def test_a_database_here_or_one_that_is_checked_is_taken(tmp_path: Path, url: str) -> None:
    settings = load_settings(written(tmp_path, f'ledger_url = "{url}"'))
    assert settings.ledger_name == url.partition("?")[0]


@pytest.mark.requirement("P9")
def test_a_password_that_stands_in_a_database_is_not_repeated(tmp_path: Path) -> None:
    said, hint = refusal(tmp_path, 'ledger_url = "postgresql://a:kettle@/b"')
    assert "kettle" not in said + str(hint)


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1/1", "redis://localhost:7000", "unix:///run/r", "rediss://r.example"]
)
def test_a_redis_here_or_one_that_is_checked_is_taken(tmp_path: Path, url: str) -> None:
    assert load_settings(written(tmp_path, f'redis_url = "{url}"\nredis_ca_file = "ca.pem"')).redis_url == url


@pytest.mark.requirement("P9")
def test_a_password_that_stands_in_a_redis_is_not_repeated(tmp_path: Path) -> None:
    said, hint = refusal(tmp_path, 'redis_url = "rediss://a:kettle@b"')
    assert "kettle" not in said + str(hint)
