"""An OpenID Connect issuer, from the side of somebody who trusts it to say who a person is.

Source: OpenID Connect Core 1.0 §3.1 (code flow), Discovery 1.0 §4, RFC 7636 (PKCE, S256), RFC 9207 (`iss`).
Nothing is remembered between two sign-ins: people sign in seldom, and a key that the issuer took back is gone at once.
"""

import asyncio
import base64
import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Any, Final, cast
from urllib.parse import quote, urlencode, urlsplit

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from assent.channels.posting import fetch
from assent.core.canonical import BadJson, Json, load
from assent.core.errors import Unauthenticated

ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA")
CLOCKS_DIFFER: Final = timedelta(seconds=60)
OLDEST: Final = timedelta(minutes=10)
MAX_SUBJECT: Final = 255
_DISCOVERY: Final = "/.well-known/openid-configuration"
_FORM: Final = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
_SIGN_IN_OTHERWISE: Final = "sign in with a link or a token, and tell whoever keeps the broker"


class NotVouchedFor(Unauthenticated):
    """The issuer did not say who this is, or not so that it can be believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """This broker as the issuer knows it; `address` is where people come back to."""

    issuer: str
    client_id: str
    client_secret: str
    address: str

    def __repr__(self) -> str:
        """Tell no secret."""
        return f"Registered({self.issuer!r}, {self.client_id!r})"

    @property
    def name(self) -> str:
        """What people know the issuer by."""
        return urlsplit(self.issuer).netloc


class Issuer:
    """Where people are sent to say who they are; `now` is the wall clock."""

    def __init__(self, registered: Registered, *, now: Callable[[], datetime]) -> None:
        self._registered = registered
        self._now = now

    async def address(self, *, state: str, nonce: str, verifier: str) -> str:
        """Return where to send a browser. Raises NotVouchedFor: the issuer is away."""
        found = await asyncio.to_thread(discovered, self._registered.issuer)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self._registered.client_id,
            "redirect_uri": self._registered.address,
            "scope": "openid",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        address = _text(found, "authorization_endpoint")
        return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"

    async def subject(self, code: str, *, nonce: str, verifier: str) -> str:
        """Return whom the issuer vouches for, by the name that it never gives to anybody else.

        Raises:
            NotVouchedFor: it does not, or what it says was not said to us, now, about this very sign-in.

        """
        return await asyncio.to_thread(self._subject, code, nonce, verifier)

    def _subject(self, code: str, nonce: str, verifier: str) -> str:
        found = discovered(self._registered.issuer)
        token = _text(self._redeemed(_text(found, "token_endpoint"), code, verifier), "id_token")
        claims = _opened(token, self._asked(_text(found, "jwks_uri")))
        self._require(claims, nonce)
        return _text(claims, "sub")

    def _redeemed(self, address: str, code: str, verifier: str) -> Mapping[str, Json]:
        known = f"{quote(self._registered.client_id, safe='')}:{quote(self._registered.client_secret, safe='')}"
        basic = {"authorization": f"Basic {base64.b64encode(known.encode()).decode()}"}
        sent = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._registered.address,
            "code_verifier": verifier,
        }
        return self._asked(address, body=urlencode(sent).encode(), headers={**_FORM, **basic})

    def _asked(
        self, address: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Mapping[str, Json]:
        if urlsplit(address).scheme != urlsplit(self._registered.issuer).scheme:
            raise NotVouchedFor("the issuer names an address that is not as safe as its own", hint=_SIGN_IN_OTHERWISE)
        return _answered(address, body, headers)

    def _require(self, claims: Mapping[str, Any], nonce: str) -> None:
        """Return only when the token was made by this issuer, for us, now, and for this very sign-in."""
        now, audience = self._now().timestamp(), claims.get("aud")
        meant_for = audience if isinstance(audience, list) else [audience]
        # What is no moment compares with nothing.
        expires, issued = _seconds(claims, "exp"), _seconds(claims, "iat")
        subject, told = claims.get("sub"), claims.get("nonce")
        holds = (
            claims.get("iss") == self._registered.issuer
            and self._registered.client_id in meant_for
            and (len(meant_for) == 1 or claims.get("azp") == self._registered.client_id)
            and claims.get("azp", self._registered.client_id) == self._registered.client_id
            and now < expires + CLOCKS_DIFFER.total_seconds()
            and now - OLDEST.total_seconds() <= issued <= now + CLOCKS_DIFFER.total_seconds()
            and isinstance(told, str)
            and compare_digest(told.encode(), nonce.encode())
            and isinstance(subject, str)
            and 0 < len(subject) <= MAX_SUBJECT
        )
        if not holds:
            raise NotVouchedFor("what the issuer says is not about this sign-in", hint="begin once more")


def discovered(issuer: str) -> Mapping[str, Json]:
    """Return what an issuer says of itself. Raises NotVouchedFor: it is away, or another one."""
    found = _answered(f"{issuer.rstrip('/')}{_DISCOVERY}", None, None)
    if found.get("issuer") != issuer:
        raise NotVouchedFor("what answers there is another issuer than `oidc_issuer`", hint=_SIGN_IN_OTHERWISE)
    return found


def _answered(address: str, body: bytes | None, headers: Mapping[str, str] | None) -> Mapping[str, Json]:
    answer = fetch("GET" if body is None else "POST", address, body, headers or {"accept": "application/json"})
    try:
        said = None if answer is None else load(answer)
    except BadJson:
        said = None
    if not isinstance(said, dict):
        raise NotVouchedFor("the issuer does not answer, or refuses", hint=_SIGN_IN_OTHERWISE)
    return said


def _opened(token: str, keys: Mapping[str, Json]) -> Mapping[str, Any]:
    try:
        opened = jwt.decode(token, KeySet.import_key_set(cast("Any", keys)), [*ALGORITHMS])
    except (JoseError, ValueError, TypeError, KeyError) as fault:
        raise NotVouchedFor("what the issuer says is not signed by it", hint="begin once more") from fault
    return opened.claims


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def _text(said: Mapping[str, Any], name: str) -> str:
    value = said.get(name)
    if not isinstance(value, str) or not value:
        raise NotVouchedFor("the issuer does not answer as it should", hint=_SIGN_IN_OTHERWISE)
    return value
