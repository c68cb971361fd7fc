"""One time for ledger and policy: what has run out does not begin again because somebody set the clock back."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from assent.config import load_settings
from assent.core.actions import Proposal
from assent.core.agents import AgentId
from assent.core.decisions import Effect
from assent.wiring import Clocks, assemble
from tests.contracts.samples import Clock
from tests.hammers import broker, policy

UNTIL = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.mark.requirement("T15")
def test_a_rule_that_has_run_out_is_not_in_force_again_when_the_clock_is_set_back(tmp_path: Path) -> None:
    at = broker.install(tmp_path / "home")
    role = at.folder / "policies" / "roles" / "hammerer.yaml"
    lasting = "environments: [staging], effect: allow"
    role.write_text(role.read_text().replace(lasting, f'{lasting}, until: "{UNTIL.isoformat()}"'))
    clock = Clock(now=UNTIL)
    clock.step(minutes=-1)
    settings = load_settings(at.folder / "assent.toml")
    assembly = assemble(settings, issuer=at.url, clocks=Clocks(wall=clock, steady=lambda: clock.steady))
    try:
        current = assembly.policies.current
        proposal = current.propose("notes.write", {"path": "stg/a.txt", "content": ""})
        assert isinstance(proposal, Proposal)
        seen = []
        for minutes in (0, 2, -120):
            clock.step(minutes=minutes)
            seen.append(current.verdict(proposal, AgentId(policy.AGENT), ()).effect)
        assert seen == [Effect.ALLOW, Effect.DENY, Effect.DENY]
    finally:
        asyncio.run(assembly.ledger.close())
