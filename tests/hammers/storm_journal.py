"""What everybody in the storm was told and when, kept line by line for who checks it afterwards.

Times are nanoseconds of the machine's steady clock: `sent` before an ask left, `heard` when its answer was there.
"""

import http.client
import json
import time
from pathlib import Path
from typing import IO, Any, Final

from tests.hammers.calls import Answer, Caller

ANSWER_SECONDS: Final = 8.0
KEPT: Final = ("action_id", "decision", "state", "record_id", "environment")
LOST: Final = (OSError, http.client.HTTPException, ValueError)


class Journal:
    """One person's or agent's notebook, and the line to the broker that what is noted was heard on."""

    def __init__(self, file: Path, who: str, port: int, key: str) -> None:
        self._file: IO[str] = file.open("a", encoding="utf-8")
        self._who = who
        self._caller = Caller(port, key, seconds=ANSWER_SECONDS)

    def post(self, path: str, body: dict[str, Any], what: str, **facts: Any) -> Answer | None:
        """Ask, note the answer, and return it; None when it was lost on the way, which is noted too."""
        sent = time.monotonic_ns()
        try:
            answer = self._caller.post(path, body)
        except LOST:
            self.note(what, sent=sent, lost=True, **facts)
            return None
        heard = {"sent": sent, "heard": time.monotonic_ns(), "status": answer.status, "code": answer.code}
        self.note(what, **heard, **facts, **_told(answer))
        return answer

    def ask(self, body: dict[str, Any], **facts: Any) -> Answer | None:
        """Ask for an action and note what was decided."""
        return self.post("/v1/actions", body, "ask", tool=body["tool"], **facts)

    def get(self, path: str) -> dict[str, Any]:
        """Look at something; what was lost or refused is nothing. Looking is not noted."""
        try:
            answer = self._caller.get(path)
        except LOST:
            return {}
        return answer.body if answer.status == 200 else {}

    def note(self, what: str, **facts: Any) -> None:
        """Write a line."""
        self._file.write(json.dumps({"who": self._who, "what": what, **facts}) + "\n")

    def close(self) -> None:
        """Close notebook and line."""
        self._caller.close()
        self._file.close()


def _told(answer: Answer) -> dict[str, Any]:
    """Return what of an answer matters afterwards; `told` keeps it apart from what was asked."""
    body = answer.body
    told: dict[str, Any] = {name: body[name] for name in KEPT if name in body}
    if isinstance(body.get("breaker"), dict):
        told["breaker"] = body["breaker"]["id"]
    return {"told": told}
