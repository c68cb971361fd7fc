"""What comes in the place of a passkey's answer is read whole or refused; nothing that a browser sends raises."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.core.passkey_forms import read_assertion, read_attestation

GARBAGE = st.one_of(
    st.text(max_size=200),
    st.dictionaries(st.sampled_from(["id", "rawId", "type", "response"]), st.text(max_size=20)).map(json.dumps),
    st.fixed_dictionaries(
        {
            "id": st.just("AAAA"),
            "rawId": st.just("AAAA"),
            "type": st.just("public-key"),
            "response": st.dictionaries(
                st.sampled_from(
                    ["clientDataJSON", "authenticatorData", "signature", "userHandle", "attestationObject"]
                ),
                st.one_of(st.text(alphabet="AZaz09-_=", max_size=40), st.none(), st.integers()),
            ),
        }
    ).map(json.dumps),
)


@pytest.mark.requirement("T12")
@given(GARBAGE)
def test_whatever_comes_in_place_of_an_answer_is_read_or_refused(text: str) -> None:
    for read_one in (read_assertion, read_attestation):
        found = read_one(text)
        assert found is None or found.credential == b"\x00\x00\x00"
