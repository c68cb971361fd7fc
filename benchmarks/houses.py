"""A broker's folder made for measuring: keys, settings, a policy of any size, and a key for each agent that asks.

Made with the broker's own parts, so that what is measured is a broker as it would be installed.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from assent.config import Settings, load_settings
from assent.core.credentials import Kind
from assent.flows.manage_principals import issue_credential
from assent.stores.keys import Keys
from assent.wiring import Assembly, assemble
from benchmarks import policy_files
from benchmarks.questions import World, agent_name

ASKING_AGENTS: Final = 64
ISSUER: Final = "http://127.0.0.1"
# Nothing that was asked falls due while it is measured.
_SETTINGS: Final = """host = "127.0.0.1"
port = 0
lease_seconds = 86400
pick_up_seconds = 86400
policy_watch_seconds = 0
log_level = "warning"
ledger_file = "{ledger}"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Where one broker lives, and what opens it: a key for each of the first agents, and tokens of operators."""

    folder: Path
    agents: dict[str, str]
    operator: str
    people: dict[str, str]

    @property
    def settings_file(self) -> Path:
        """The file that the broker is started with."""
        return self.folder / "assent.toml"

    def settings(self) -> Settings:
        """Return the settings as the broker reads them."""
        return load_settings(self.settings_file)


def build(folder: Path, of: World, *, ledger: Path | None = None) -> House:
    """Make a broker's folder with the rules of `of`; the ledger may live elsewhere."""
    names = [agent_name(number) for number in range(min(of.agents, ASKING_AGENTS))]
    return furnish(folder, lambda place: policy_files.write(of, place), names, ledger=ledger)


def furnish(
    folder: Path,
    policy: Callable[[Path], None],
    names: Sequence[str],
    *,
    people: Sequence[str] = (),
    ledger: Path | None = None,
    more: str = "",
) -> House:
    """Make a broker's folder with what `policy` writes, keys for the agents `names`, tokens for `people`, settings."""
    folder.mkdir(mode=0o700, parents=True)
    policy(folder / "policies")
    Keys.create(folder / "keys")
    (folder / "assent.toml").write_text(_SETTINGS.format(ledger=ledger or folder / "ledger.db") + more)
    assembly = assemble(load_settings(folder / "assent.toml"), issuer=ISSUER)
    agents, operators = asyncio.run(_issue(assembly, names, [policy_files.OPERATOR, *people]))
    operator = operators.pop(policy_files.OPERATOR)
    return House(folder=folder, agents=agents, operator=operator, people=operators)


async def _issue(
    assembly: Assembly, names: Sequence[str], operators: Sequence[str]
) -> tuple[dict[str, str], dict[str, str]]:
    async def token(kind: Kind, principal: str) -> str:
        return (await issue_credential(assembly.broker, kind, principal, issued_by="bench")).token

    try:
        agents = {name: await token(Kind.AGENT, name) for name in names}
        return agents, {name: await token(Kind.OPERATOR, name) for name in operators}
    finally:
        await assembly.ledger.close()
