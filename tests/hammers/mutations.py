"""Arguments swapped between approval and run: whatever was not approved is refused, the same in other order is not.

Half of the grants are redeemed by the agent, half by the tool's own service that was handed the signed token.
"""

import secrets
from collections import Counter
from pathlib import Path
from typing import Any, Final

from tests.hammers import broker, records
from tests.hammers.broker import Installation
from tests.hammers.budget import Budget, Report, expect
from tests.hammers.calls import Answer, Caller
from tests.hammers.grants import Granted, approved
from tests.hammers.mutants import mutant, reordered

FULL_HITS: Final = 10_000
HITS_PER_GRANT: Final = 100
# Refused because it is not what was granted, or because it is nothing that could be asked.
REFUSED: Final = {(409, "digest_mismatch"), (400, "bad_request"), (400, "bad_json")}


def run(folder: Path, budget: Budget) -> Report:
    """Present mutants of approved arguments until the budget is spent, and after each batch the original, reordered."""
    at = broker.install(folder / "mutations")
    heard: Counter[tuple[int, str]] = Counter()
    grants = 0
    with broker.serving(at):
        while budget.goes_on(heard.total()):
            _one_grant(at, budget, grants, heard)
            grants += 1
    redeemed = records.of_kind(records.read(at.ledger), "grant.redeemed")
    expect(len(redeemed) == grants, f"{grants} originals were redeemed and {len(redeemed)} redemptions recorded")
    return Report(
        counts={
            "mutations": heard.total(),
            "mutations that ran": 0,
            "originals with keys in another order that ran": grants,
            **{f"refused with {status} `{code}`": count for (status, code), count in sorted(heard.items())},
        },
    )


def _arguments(budget: Budget, number: int) -> dict[str, Any]:
    rng = budget.random()
    return {
        "path": f"prod/{number}/config.yaml",
        "count": number + 1,
        "ratio": round(rng.random(), 3),
        "careful": True,
        "note": None if number % 3 == 0 else "réplicas to three, then back",
        "tags": ["blue", "green", "one"],
        "window": {"start": "03:00", "minutes": 15, "days": [1, 2, 5]},
    }


def _one_grant(at: Installation, budget: Budget, number: int, heard: Counter[tuple[int, str]]) -> None:
    by_tool = number % 2 == 1
    granted = approved(at, "shape.serve" if by_tool else "shape.apply", _arguments(budget, number))
    caller = Caller(at.port, at.service_key if by_tool else at.agent_keys[number % len(at.agent_keys)])
    rng = budget.random()
    rng.seed(f"{budget.seed}/{number}")
    for _ in range(HITS_PER_GRANT):
        changed = mutant(granted.arguments, rng)
        answer = _redeem(caller, granted, changed)
        outcome = (answer.status, answer.code)
        expect(outcome in REFUSED, f"{changed} was presented for {granted.arguments} and answered {answer}")
        heard[outcome] += 1
    again = reordered(granted.arguments, rng)
    answer = _redeem(caller, granted, again)
    expect(answer.status == 200, f"the original in another order, {again}, was answered {answer}")
    expect(answer.body["arguments"] == granted.arguments, f"other arguments came back: {answer.body}")
    caller.close()


def _redeem(caller: Caller, granted: Granted, arguments: dict[str, Any]) -> Answer:
    attempt = secrets.token_urlsafe(24)
    if granted.token is not None and granted.tool_redeems:
        body = {"token": granted.token, "arguments": arguments, "attempt": attempt}
        return caller.post("/v1/grants/redeem", body)
    return caller.post(f"/v1/grants/{granted.id}/redeem", {"arguments": arguments, "attempt": attempt})
