"""Fresh values: ids sort by when they were made, and nothing comes twice."""

from assent.wiring import fresh


def test_ids_are_of_one_form_and_never_the_same() -> None:
    made = [fresh.new_id("act") for _ in range(10_000)]
    assert len(set(made)) == len(made)
    for name in made[:100]:
        prefix, _, digits = name.partition("_")
        assert (prefix, len(digits)) == ("act", 32)
        assert set(digits) <= set("0123456789abcdef")


def test_ids_sort_by_the_millisecond_they_were_made_in() -> None:
    moments = [fresh.new_id("")[1:13] for _ in range(10_000)]
    assert moments == sorted(moments)


def test_a_code_can_be_read_out_and_holds_no_vowel() -> None:
    for code in (fresh.new_code() for _ in range(200)):
        assert len(code) == 7
        assert code[3] == "-"
        assert not set(code) & set("AEIOU01")


def test_secrets_and_nonces_are_long_and_never_the_same() -> None:
    assert len({fresh.new_secret() for _ in range(1_000)}) == 1_000
    assert len(fresh.new_secret()) >= 43
    assert len({fresh.new_nonce() for _ in range(1_000)}) == 1_000
    assert len(fresh.new_nonce()) == 32
