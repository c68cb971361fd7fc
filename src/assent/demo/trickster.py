"""What an agent can try that goes past the SDK: other arguments after the approval, and the same grant again.

The SDK offers no way to do this, so the attempts are plain HTTP with the agent's own key.
"""

import os
import secrets
from collections.abc import Callable
from typing import Any, Final

from assent.demo.telephone import Reply, call
from assent.demo.town import Town

WANTED: Final = {"path": "prod/prices.txt", "content": "tea 3.40\nlamp 49.00\nkite 12.50\n"}
SWAPPED: Final = {"path": "prod/prices.txt", "content": "tea 340.00\nlamp 4900.00\nkite 1250.00\n"}
WAIT_SECONDS: Final = 25
_WAITS: Final = {"pending"}

Tell = Callable[..., None]


def cheat(town: Town, tell: Tell, *, run: str) -> None:
    """Ask for one change, have it approved, and try to make two others of it; tell every answer."""
    attempt = _new_attempt()
    asked = {"tool": "files.write", "arguments": WANTED, "reason": "tea became dearer", "run_id": run}
    action = _call("POST", "/v1/actions", {**asked, "attempt": attempt}, Idempotency_Key=_new_attempt()).body
    tell("waiting", code=(action.get("approval") or {}).get("code"), action=action.get("action_id"))
    action = _until_answered(action)
    if action["state"] != "ready":
        tell("refused", what="answer", code=action["reasons"][-1]["code"], message=action["reasons"][-1]["message"])
        tell("no-grant", offered=action.get("grant") is not None)
        return
    redeem = f"/v1/grants/{action['grant']['id']}/redeem"
    _tell_answer(tell, "swapped", _call("POST", redeem, {"attempt": attempt, "arguments": SWAPPED}))
    right = _call("POST", redeem, {"attempt": attempt, "arguments": WANTED})
    _tell_answer(tell, "redeemed", right)
    if right.status == 200:  # noqa: PLR2004  # HTTP's OK
        town.write(**right.body["arguments"])
        _call("POST", f"/v1/actions/{action['action_id']}/outcome", {"attempt": attempt, "status": "succeeded"})
    _tell_answer(tell, "replayed", _call("POST", redeem, {"attempt": _new_attempt(), "arguments": WANTED}))
    tell("done")


def _until_answered(action: dict[str, Any]) -> dict[str, Any]:
    while action["state"] in _WAITS:
        path = f"/v1/actions/{action['action_id']}?wait={WAIT_SECONDS}&after={action['revision']}"
        action = _call("GET", path).body
    return action


def _tell_answer(tell: Tell, what: str, reply: Reply) -> None:
    tell("answered", what=what, status=reply.status, code=reply.code, message=str(reply.body.get("detail", "")))


def _call(method: str, path: str, body: dict[str, Any] | None = None, **headers: str) -> Reply:
    return call(os.environ["ASSENT_URL"], os.environ["ASSENT_AGENT_KEY"], method, path, body, **headers)


def _new_attempt() -> str:
    return secrets.token_urlsafe(24)
