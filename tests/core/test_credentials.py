"""Credentials: a token comes apart in one way only, and is worth something only while it is live."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.core.credentials import (
    OPERATOR_TOKEN_MAX_AGE,
    CredentialId,
    Kind,
    Presented,
    compose,
    is_live,
    revoke,
    take_apart,
)
from tests.core.samples import NOW, a_credential


@given(
    kind=st.sampled_from(list(Kind)),
    identifier=st.text("0123456789abcXYZ", min_size=1, max_size=30),
    secret=st.text("0123456789abc_-XYZ", min_size=1, max_size=60),
)
def test_a_token_comes_apart_as_it_was_composed(kind: Kind, identifier: str, secret: str) -> None:
    key = CredentialId(identifier)
    assert take_apart(compose(kind, key, secret)) == Presented(kind, key, secret)


@pytest.mark.parametrize(
    "token", ["", "asn_", "asn_id", "asn_id_", "asn__secret", "xyz_id_secret", "asn_ïd_s", "asn_id_s\u00e9"]
)
def test_anything_else_is_no_token(token: str) -> None:
    assert take_apart(token) is None


@pytest.mark.requirement("T9")
def test_a_credential_is_live_until_it_is_revoked_or_over() -> None:
    assert is_live(a_credential(), NOW)
    assert not is_live(a_credential(expires_at=NOW), NOW)
    revoked = revoke(a_credential(), by="eve", now=NOW)
    assert not is_live(revoked, NOW)
    assert revoke(revoked, by="sam", now=NOW + timedelta(days=1)) is revoked


def test_an_operators_token_ends_after_ninety_days() -> None:
    token = a_credential(Kind.OPERATOR)
    assert is_live(token, NOW + OPERATOR_TOKEN_MAX_AGE - timedelta(seconds=1))
    assert not is_live(token, NOW + OPERATOR_TOKEN_MAX_AGE)
    assert is_live(a_credential(Kind.SERVICE), NOW + OPERATOR_TOKEN_MAX_AGE)
