"""Checkpoints and log proofs: public text formats in one spelling, each part of which is checked."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from assent.core.checkpoints import (
    Checkpoint,
    LogProof,
    open_checkpoint,
    parse_checkpoint,
    parse_log_proof,
    verify_log_proof,
)
from assent.core.merkle import EMPTY_ROOT, Frontier, ProofInvalid, inclusion_proof, leaf_hash, root
from assent.core.notes import NoteInvalid, Verifier, VerifierKey, sign_note, to_base64

ORIGIN = "log.example/assent"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
KEY_ID = VerifierKey(name=ORIGIN, public_key=KEY.public_key().public_bytes_raw()).key_id
# Ed25519 is deterministic, so that comparing says what verifying says.
VERIFIERS = [Verifier(name=ORIGIN, key_id=KEY_ID, verify=lambda text, signature: KEY.sign(text) == signature)]
LEAVES = [leaf_hash(bytes([number])) for number in range(11)]
NODES = {(node.level, node.index): node.hash for node in Frontier().extend(LEAVES)[1]}
HEAD = Checkpoint(origin=ORIGIN, size=len(LEAVES), root=root(LEAVES))


def signed(checkpoint: Checkpoint = HEAD) -> bytes:
    return sign_note(checkpoint.text, ORIGIN, KEY_ID, KEY.sign)


def proof_of(index: int) -> LogProof:
    hashes = inclusion_proof(index, HEAD.size, lambda level, at: NODES[level, at])
    return LogProof(index=index, hashes=hashes, checkpoint=signed())


def test_a_checkpoint_is_three_lines_and_opens_with_its_key() -> None:
    assert HEAD.text == f"{ORIGIN}\n11\n{to_base64(HEAD.root)}\n"
    assert open_checkpoint(signed(), origin=ORIGIN, verifiers=VERIFIERS) == HEAD


def test_extension_lines_are_kept() -> None:
    head = replace(HEAD, extensions=("one", "two words"))
    assert parse_checkpoint(head.text) == head


def test_a_checkpoint_of_another_log_is_refused() -> None:
    with pytest.raises(NoteInvalid, match=r"of `elsewhere`, not of `log.example/assent`"):
        open_checkpoint(signed(replace(HEAD, origin="elsewhere")), origin=ORIGIN, verifiers=VERIFIERS)


def test_a_signed_note_that_is_no_checkpoint_is_refused() -> None:
    with pytest.raises(NoteInvalid, match="at least 3 lines"):
        open_checkpoint(sign_note("hello\n", ORIGIN, KEY_ID, KEY.sign), origin=ORIGIN, verifiers=VERIFIERS)


ROOT64 = to_base64(HEAD.root)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        f"{ORIGIN}\n11\n",
        f"{ORIGIN}\n11\n{ROOT64}",
        f"\n11\n{ROOT64}\n",
        f"{ORIGIN}\n011\n{ROOT64}\n",
        f"{ORIGIN}\n+11\n{ROOT64}\n",
        f"{ORIGIN}\n-1\n{ROOT64}\n",
        f"{ORIGIN}\n11 \n{ROOT64}\n",
        f"{ORIGIN}\n1_1\n{ROOT64}\n",
        f"{ORIGIN}\n١١\n{ROOT64}\n",
        f"{ORIGIN}\n0x11\n{ROOT64}\n",
        f"{ORIGIN}\n{2**63}\n{ROOT64}\n",
        f"{ORIGIN}\n{'9' * 5000}\n{ROOT64}\n",
        f"{ORIGIN}\n0\n{ROOT64}\n",
        f"{ORIGIN}\n11\n{ROOT64[:-1]}\n",
        f"{ORIGIN}\n11\n{to_base64(HEAD.root[:-1])}\n",
        f"{ORIGIN}\n11\n{to_base64(HEAD.root + b'x')}\n",
        f"{ORIGIN}\n11\n{ROOT64}\n\n",
        f"{ORIGIN}\n11\n{ROOT64}\nextension\n\nextension\n",
        f"{ORIGIN}\n11\n{ROOT64}\na\x00\n",
    ],
)
def test_a_malformed_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(NoteInvalid):
        parse_checkpoint(text)


def test_the_limits_of_the_size_are_kept() -> None:
    assert parse_checkpoint(f"{ORIGIN}\n0\n{to_base64(EMPTY_ROOT)}\n").size == 0
    assert parse_checkpoint(f"{ORIGIN}\n{2**63 - 1}\n{ROOT64}\n").size == 2**63 - 1


@pytest.mark.parametrize("index", range(len(LEAVES)))
def test_a_log_proof_proves_its_record_to_whoever_has_the_key(index: int) -> None:
    proof = parse_log_proof(proof_of(index).encode())
    assert proof == proof_of(index)
    assert verify_log_proof(proof, leaf=LEAVES[index], origin=ORIGIN, verifiers=VERIFIERS) == HEAD


def test_the_text_of_a_log_proof_is_that_of_the_public_format() -> None:
    proof = replace(proof_of(10), extra=b"salt")
    header, extra, index, first, *rest = proof.encode().decode().split("\n")
    assert (header, extra, index) == ("c2sp.org/tlog-proof@v1", "extra c2FsdA==", "index 10")
    assert first == to_base64(proof.hashes[0])
    assert "\n".join(rest).endswith("\n\n" + signed().decode())
    assert parse_log_proof(proof.encode()) == proof


def test_a_record_alone_in_its_log_needs_no_hashes() -> None:
    head = Checkpoint(origin=ORIGIN, size=1, root=LEAVES[0])
    proof = LogProof(index=0, hashes=(), checkpoint=signed(head))
    assert verify_log_proof(parse_log_proof(proof.encode()), leaf=LEAVES[0], origin=ORIGIN, verifiers=VERIFIERS) == head


def test_every_flipped_bit_of_a_log_proof_is_seen() -> None:
    raw = proof_of(5).encode()
    for bit in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        assert not proves(bytes(changed)), bit


def proves(raw: bytes) -> bool:
    try:
        verify_log_proof(parse_log_proof(raw), leaf=LEAVES[5], origin=ORIGIN, verifiers=VERIFIERS)
    except (NoteInvalid, ProofInvalid):
        return False
    return True


PROOF = proof_of(5).encode().decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "c2sp.org/tlog-proof@v1\n",
        PROOF.replace("@v1", "@v2"),
        PROOF.replace("index 5", "index 05"),
        PROOF.replace("index 5", "index  5"),
        PROOF.replace("index 5\n", ""),
        PROOF.replace("index 5", "extra \nindex 5"),
        PROOF.replace("index 5", "extra !\nindex 5"),
        PROOF.replace("index 5", "extra AAAA\nextra AAAA\nindex 5"),
        PROOF.replace("index 5\n", "index 5\nAAAA\n"),
        PROOF.replace("index 5\n", "index 5\n" + f"{ROOT64}\n" * 64),
        PROOF.replace("\n", "\r\n"),
        PROOF + " " * 600_000,
        " " + PROOF,
    ],
)
def test_a_malformed_log_proof_is_refused(text: str) -> None:
    with pytest.raises(NoteInvalid):
        parse_log_proof(text.encode())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (PROOF.replace("@v1", "@v2"), "starts with the line"),
        (PROOF.partition("\n\n")[0] + "\n\n", "ends with a checkpoint"),
        (PROOF.replace("index 5\n", "index5\n"), "no `index` line"),
        ("c2sp.org/tlog-proof@v1\n\n" + PROOF.partition("\n\n")[2], "no `index` line"),
        (PROOF.replace("index 5\n", "index 5\n" + f"{ROOT64}\n" * 64), "malformed"),
    ],
)
def test_a_malformed_log_proof_is_told_by_what_is_wrong_with_it(text: str, told: str) -> None:
    with pytest.raises(NoteInvalid, match=told):
        parse_log_proof(text.encode())


def test_a_log_proof_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(NoteInvalid, match="not UTF-8"):
        parse_log_proof(b"\xff" + PROOF.encode())
