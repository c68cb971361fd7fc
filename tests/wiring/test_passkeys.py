"""Where browsers use passkeys, by the address of the console alone; and that no bytes of a stranger raise anything."""

from importlib.util import find_spec

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.core.passkey_forms import Assertion, Attestation, Unproven
from assent.wiring import passkeys
from assent.wiring.passkeys import CheckedHere, passkeys_at, why_no_site

HERE = CheckedHere("console.test", "http://console.test")


@pytest.mark.parametrize(
    ("url", "site", "origin"),
    [
        ("http://localhost:8420", "localhost", "http://localhost:8420"),
        ("https://assent.example.com", "assent.example.com", "https://assent.example.com"),
        ("https://Assent.Example.com:443/below", "assent.example.com", "https://assent.example.com"),
        ("https://assent.example.com:8443", "assent.example.com", "https://assent.example.com:8443"),
        ("http://assent.localhost:80", "assent.localhost", "http://assent.localhost"),
    ],
)
def test_the_site_and_the_origin_are_those_of_the_address(url: str, site: str, origin: str) -> None:
    assert passkeys_at(url) == CheckedHere(site, origin)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1:8420", "`127.0.0.1` is none"),
        ("https://10.0.0.5", "`10.0.0.5` is none"),
        ("https://[::1]:8420", "`::1` is none"),
        ("http://assent.example.com", "HTTPS alone"),
        ("http://localhost.example.com", "HTTPS alone"),
    ],
)
def test_where_browsers_use_none_it_is_said_why(url: str, why: str) -> None:
    assert passkeys_at(url) is None
    assert why in str(why_no_site(url))


def test_the_library_is_looked_for_and_not_loaded() -> None:
    assert passkeys.is_installed() is (find_spec("webauthn") is not None)
    HERE.load()


SOME = st.binary(max_size=300)
DATA = st.one_of(SOME, st.binary(max_size=200).map(lambda more: bytes(32) + b"\xc5" + bytes(4) + more))


@pytest.mark.requirement("T12", "T17")
@given(SOME, DATA, SOME, SOME)
def test_whatever_the_bytes_are_they_prove_nothing_and_raise_nothing(
    client: bytes, data: bytes, signature: bytes, key: bytes
) -> None:
    shown = Assertion(credential=b"c", client_data=client, authenticator_data=data, signature=signature)
    assert isinstance(HERE.asserted(shown, b"x" * 32, key), Unproven)
    made = Attestation(credential=b"c", client_data=client, attestation_object=data)
    assert isinstance(HERE.attested(made, b"x" * 32), Unproven)
