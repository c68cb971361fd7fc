"""What a challenge is made of never changes its form; counts go on; what is written is read back."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.core.credentials import CredentialId
from assent.core.operators import OperatorId
from assent.core.passkeys import (
    About,
    Challenge,
    Passkey,
    PasskeyId,
    Purpose,
    answered,
    ask,
    bytes_of,
    challenge_id,
    decoded,
    encoded,
    signed_for,
    steps_back,
    suspect,
    why_not_answered,
)

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
ABOUT = About(purpose=Purpose.VOTE, id="apr_1", action="act_1", digest="d" * 64, vote="approve")
SESSION = CredentialId("s1")


def asked(about: About = ABOUT, old: Challenge | None = None, nonce: bytes = b"n" * 32) -> Challenge:
    return ask(old, about, operator=OperatorId("eve"), session=SESSION, nonce=nonce, now=T0)


KEY = Passkey(
    id=PasskeyId("pky_1"),
    credential=b"c",
    operator=OperatorId("eve"),
    public_key=b"k",
    handle=b"h",
    sign_count=7,
    name="phone",
    added_at=T0,
    session=SESSION,
    vouched_by="link",
)


@pytest.mark.requirement("P8")
def test_the_challenge_of_old_records_comes_out_the_same() -> None:
    assert bytes_of(signed_for(asked())).hex() == ("a1ea33de4705c840a11a54e6beb141430de2c542baaf9ddcfc1f3a16022b8bf9")


@pytest.mark.requirement("T1", "T26")
def test_whatever_a_challenge_is_for_makes_another_one_of_it() -> None:
    base = asked()
    others = [
        replace(base, operator=OperatorId("sam")),
        replace(base, session=CredentialId("s2")),
        replace(base, purpose=Purpose.REVOKE),
        replace(base, about="apr_2"),
        replace(base, action="act_2"),
        replace(base, digest="e" * 64),
        replace(base, vote="deny"),
        replace(base, nonce=b"m" * 32),
        replace(base, until=base.until + timedelta(microseconds=1)),
    ]
    made = {bytes_of(signed_for(one)) for one in (base, *others)}
    assert len(made) == 1 + len(others)


def test_a_session_has_one_challenge_for_one_thing() -> None:
    again = asked(old=asked(), nonce=b"m" * 32)
    assert (again.id, again.revision, again.answered) == (challenge_id(SESSION, ABOUT), 2, False)
    ids = {challenge_id(SESSION, About(purpose=one)) for one in Purpose}
    assert len(ids) == len(Purpose)


@pytest.mark.parametrize(
    ("challenge", "why"),
    [
        (None, "never_asked"),
        (answered(asked()), "answered_before"),
        (replace(asked(), until=T0), "too_late"),
        (asked(replace(ABOUT, digest="e" * 64)), "something_else"),
        (asked(replace(ABOUT, vote="deny")), "something_else"),
        (asked(), None),
    ],
)
def test_a_challenge_is_answered_once_in_time_and_for_what_it_was_made(challenge: Challenge, why: str | None) -> None:
    assert why_not_answered(challenge, ABOUT, T0) == why


@pytest.mark.parametrize(
    ("held", "shown", "goes_back"),
    [(0, 0, False), (0, 1, False), (7, 8, False), (7, 7, True), (7, 6, True), (7, 0, True)],
)
def test_a_count_goes_on_or_is_always_nothing(held: int, shown: int, goes_back: bool) -> None:
    assert steps_back(replace(KEY, sign_count=held), shown) is goes_back


def test_the_first_time_that_a_count_went_back_stays() -> None:
    first = suspect(KEY, T0)
    assert suspect(first, T0 + timedelta(days=1)).suspect_at == T0


@given(st.binary(max_size=80))
def test_bytes_are_written_in_one_way(data: bytes) -> None:
    assert decoded(encoded(data)) == data


@pytest.mark.parametrize("text", ["A", "AB", "AA==", "A+A_", "é", "AA A", "AAAA\n"])
def test_another_way_of_writing_is_refused(text: str) -> None:
    assert decoded(text) is None
