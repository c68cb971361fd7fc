"""Where the story happens: a new folder with a town, a broker's configuration, keys, policies, and credentials.

What `assent init` makes for you, made for the people of the story. Secrets lie in the folder, which only its owner can
open, and in this process; nothing outside the folder is written.
"""

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from assent.config import load_settings
from assent.core.credentials import Kind
from assent.demo.town import Town, build
from assent.flows.manage_principals import issue_credential
from assent.stores.keys import Keys
from assent.wiring import assemble

AGENT: Final = "clerk"
OWNER: Final = "mara"
SECOND: Final = "noor"
# A short tick lets the story hear of a time-out when it happens; a checkpoint follows every change at once.
_CONFIGURATION: Final = """\
# The broker of the demo. `assent serve --config` with this file starts it again.
tick_seconds = 0.1
checkpoint_seconds = 0.1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The folder and what was put there; `tokens` are the people's, `agent_key` is the clerk's."""

    folder: Path
    town: Town
    agent_key: str = field(repr=False)
    tokens: dict[str, str] = field(repr=False)

    @property
    def configuration(self) -> Path:
        """The broker's `assent.toml`."""
        return self.folder / "broker" / "assent.toml"


def set_up(folder: Path) -> Setting:
    """Return a setting in `folder`, which exists, is empty and is its owner's alone.

    Raises:
        PolicyInvalid, KeysInvalid, LedgerUnavailable: the broker could not be put together there.

    """
    broker = folder / "broker"
    broker.mkdir(mode=0o700)
    (broker / "assent.toml").write_text(_CONFIGURATION)
    with as_file(files("assent.demo") / "policies") as policies:
        _copy(policies, broker / "policies")
    Keys.create(broker / "keys")
    key, *tokens = asyncio.run(_issue(broker / "assent.toml"))
    return Setting(
        folder=folder,
        town=build(folder / "town"),
        agent_key=key,
        tokens=dict(zip((OWNER, SECOND), tokens, strict=True)),
    )


async def _issue(configuration: Path) -> Sequence[str]:
    """Return the agent's key and the people's tokens, recorded in the new ledger as issued by who runs the demo."""
    assembly = assemble(load_settings(configuration), issuer="demo")
    try:
        wanted = ((Kind.AGENT, AGENT), (Kind.OPERATOR, OWNER), (Kind.OPERATOR, SECOND))
        issued = [await issue_credential(assembly.broker, kind, name, issued_by="demo") for kind, name in wanted]
    finally:
        await assembly.ledger.close()
    return [credential.token for credential in issued]


def _copy(source: Path, target: Path) -> None:
    """Copy policy files so that nobody else can write them, whatever the umask and the modes of the source are."""
    target.mkdir(mode=0o700)
    for file in sorted(source.rglob("*")):
        copied = target / file.relative_to(source)
        if file.is_dir():
            copied.mkdir(mode=0o700)
        elif file.suffix in {".yaml", ".conf"}:
            shutil.copyfile(file, copied)
            copied.chmod(0o600)
