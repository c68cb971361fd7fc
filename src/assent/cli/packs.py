"""Packs of policy files: which there are, and how they come beside the policies of a broker that is made already.

Nothing is overwritten, and nothing is written that would not load: the whole is tried in a copy first.
"""

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory, mkstemp
from typing import Final

from assent.cli.output import Usage, print_table, words
from assent.cli.starting import AGENT
from assent.cli.writing import write_below
from assent.config import DEFAULT_FILE, load_settings
from assent.policy import load
from assent.policy.findings import did_you_mean, quoted
from assent.policy.packs import AGENTS, PACKS, joined, pack

# Each file refers to those before it, so a broker that watches the directory never sees a whole that is none.
ORDER: Final = ("tools", "roles", AGENTS, "tests")


def known(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names, each once, when there is a pack for each.

    Raises:
        Usage: there is none of that name.

    """
    named = tuple(dict.fromkeys(names))
    for name in named:
        if name not in PACKS:
            raise Usage(
                f"there is no pack {quoted(name)}{did_you_mean(name, PACKS)}, nothing was made",
                hint="`assent init --list-packs` names them",
            )
    return named


def tell(*, as_json: bool) -> None:
    """Print which packs there are and what each is about."""
    if as_json:
        print(json.dumps({"packs": [{"name": name, "about": one.about} for name, one in PACKS.items()]}))
    else:
        print_table(("PACK", "ABOUT"), ((name, one.about) for name, one in PACKS.items()), empty="there is none")


def tell_what_to_edit(directory: Path, names: Sequence[str]) -> None:
    """Print where the packs lie and which names in them stand for the reader's own."""
    print(f"put into {policies_of(directory)}: {words(names)}; what is left to you:")
    for name in names:
        print(f"  {name}: {PACKS[name].edit}")
        print(f"    in tools/, roles/ and tests/{name}.yaml; docs/packs/{name}.md says what passes, asks and is denied")
    print(f"  {AGENTS}: the agents of the packs are samples without keys, name yours and their owners;")
    print(f"    to try a pack at once, add its roles to those of `{AGENT}`, which has one")


def policies_of(directory: Path) -> Path:
    """Return where the broker in `directory` reads its policies."""
    return load_settings(directory / DEFAULT_FILE).policy_directory


def add(directory: Path, names: Sequence[str]) -> tuple[str, ...]:
    """Write packs beside the policies of the broker in `directory`; return those that were not there before.

    Raises:
        PolicyInvalid: with them the policies would not load; nothing was written.

    """
    policies = policies_of(directory)
    missing = tuple(name for name in names if not _is_there(policies, name))
    if not missing:
        return ()
    with TemporaryDirectory(prefix="assent-packs-") as folder:
        trial = Path(folder) / "policies"
        shutil.copytree(policies, trial, symlinks=True)
        _write(trial, missing)
        load(trial, lambda: datetime.now(UTC))
    _write(policies, missing)
    return missing


def _is_there(policies: Path, name: str) -> bool:
    return any((policies / path).exists() for path in pack(name) if path != AGENTS)


def _write(policies: Path, names: Sequence[str]) -> None:
    for name in names:
        for path, content in sorted(pack(name).items(), key=lambda item: ORDER.index(PurePosixPath(item[0]).parts[0])):
            if path == AGENTS:
                _replace(policies / path, joined((policies / path).read_bytes(), content))
            else:
                write_below(policies, path, content)


def _replace(file: Path, content: bytes) -> None:
    """Put `content` in the place of a file at once; what is being written lies outside of the policies."""
    descriptor, making = mkstemp(prefix=f"{file.name}-", dir=file.parent.parent)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(content)
        os.fchmod(descriptor, file.stat().st_mode & 0o755)
    Path(making).replace(file)
