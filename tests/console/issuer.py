"""An issuer of single sign-on on this machine: it knows people, hands out codes, and says what a test lets it say."""

import base64
import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey

from tests.channels.receivers import running

CLIENT, SECRET = "assent", "a secret of client and issuer"


@dataclass(slots=True)
class StandIn:
    """`claims` go into every token above the right ones, `key` signs it; `changed` replaces whole answers.

    A browser that comes by is sent back as `signed_in`.
    """

    url: str = ""
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "one", "use": "sig"}))
    published: ECKey | None = None
    claims: dict[str, Any] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    changed: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    signed_in: str = ""
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def lets_in(self, address: str, subject: str) -> dict[str, str]:
        """Return what a browser brings back from `address`, after the person there said who they are."""
        asked = dict(parse_qsl(urlsplit(address).query))
        assert asked["response_type"] == "code"
        assert (asked["client_id"], asked["scope"], asked["code_challenge_method"]) == (CLIENT, "openid", "S256")
        code = f"code-{len(self._codes)}"
        self._codes[code] = {**asked, "sub": subject}
        return {"code": code, "state": asked["state"], "iss": self.url}

    def answer(self, path: str, body: str, authorization: str) -> Any:  # JSON, or None for a no
        self.asked.append(path)
        if path in self.changed:
            return self.changed[path]
        if path == "/.well-known/openid-configuration":
            ends = {name: f"{self.url}/{name}" for name in ("authorize", "token", "keys")}
            return {
                "issuer": self.url,
                "authorization_endpoint": ends["authorize"],
                "token_endpoint": ends["token"],
                "jwks_uri": ends["keys"],
            }
        if path == "/keys":
            return {"keys": [(self.published or self.key).as_dict(private=False)]}
        return self._token(body, authorization) if path == "/token" else None

    def _token(self, body: str, authorization: str) -> Any:
        given = {name: values[0] for name, values in parse_qs(body).items()}
        known = base64.b64encode(f"{CLIENT}:{SECRET.replace(' ', '%20')}".encode()).decode()
        asked = self._codes.pop(given.get("code", ""), None)
        if asked is None or authorization != f"Basic {known}" or given["redirect_uri"] != asked["redirect_uri"]:
            return None
        digest = hashlib.sha256(given["code_verifier"].encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != asked["code_challenge"]:
            return None
        now = int(time.time())
        right = {
            "iss": self.url,
            "aud": CLIENT,
            "sub": asked["sub"],
            "nonce": asked["nonce"],
            "iat": now,
            "exp": now + 60,
        }
        claims = {name: value for name, value in {**right, **self.claims}.items() if name not in self.left_out}
        return {"token_type": "Bearer", "id_token": jwt.encode({"alg": "ES256", "kid": "one"}, claims, self.key)}


@contextmanager
def issuer(host: str = "127.0.0.1") -> Iterator[StandIn]:
    """Run one, which is called by that name of this machine."""
    here = StandIn()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith("/authorize?"):
                self._answer("")
                return
            brought = here.lets_in(self.path, here.signed_in)
            asked = dict(parse_qsl(urlsplit(self.path).query))
            self.send_response(302)
            self.send_header("location", f"{asked['redirect_uri']}?{urlencode(brought)}")
            self.send_header("content-length", "0")
            self.end_headers()

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["content-length"])).decode())

        def _answer(self, body: str) -> None:
            said = here.answer(self.path, body, self.headers.get("authorization", ""))
            data = b"no" if said is None else said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(400 if said is None else 200)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with running(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        here.url = f"http://{host}:{port}"
        yield here
