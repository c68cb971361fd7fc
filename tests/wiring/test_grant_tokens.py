"""Grant tokens: only what this broker signed opens, in exactly the form in which it was signed."""

from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.core.canonical import Json
from assent.core.handovers import KeyUse
from assent.stores.keys import Keys
from assent.wiring.grant_tokens import MAX_TOKEN_CHARACTERS, grant_opener

KEYS = Keys.generate()
OPEN = grant_opener(KEYS.verifier_key(KeyUse.GRANT, "").public_key)
CLAIMS: dict[str, Json] = {"jti": "grt_1", "aud": "files.write", "exp": 2_000_000_000}
TOKEN = KEYS.sign_grant(CLAIMS)


def encoded(text: str) -> str:
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def test_a_token_of_ours_gives_its_claims() -> None:
    assert OPEN(TOKEN) == CLAIMS


@pytest.mark.requirement("P4", "T1")
@given(st.integers(0, len(TOKEN) - 1), st.characters(codec="ascii"))
def test_a_changed_character_opens_nothing_else(place: int, character: str) -> None:
    changed = TOKEN[:place] + character + TOKEN[place + 1 :]
    # The last character of base64 has bits that mean nothing: another spelling of the same token, the same claims.
    assert OPEN(changed) in (None, CLAIMS)
    if changed.rpartition(".")[0] != TOKEN.rpartition(".")[0]:
        assert OPEN(changed) is None


@pytest.mark.requirement("T24")
def test_a_token_of_another_broker_opens_nothing() -> None:
    assert OPEN(Keys.generate().sign_grant(CLAIMS)) is None


@pytest.mark.parametrize("algorithm", ["none", "HS256", "EdDSA"])
def test_a_header_of_somebodys_own_opens_nothing(algorithm: str) -> None:
    header = encoded(f'{{"alg":"{algorithm}","typ":"assent-grant+jwt"}}')
    assert OPEN(f"{header}.{TOKEN.split('.', 1)[1]}") is None
    assert OPEN(f"{header}.{TOKEN.split('.')[1]}.") is None


@given(st.text())
def test_any_text_is_answered_and_none_opens(text: str) -> None:
    assert OPEN(text) is None
    assert OPEN(f"{TOKEN.split('.')[0]}.{text}.{text}") is None


def test_a_token_that_is_too_long_is_not_looked_at() -> None:
    assert OPEN(KEYS.sign_grant({"jti": "x" * MAX_TOKEN_CHARACTERS})) is None
