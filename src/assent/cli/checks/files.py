"""The files that a broker reads: its settings, its keys, its policies, and who else may read or write them."""

import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from assent.cli.checks.findings import Finding, State
from assent.core.errors import AssentError

if TYPE_CHECKING:
    from assent.config import Settings

SHOWN_FINDINGS: Final = 3


def settings(config: Path | None) -> Iterator[Finding]:
    """Look at the settings, as a broker would read them now."""
    from assent.cli.place import settings_here
    from assent.config import find_file

    file = find_file(config, Path())
    found = settings_here(config)
    if file is not None and file.stat().st_mode & (stat.S_IWOTH | stat.S_IWGRP):
        yield Finding("settings", State.WRONG, f"`{file}` can be written by others", f"chmod go-w {file}")
        return
    place = "no file, defaults" if file is None else str(file)
    yield Finding("settings", State.OK, f"{place}; listens on {found.host} port {found.port}")


def settings_or_none(config: Path | None) -> "Settings | None":
    """Return the settings, or None where they are refused, for the checks that need them."""
    try:
        from assent.cli.place import settings_here

        return settings_here(config)
    except (AssentError, OSError, ImportError):
        return None


def keys(settings: "Settings") -> Iterator[Finding]:
    """Look at the four keys, and at what a rotation left that is to go."""
    from assent.cli.key_list import leftover, recorded_here
    from assent.stores.key_places import KeyPlaces
    from assent.stores.keys import Keys
    from assent.stores.rotation import wishes

    found = Keys.load(KeyPlaces.of(settings))
    wishes(settings.keys_directory)
    key = found.log_verifier_key(settings.log_origin)
    yield Finding(
        "keys", State.OK, f"four in {settings.keys_directory}, for their owner alone; log key {key.key_id.hex()}"
    )
    over = leftover(settings, recorded_here(settings, found))
    if over is not None:
        yield Finding("old log key", State.WRONG, f"`{over}` signs nothing any more and still lies there", f"rm {over}")


def tls_key(settings: "Settings") -> Iterator[Finding]:
    """Look at the key of the certificate, where the broker speaks TLS itself."""
    from assent.config import require_private

    if settings.tls_key_file is not None:
        require_private(settings.tls_key_file, "tls_key_file")
        yield Finding("tls key", State.OK, f"{settings.tls_key_file}, for its owner alone")


def policies(settings: "Settings") -> Iterator[Finding]:
    """Look at the policies as they lie there now; a broker that serves may serve the version before."""
    from assent.core.errors import PolicyInvalid
    from assent.policy import load

    try:
        found = load(settings.policy_directory, lambda: datetime.now(UTC))
    except PolicyInvalid as fault:
        shown = "; ".join(fault.findings[:SHOWN_FINDINGS])
        more = len(fault.findings) - SHOWN_FINDINGS
        said = f"{len(fault.findings)} findings: {shown}" + (f"; and {more} more" if more > 0 else "")
        yield Finding(
            "policies", State.WRONG, said, f"correct them; `{settings.policy_directory}` is not taken up before"
        )
        return
    people, agents = len(found.operators()), len(found.agents())
    yield Finding("policies", State.OK, f"version {found.version[:12]}, {agents} agents, {people} operators")
