"""The tool's side: does this grant token permit exactly this tool to run with exactly these arguments, now?

It answers for binding and time, not for single use: only redeeming at the broker makes a grant run once. Needs the
extra `verify`. Source: RFC 7515, RFC 7519 §4.1, RFC 8725 (explicit typing, one algorithm).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hmac import compare_digest
from typing import Any, Final

from assent.core.canonical import BadJson, Json, Jsonable, canonical, parse, sha256_hex
from assent.sdk.errors import ConfigurationError, GrantInvalid

# A tool's clock may be a little behind the broker's; it never makes a grant live longer.
NOT_BEFORE_LEEWAY: Final = timedelta(seconds=5)

_TEXT_CLAIMS: Final = ("iss", "aud", "sub", "jti", "act", "nonce", "args", "res", "env", "pol")
_TIME_CLAIMS: Final = ("iat", "nbf", "exp")
_LAST_SECOND: Final = 253_402_300_799  # the year 9999 ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A verified grant: which agent may run which tool, on what, until when; `digest` is the judged action's."""

    id: str
    issuer: str
    agent: str
    tool: str
    digest: str
    resource: str
    environment: str
    policy_version: str
    issued_at: datetime
    expires_at: datetime


def verify_grant(
    token: str,
    tool: str,
    arguments: Mapping[str, Jsonable],
    jwks: Mapping[str, Any],
    *,
    issuer: str | None = None,
    now: datetime | None = None,
) -> Grant:
    """Return the grant that `token` carries for `tool` with `arguments`.

    `jwks` is the broker's `/.well-known/jwks.json` (RFC 7517), got from the broker itself. The caller must still
    redeem the token: until then another run on the same token is not excluded.

    Raises:
        GrantInvalid: the token does not permit this.
        ConfigurationError: the extra `verify` is not installed.

    """
    # (1) form, type, algorithm, published key and signature, before a single claim is believed
    claims = _claims(_verified_payload(token, jwks, tool), tool)
    # (2) addressed to this tool, by this broker
    if claims["aud"] != tool:
        raise GrantInvalid("the grant is for another tool", tool=tool)
    if issuer is not None and claims["iss"] != issuer:
        raise GrantInvalid("the grant is from another broker", tool=tool)
    # (3) valid now
    moment = now or datetime.now(UTC)
    if moment >= _moment(claims["exp"]):
        raise GrantInvalid("the grant has expired", tool=tool)
    if moment + NOT_BEFORE_LEEWAY < _moment(claims["nbf"]):
        raise GrantInvalid("the grant is not valid yet: compare the clocks", tool=tool)
    # (4) for these arguments, in whatever spelling
    if not compare_digest(claims["args"].encode(), _digest(arguments, tool).encode()):
        raise GrantInvalid("the grant is for other arguments", tool=tool)
    return _grant(claims)


def _verified_payload(token: str, jwks: Mapping[str, Any], tool: str) -> bytes:
    try:
        from assent.sdk.jose import Unverified, verified_payload
    except ImportError:
        raise ConfigurationError("verifying grants needs more packages", hint="pip install 'assent[verify]'") from None
    try:
        return verified_payload(token, jwks)
    except Unverified as fault:
        raise GrantInvalid(str(fault), tool=tool) from None


def _claims(payload: bytes, tool: str) -> dict[str, Any]:
    malformed = GrantInvalid("the grant's claims are malformed", tool=tool)
    try:
        claims: Json = parse(payload)
    except BadJson:
        raise malformed from None
    if not isinstance(claims, dict):
        raise malformed
    _refuse_malformed(claims, malformed)
    return claims


def _refuse_malformed(claims: Mapping[str, Any], malformed: GrantInvalid) -> None:
    missing = [name for name in (*_TEXT_CLAIMS, *_TIME_CLAIMS) if name not in claims]
    if missing:
        raise GrantInvalid(f"the grant lacks the claim `{missing[0]}`", tool=malformed.tool)
    texts = all(isinstance(claims[name], str) for name in _TEXT_CLAIMS)
    times = all(type(claims[name]) is int and 0 <= claims[name] <= _LAST_SECOND for name in _TIME_CLAIMS)
    if not texts or not times:
        raise malformed


def _grant(claims: Mapping[str, Any]) -> Grant:
    return Grant(
        id=claims["jti"],
        issuer=claims["iss"],
        agent=claims["sub"],
        tool=claims["aud"],
        digest=claims["act"],
        resource=claims["res"],
        environment=claims["env"],
        policy_version=claims["pol"],
        issued_at=_moment(claims["iat"]),
        expires_at=_moment(claims["exp"]),
    )


def _digest(arguments: Mapping[str, Jsonable], tool: str) -> str:
    try:
        return sha256_hex(canonical(dict(arguments)))
    except BadJson as fault:
        raise GrantInvalid(f"the arguments have no canonical form: {fault.message}", tool=tool) from None


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
