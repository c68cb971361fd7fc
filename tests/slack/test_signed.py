"""Only what Slack signed within five minutes is read at all, and nothing that anybody sends makes the check raise."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.signature import SignatureVerifier

from assent.demo.workspace.delivering import signature
from assent.slack.signed import WINDOW_SECONDS, fingerprint, is_from_slack

CASES = Path(os.environ.get("ASSENT_CASES", Path(__file__).parents[2].parent / "shared" / "cases"))
VECTOR = CASES / "slack" / "signature_vector.json"
SECRET, OLD = b"new-secret", b"old-secret"
NOW = 1_772_366_400
BODY = b'payload={"type":"block_actions"}'


def signed(secret: bytes = SECRET, at: int = NOW, body: bytes = BODY) -> bytes:
    return signature(secret.decode(), at, body).encode()


def check(**changes: object) -> bool:
    given_: dict[str, object] = {
        "body": BODY,
        "timestamp": str(NOW).encode(),
        "signature": signed(),
        "secrets": [SECRET],
        "now_seconds": float(NOW),
        **changes,
    }
    return is_from_slack(given_.pop("body"), **given_)  # type: ignore[arg-type]  # a test names what it changes


def test_slack_is_believed() -> None:
    assert check()


@pytest.mark.requirement("T8")
@pytest.mark.parametrize(
    "changed",
    [
        {"body": BODY + b" "},
        {"timestamp": str(NOW + 1).encode()},
        {"timestamp": None},
        {"timestamp": b""},
        {"timestamp": b"1e9"},
        {"timestamp": b"-1"},
        {"timestamp": "٣".encode()},
        {"timestamp": b"9" * 400},
        {"signature": None},
        {"signature": b""},
        {"signature": signed()[3:]},
        {"signature": signed().upper()},
        {"signature": signed(b"other")},
        {"signature": b"\xff\xfe" * 40},
        {"secrets": []},
        {"secrets": [b""], "signature": signed(b"")},
        {"now_seconds": NOW + WINDOW_SECONDS + 1.0},
        {"now_seconds": NOW - WINDOW_SECONDS - 1.0},
    ],
)
def test_everything_else_is_not(changed: dict[str, object]) -> None:
    assert not check(**changed)


def test_the_window_is_closed_at_both_ends() -> None:
    assert check(now_seconds=float(NOW + WINDOW_SECONDS))
    assert check(now_seconds=float(NOW - WINDOW_SECONDS))


def test_two_secrets_while_one_is_being_replaced() -> None:
    assert check(secrets=[SECRET, OLD], signature=signed(OLD))
    assert not check(secrets=[SECRET], signature=signed(OLD))


@given(st.binary(max_size=200), st.binary(max_size=20), st.binary(max_size=80))
def test_nothing_makes_it_raise_and_noise_is_never_believed(body: bytes, timestamp: bytes, claimed: bytes) -> None:
    assert not is_from_slack(body, timestamp=timestamp, signature=claimed, secrets=[SECRET], now_seconds=float(NOW))


@given(st.binary(max_size=200))
def test_slacks_own_library_agrees(body: bytes) -> None:
    if not _is_text(body):
        return  # its verifier raises for these, ours does not
    theirs = SignatureVerifier(SECRET.decode()).generate_signature(timestamp=str(NOW), body=body)
    assert theirs is not None
    assert check(body=body, signature=theirs.encode())


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_the_example_that_slack_publishes() -> None:
    if not VECTOR.is_file():
        pytest.skip(f"{VECTOR} is not there: the published example may not be copied")
    example = json.loads(VECTOR.read_text())
    given_ = {
        "body": example["body"].encode(),
        "timestamp": example["timestamp"].encode(),
        "signature": example["signature"].encode(),
        "secrets": [example["signing_secret"].encode()],
        "now_seconds": float(example["timestamp"]),
    }
    assert check(**given_)
    assert not check(**given_ | {"body": given_["body"] + b"&x=1"})


def test_each_request_has_its_own_fingerprint() -> None:
    assert fingerprint(signed()) == fingerprint(signed())
    assert fingerprint(signed()) != fingerprint(signed(at=NOW + 1))
