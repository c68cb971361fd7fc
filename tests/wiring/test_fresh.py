"""Fresh values: ids that sort by time, codes that can be read out, secrets that take apart again."""

import re

from assent.core.credentials import CredentialId, Kind, compose, take_apart
from assent.wiring import fresh


def test_ids_differ_sort_by_time_and_name_their_kind() -> None:
    made = [fresh.new_id("act") for _ in range(2_000)]
    assert len(set(made)) == len(made)
    assert all(re.fullmatch(r"act_[0-9A-Za-z]{20,}", one) for one in made)
    stamps = [one[:14] for one in made]
    assert stamps == sorted(stamps)


def test_a_credential_of_a_fresh_id_and_secret_takes_apart_again() -> None:
    for kind in Kind:
        identifier, secret = CredentialId(fresh.new_id("").lstrip("_")), fresh.new_secret()
        presented = take_apart(compose(kind, identifier, secret))
        assert presented is not None
        assert (presented.kind, presented.id, presented.secret) == (kind, identifier, secret)


def test_a_code_can_be_read_out_and_is_never_a_word() -> None:
    for _ in range(200):
        assert re.fullmatch(r"[BCDFGHJKMNPQRSTVWXZ2-9]{3}-[BCDFGHJKMNPQRSTVWXZ2-9]{3}", fresh.new_code())


def test_secrets_and_nonces_hold_256_bits() -> None:
    assert len(fresh.new_nonce()) == 32
    assert len(fresh.new_secret()) >= 43
