"""The people of the story: operators with tokens of their own, who use the operator API like anybody."""

from dataclasses import dataclass, field
from typing import Any, Final

from assent.demo.telephone import Reply, call

SHOWN_DIGITS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One operator with a token; `url` is where the broker answers."""

    id: str
    url: str
    token: str = field(repr=False)

    def see(self, code: str) -> Reply:
        """Look at one approval."""
        return self._call("GET", f"/v1/approvals/{code}")

    def approve(self, approval: dict[str, Any]) -> Reply:
        """Say yes to what was shown, named by the digits that were shown."""
        path = f"/v1/approvals/{approval['code']}/approve"
        return self._call("POST", path, {"digest_prefix": approval["digest"][:SHOWN_DIGITS]})

    def deny(self, approval: dict[str, Any]) -> Reply:
        """Say no."""
        body = {"category": "other", "reason": "the reader of the demo said no"}
        return self._call("POST", f"/v1/approvals/{approval['code']}/deny", body)

    def let_again(self, code: str) -> Reply:
        """Let what was denied be asked again, which approves nothing."""
        return self._call("POST", f"/v1/approvals/{code}/let-again", {"reason": "the demo goes on"})

    def trip(self, environment: str) -> Reply:
        """Stop everything in an environment."""
        body = {"scope": {"environment": environment}, "reason": "the demo shows what a stop does"}
        return self._call("POST", "/v1/breakers/trip", body)

    def breakers(self) -> Reply:
        """Look at all breakers."""
        return self._call("GET", "/v1/breakers")

    def reset(self, breaker: str) -> Reply:
        """Let things go on, as far as one person can."""
        return self._call("POST", f"/v1/breakers/{breaker}/reset", {"reason": "it was only a demo"})

    def records(self, action: str) -> Reply:
        """Read what the log says about one action, newest first."""
        return self._call("GET", f"/v1/records?action={action}")

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Reply:
        return call(self.url, self.token, method, path, body)
