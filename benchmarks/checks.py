"""What every answer must be: for each kind of server a check over all answers of a run, once the clock has stopped."""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, Final

Answers = Iterable[tuple[int, int, bytes]]
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_STATE_OF: Final = {"allow": "executing", "deny": "denied"}


class WrongAnswer(Exception):
    """An answer is not what it must be: no figure of this run counts."""


def floor(answers: Answers, _spec: dict[str, Any]) -> None:
    """The floor repeats the counter of the very request that it answers."""
    for _, counter, body in answers:
        if json.loads(body) != {"decision": "allow", "run_id": f"run-{counter:012d}"}:
            raise WrongAnswer(f"request {counter}: {body!r}")


def broker(answers: Answers, spec: dict[str, Any]) -> None:
    """The broker decides as the oracle does, binds a digest, names its record, and no two answers share an id."""
    expected: list[str] = spec["expected"]
    actions: set[str] = set()
    records: set[str] = set()
    count = 0
    for template, counter, body in answers:
        answer = json.loads(body)
        _check_one(answer, expected[template], counter)
        actions.add(answer["action_id"])
        records.add(answer["record_id"])
        count += 1
    if len(actions) != count or len(records) != count:
        raise WrongAnswer("two answers share an action or a record")


def _check_one(answer: dict[str, Any], decision: str, counter: int) -> None:
    right = (
        answer["decision"] == decision
        and answer["state"] == _STATE_OF[decision]
        and answer["resource"].endswith(f"-{counter:012d}.txt")
        and _DIGEST.fullmatch(answer["digest"]) is not None
    )
    if not right:
        raise WrongAnswer(f"request {counter}: expected {decision}, heard {answer}")


CHECKS: Final[dict[str, Callable[[Answers, dict[str, Any]], None]]] = {"floor": floor, "broker": broker}
