"""A first broker: configuration, keys, policies, and the first two credentials, made once and never overwritten.

`assent.toml` is written last: a directory that has it is complete, one that has parts of it without it is refused.
"""

import asyncio
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from assent.cli.place import settings_of_a_clone
from assent.cli.writing import write, write_below
from assent.config import DEFAULT_FILE, Settings, load_settings
from assent.core.credentials import Kind
from assent.core.errors import ConfigInvalid
from assent.flows.manage_principals import issue_credential
from assent.policy.packs import starter
from assent.stores.keys import Keys
from assent.wiring import assemble, publish_key

OPERATOR: Final = "you"
AGENT: Final = "demo-agent"
AGENT_OWNER: Final = "demo-owner"
ISSUER: Final = "assent init"
CREDENTIALS: Final = "credentials.env"
IGNORE: Final = ".gitignore"
_OURS: Final = (CREDENTIALS, "keys", "policies", "ledger.db", "agent.py")
_BESIDE: Final = ("-wal", "-shm", ".pub", ".knock", ".lock", ".checkpoint")
URL: Final = "http://127.0.0.1:8420"

CONFIGURATION: Final = """\
# Where this broker listens and what it works with. Every setting: docs/configuration.md.
# A path is relative to this file. ASSENT_<SETTING> in the environment wins over a line here.

host = "127.0.0.1"
port = 8420

policy_directory = "policies"
keys_directory = "keys"
ledger_file = "ledger.db"
"""

AGENT_PROGRAM: Final = '''\
"""An agent that asks before it writes; in production a person answers. Its key comes from ASSENT_AGENT_KEY."""
import pathlib
import assent
broker = assent.Assent("http://127.0.0.1:8420")
@broker.guard("files.write", reason="first steps")
def write(path: str, content: str) -> None:
    pathlib.Path("town", path).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path("town", path).write_text(content)
    print("wrote town/" + path)
with broker.run("first-steps"):
    write("staging/hello.txt", "hello")  # allowed at once
    write("prod/hello.txt", "hello")  # waits until a person says yes
'''


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What a first start made: where the configuration is, and the two credentials that nobody sees again."""

    config: Path
    operator_token: str
    agent_key: str


def is_complete(directory: Path) -> bool:
    """Whether an earlier run made everything."""
    return (directory / DEFAULT_FILE).is_file()


def start_in(directory: Path, packs: Sequence[str] = (), *, keep: bool = False) -> Started:
    """Make everything that a broker needs in `directory`, with packs beside the starter policies.

    With `keep` both credentials are written to a file there. What cannot be made whole is not left: nobody has seen
    anything of it.

    Raises:
        ConfigInvalid: something of ours is there already without its configuration.
        OSError: something cannot be written.

    """
    _refuse_remains(directory, _OURS)
    before = {*directory.iterdir()} if directory.is_dir() else None
    try:
        return _start_in(directory, packs, keep=keep)
    except BaseException:
        _take_back(directory, before)
        raise


def _start_in(directory: Path, packs: Sequence[str], *, keep: bool) -> Started:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    ignore_in_git(directory)
    for name, content in starter(packs).items():
        write_below(directory / "policies", name, content)
    settings = load_settings(None, root=directory)
    operator_token, agent_key = first_credentials(settings)
    write(directory / "agent.py", AGENT_PROGRAM.encode(), 0o644)
    if keep:
        keep_credentials(directory / CREDENTIALS, operator_token=operator_token, agent_key=agent_key)
    write(directory / DEFAULT_FILE, CONFIGURATION.encode(), 0o644)
    return Started(config=directory / DEFAULT_FILE, operator_token=operator_token, agent_key=agent_key)


def _take_back(directory: Path, before: set[Path] | None) -> None:
    """Remove what was made in `directory`, and itself where it was not there `before`."""
    names = (*_OURS, IGNORE, DEFAULT_FILE, *(f"ledger.db{suffix}" for suffix in _BESIDE))
    for path in (directory / name for name in names if directory / name not in (before or ())):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    if before is None:
        with suppress(OSError):  # not made, or not ours to remove
            directory.rmdir()


def make_state(state: Path, *, keep: bool) -> tuple[str, str]:
    """Make the state of a broker that serves `./policies`; return the first operator's token and the agent's key.

    With `keep` they are written into the state. It appears under its name only when it is whole.
    """
    making = Path(mkdtemp(prefix=f"{state.name}-", dir=state.parent))
    try:
        ignore_in_git(making)
        operator_token, agent_key = first_credentials(settings_of_a_clone(making))
        if keep:
            keep_credentials(making / CREDENTIALS, operator_token=operator_token, agent_key=agent_key)
        making.rename(state)
    except BaseException:
        # What was made was shown to nobody, so nothing is lost with it.
        shutil.rmtree(making, ignore_errors=True)
        raise
    return operator_token, agent_key


def first_credentials(settings: Settings) -> tuple[str, str]:
    """Make keys and ledger; return the operator's token and the agent's key, each recorded with who issued it."""
    Keys.create(settings.keys_directory)
    return asyncio.run(_issue(settings))


async def _issue(settings: Settings) -> tuple[str, str]:
    assembly = assemble(settings, issuer=URL)
    try:
        publish_key(assembly)
        operator = await issue_credential(assembly.broker, Kind.OPERATOR, OPERATOR, issued_by=ISSUER)
        agent = await issue_credential(assembly.broker, Kind.AGENT, AGENT, issued_by=AGENT_OWNER)
    finally:
        await assembly.ledger.close()
    return operator.token, agent.token


def ignore_in_git(directory: Path) -> None:
    """Keep everything in `directory` out of git, because keys lie there; a file of the reader's own is left."""
    file = directory / IGNORE
    if not file.exists():
        write(file, b"*\n", 0o644)


def keep_credentials(file: Path, *, operator_token: str, agent_key: str) -> Path:
    """Write both credentials to `file`, for its owner alone, in the form that a shell reads."""
    text = f"export ASSENT_OPERATOR_TOKEN={operator_token}\nexport ASSENT_AGENT_KEY={agent_key}\n"
    write(file, text.encode(), 0o600)
    return file


def _refuse_remains(directory: Path, names: tuple[str, ...]) -> None:
    remains = [name for name in names if (directory / name).exists()]
    if remains:
        raise ConfigInvalid(
            f"`{directory}` holds `{remains[0]}` but no {DEFAULT_FILE}: nothing is overwritten",
            hint="choose another directory, or move away what an unfinished run left there",
        )
