"""By which address people reach the console: one name in every link, because cookies and passkeys are bound to it."""

from typing import Any

import pytest

from assent.config import Settings
from assent.serving.listening import console_url_of
from assent.wiring.passkeys import passkeys_at

OIDC = {"oidc_issuer": "https://issuer.example", "oidc_client_id": "c", "oidc_client_secret": "s"}
TLS = {"tls_certificate_file": "/c.pem", "tls_key_file": "/k.pem"}


@pytest.mark.requirement("T17")
@pytest.mark.parametrize(
    ("given", "url", "takes_passkeys"),
    [
        ({}, "http://localhost:8420", True),
        ({"host": "localhost"}, "http://localhost:8420", True),
        ({"host": "::1"}, "http://localhost:8420", True),
        ({"host": "127.0.0.2"}, "http://127.0.0.2:8420", False),
        (OIDC, "http://127.0.0.1:8420", False),
        ({**OIDC, "public_url": "http://localhost:8420"}, "http://localhost:8420", True),
        ({"behind_proxy": True, "public_url": "https://assent.example.com/"}, "https://assent.example.com", True),
        ({"behind_proxy": True, "public_url": "https://10.0.0.5"}, "https://10.0.0.5", False),
        ({**TLS, "host": "assent.example.com"}, "https://assent.example.com:8420", True),
        ({**TLS, "host": "0.0.0.0"}, "https://0.0.0.0:8420", False),  # noqa: S104  # where it listens is data here
    ],
    ids=str,
)
def test_links_to_the_console_say_one_name(given: dict[str, Any], url: str, takes_passkeys: bool) -> None:
    assert console_url_of(Settings(**given), 8420) == url
    assert (passkeys_at(url) is not None) is takes_passkeys
