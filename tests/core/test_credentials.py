"""Credentials: a token comes apart in one way only, and is worth something only while it is live."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.core.credentials import (
    OPERATOR_TOKEN_MAX_AGE,
    OPERATOR_TOKEN_RENEW_BEFORE,
    Credential,
    CredentialId,
    Kind,
    Presented,
    Standing,
    compose,
    ends_at,
    is_live,
    is_old,
    revoke,
    standing,
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


def test_a_link_is_over_after_two_minutes_and_a_session_after_eight_hours() -> None:
    for kind, longest in ((Kind.LINK, timedelta(minutes=2)), (Kind.SESSION, timedelta(hours=8))):
        assert is_live(a_credential(kind), NOW + longest - timedelta(microseconds=1))
        assert not is_live(a_credential(kind, expires_at=NOW + timedelta(days=9)), NOW + longest)


def test_an_operators_token_ends_after_ninety_days() -> None:
    token = a_credential(Kind.OPERATOR)
    assert is_live(token, NOW + OPERATOR_TOKEN_MAX_AGE - timedelta(seconds=1))
    assert not is_live(token, NOW + OPERATOR_TOKEN_MAX_AGE)
    assert is_live(a_credential(Kind.SERVICE), NOW + OPERATOR_TOKEN_MAX_AGE)


SOON, LATE = NOW + timedelta(days=1), NOW + timedelta(days=300)


@pytest.mark.parametrize(
    ("credential", "end"),
    [
        (a_credential(), None),
        (a_credential(expires_at=LATE), LATE),
        (a_credential(Kind.SERVICE), None),
        (a_credential(Kind.OPERATOR), NOW + OPERATOR_TOKEN_MAX_AGE),
        (a_credential(Kind.OPERATOR, expires_at=SOON), SOON),
        (a_credential(Kind.OPERATOR, expires_at=LATE), NOW + OPERATOR_TOKEN_MAX_AGE),
    ],
)
def test_an_operators_token_ends_even_when_nothing_says_when(credential: Credential, end: datetime | None) -> None:
    assert ends_at(credential) == end


def test_why_a_credential_is_worth_nothing_is_told_apart() -> None:
    over = a_credential(expires_at=SOON)
    assert [standing(over, SOON - timedelta(seconds=1)), standing(over, SOON)] == [Standing.LIVE, Standing.EXPIRED]
    assert standing(revoke(over, by="eve", now=NOW), LATE) is Standing.REVOKED


def test_an_operators_token_is_old_two_weeks_before_it_ends() -> None:
    token, from_here = a_credential(Kind.OPERATOR), NOW + OPERATOR_TOKEN_MAX_AGE - OPERATOR_TOKEN_RENEW_BEFORE
    assert [is_old(token, from_here - timedelta(seconds=1)), is_old(token, from_here)] == [False, True]
    assert not is_old(a_credential(expires_at=SOON), SOON)
