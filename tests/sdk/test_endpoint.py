"""Where the key may go: one host, encrypted or on this machine, and nothing unclear."""

import pytest

from assent import Assent, ConfigurationError
from assent.core.credentials import Kind
from assent.sdk.endpoint import endpoint
from tests.sdk.standin import KEY, SERVICE_KEY


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8420", "http://localhost", "http://[::1]:1", "https://broker.example/x/"]
)
def test_loopback_and_tls_are_good(url: str) -> None:
    assert endpoint(url, KEY, kind=Kind.AGENT).key == KEY


@pytest.mark.parametrize(
    "url", ["http://broker.example", "http://10.0.0.1", "http://127.0.0.1.example", "http://128.0.0.1"]
)
def test_a_key_does_not_travel_in_the_clear_unless_somebody_says_why(url: str) -> None:
    with pytest.raises(ConfigurationError, match="unencrypted"):
        endpoint(url, KEY, kind=Kind.AGENT)
    assert not endpoint(url, KEY, kind=Kind.AGENT, unsafe_plain_http="mesh encrypts").tls


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1",
        "127.0.0.1:8420",
        "http://user:pass@127.0.0.1",
        "http://127.0.0.1@evil.example",
        "http://127.0.0.1\\@evil.example",
        "http://127.0.0.1/?q=1",
        "http://127.0.0.1/#x",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/\r\nx: y",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:0",
        "http://a..b",
        "http://[::1",
        "http://",
    ],
)
def test_an_unclear_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        endpoint(url, KEY, kind=Kind.AGENT, unsafe_plain_http="a test")


@pytest.mark.parametrize(
    "key", ["", "short", "aso_k1_" + "s" * 43, SERVICE_KEY, KEY + "\r\nx: y", KEY + " ", KEY + "ä"]
)
@pytest.mark.requirement("T22")
def test_what_is_no_agent_key_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        endpoint("http://127.0.0.1", key, kind=Kind.AGENT)
    assert not key or key not in str(caught.value)


def test_url_and_key_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSENT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("ASSENT_AGENT_KEY", KEY)
    assert endpoint(None, None, kind=Kind.AGENT).port == 1
    assert Assent().latest_checkpoint is None
    monkeypatch.delenv("ASSENT_AGENT_KEY")
    with pytest.raises(ConfigurationError, match="no agent key"):
        Assent()
    monkeypatch.delenv("ASSENT_URL")
    with pytest.raises(ConfigurationError, match="no broker"):
        Assent()


def test_neither_key_nor_attempt_shows_when_something_is_printed() -> None:
    where = endpoint("http://127.0.0.1", KEY, kind=Kind.AGENT)
    assert KEY not in repr(where)
    assert where.name != endpoint("http://127.0.0.1", KEY + "x", kind=Kind.AGENT).name
