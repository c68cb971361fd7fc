"""A grant token permits one tool, one set of arguments, for a while, in the broker's name; nothing else does."""

import base64
import hashlib
import hmac
import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from assent import ActionDenied, GrantInvalid, verify_grant
from assent.stores.keys import Keys
from tests.sdk.grants import HEADER, NOW, SIGNER, STRANGER, b64, claims, jwk, token

TOOL = "k8s.scale"
ARGUMENTS = {"cluster": "prod-eu", "replicas": 3}
JWKS = {"keys": [jwk(STRANGER, "g0"), jwk(SIGNER)]}
THEN = datetime.fromtimestamp(NOW + 10, UTC)


def verify(value: str, **more: Any) -> Any:
    facts: dict[str, Any] = {"tool": TOOL, "arguments": ARGUMENTS, "jwks": JWKS, "now": THEN} | more
    return verify_grant(value, **facts)


@pytest.mark.parametrize("algorithm", ["Ed25519", "EdDSA"])
def test_a_sound_token_is_a_grant_under_both_names_of_its_algorithm(algorithm: str) -> None:
    grant = verify(token(claims(TOOL, ARGUMENTS), header=HEADER | {"alg": algorithm}), issuer="https://broker.example")
    assert (grant.id, grant.agent, grant.tool, grant.environment) == ("gr_1", "deploy-bot", TOOL, "production")
    assert grant.expires_at == datetime.fromtimestamp(NOW + 300, UTC)


def test_a_token_of_the_broker_s_own_key_verifies_with_what_it_publishes() -> None:
    keys = Keys.generate()
    sound = keys.sign_grant(claims(TOOL, ARGUMENTS))
    assert verify(sound, jwks=keys.grant_jwks()).agent == "deploy-bot"
    with pytest.raises(GrantInvalid):
        verify(sound, jwks=Keys.generate().grant_jwks())


def test_the_order_of_keys_is_the_same_arguments() -> None:
    assert verify(token(claims(TOOL, ARGUMENTS)), arguments={"replicas": 3.0, "cluster": "prod-eu"})


@pytest.mark.parametrize(
    "arguments",
    [{}, {"cluster": "prod-eu"}, ARGUMENTS | {"replicas": "3"}, ARGUMENTS | {"x": None}, {"replicas": float("nan")}],
)
@pytest.mark.requirement("T1")
def test_other_arguments_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(GrantInvalid):
        verify(token(claims(TOOL, ARGUMENTS)), arguments=arguments)


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "k8s.delete"},
        {"aud": [TOOL]},
        {"exp": NOW + 10},
        {"exp": str(NOW + 300)},
        {"exp": True},
        {"exp": 10**15},
        {"nbf": NOW + 16},
        {"args": "0" * 64},
        {"args": ""},
        {"args": "ä"},
        {"iss": "https://other.example"},
        {"iss": None},
        {"sub": 7},
    ],
)
def test_a_wrong_claim_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(GrantInvalid):
        verify(token(claims(TOOL, ARGUMENTS, **changed)), issuer="https://broker.example")


@pytest.mark.parametrize("name", list(claims(TOOL, ARGUMENTS)))
def test_a_missing_claim_is_refused(name: str) -> None:
    payload = claims(TOOL, ARGUMENTS)
    del payload[name]
    with pytest.raises(GrantInvalid, match=name):
        verify(token(payload))


def test_time_is_half_open_and_a_slow_clock_is_forgiven_five_seconds() -> None:
    sound = token(claims(TOOL, ARGUMENTS))
    assert verify(sound, now=datetime.fromtimestamp(NOW - 5, UTC))
    assert verify(sound, now=datetime.fromtimestamp(NOW + 299, UTC))
    for moment in (NOW - 6, NOW + 300):
        with pytest.raises(GrantInvalid):
            verify(sound, now=datetime.fromtimestamp(moment, UTC))


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "ES256"},
        {"alg": "Ed448"},
        {"alg": ["Ed25519"]},
        {"typ": "JWT"},
        {"typ": "ASSENT-GRANT+JWT"},
        {"kid": "g0"},
        {"kid": "unknown"},
        {"kid": ""},
        {"kid": 1},
        {"jwk": jwk(SIGNER)},
        {"jku": "https://evil.example"},
        {"crit": ["b64"], "b64": False},
        {"x5c": ["AAAA"]},
        {"extra": 1},
    ],
)
def test_a_wrong_header_is_refused(header: dict[str, Any]) -> None:
    with pytest.raises(GrantInvalid):
        verify(token(claims(TOOL, ARGUMENTS), header=HEADER | header))


@pytest.mark.parametrize("missing", ["alg", "kid", "typ"])
def test_a_header_that_lacks_a_field_is_refused(missing: str) -> None:
    header = {name: value for name, value in HEADER.items() if name != missing}
    with pytest.raises(GrantInvalid):
        verify(token(claims(TOOL, ARGUMENTS), header=header))


def test_the_public_key_as_a_shared_secret_signs_nothing() -> None:
    public = base64.urlsafe_b64decode(jwk(SIGNER)["x"] + "=")
    signed = (
        f"{b64(json.dumps(HEADER | {'alg': 'HS256'}).encode())}.{b64(json.dumps(claims(TOOL, ARGUMENTS)).encode())}"
    )
    forged = f"{signed}.{b64(hmac.digest(public, signed.encode(), hashlib.sha256))}"
    with pytest.raises(GrantInvalid):
        verify(forged)


def test_a_key_of_another_curve_signs_nothing() -> None:
    other = Ed448PrivateKey.generate()
    public = b64(other.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
    jwks = {"keys": [{"kty": "OKP", "crv": "Ed448", "x": public, "kid": "g1"}]}
    header = HEADER | {"alg": "EdDSA"}
    signed = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims(TOOL, ARGUMENTS)).encode())}"
    with pytest.raises(GrantInvalid):
        verify(f"{signed}.{b64(other.sign(signed.encode()))}", jwks=jwks)


@pytest.mark.parametrize(
    "jwks",
    [
        {},
        {"keys": []},
        {"keys": [jwk(STRANGER)]},
        {"keys": [jwk(SIGNER), jwk(STRANGER)]},
        {"keys": [jwk(SIGNER, use="enc")]},
        {"keys": [jwk(SIGNER, crv="X25519")]},
        {"keys": [jwk(SIGNER, x="AAAA")]},
        {"keys": [jwk(SIGNER, x=7)]},
        {"keys": ["g1"]},
        {"keys": "g1"},
    ],
)
def test_without_exactly_one_sound_published_key_nothing_verifies(jwks: dict[str, Any]) -> None:
    with pytest.raises(GrantInvalid):
        verify(token(claims(TOOL, ARGUMENTS)), jwks=jwks)


def test_every_changed_byte_of_a_token_is_refused() -> None:
    sound = token(claims(TOOL, ARGUMENTS))
    for index in range(0, len(sound) - 2, 7):
        changed = "A" if sound[index] != "A" else "B"
        with pytest.raises(GrantInvalid):
            verify(sound[:index] + changed + sound[index + 1 :])


@pytest.mark.parametrize("value", ["", ".", "..", "a.b", "a.b.c.d", "ä.b.c", "x" * 20_000, "\0"])
def test_what_is_no_token_is_refused(value: str) -> None:
    with pytest.raises(GrantInvalid):
        verify(value)


@pytest.mark.parametrize("payload", [b"[]", b"{", b'{"aud":"a","aud":"b"}', b"\xff"])
def test_claims_that_are_no_plain_object_are_refused(payload: bytes) -> None:
    with pytest.raises(GrantInvalid):
        verify(token(payload))


def test_an_invalid_grant_is_a_denied_action() -> None:
    with pytest.raises(ActionDenied) as caught:
        verify("no token")
    assert caught.value.code == "grant_invalid"
    assert "do not retry" in caught.value.model_message


def test_without_the_extra_the_line_that_installs_it_is_named() -> None:
    script = (
        "import sys\n"
        "sys.modules['joserfc'] = None\n"
        "from assent import ConfigurationError, verify_grant\n"
        "try:\n"
        "    verify_grant('t', 'tool', {}, {})\n"
        "except ConfigurationError as error:\n"
        "    assert 'assent[verify]' in error.hint\n"
        "else:\n"
        "    raise SystemExit(1)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)
