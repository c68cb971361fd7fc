"""Where a broker of this machine lives: its configuration file, or the state that `serve` keeps in a clone."""

from pathlib import Path
from typing import Final

from assent.config import Settings, find_file, load_settings
from assent.core.errors import ConfigInvalid

STATE: Final = Path(".assent")
POLICIES: Final = Path("policies")


def settings_here(config: Path | None, **changes: str | int) -> Settings:
    """Return the settings of `config`, of `./assent.toml`, or of a clone: `./policies` with state under `./.assent`.

    Raises:
        ConfigInvalid: there is none of them, or what is there is refused.

    """
    file = find_file(config, Path())
    if file is not None:
        return load_settings(file, root=None, **changes)
    if not POLICIES.is_dir():
        raise ConfigInvalid("there is neither `assent.toml` nor `policies/` here", hint="run `assent init DIR` first")
    return settings_of_a_clone(STATE, **changes)


def is_clone_without_state() -> bool:
    """Whether there are policies here, but neither a configuration nor the state of an earlier start."""
    return find_file(None, Path()) is None and POLICIES.is_dir() and not STATE.exists()


def settings_of_a_clone(state: Path, **changes: str | int) -> Settings:
    """Return the settings of a broker that keeps its state in `state`, and serves `./policies`."""
    return load_settings(None, root=state, policy_directory=POLICIES, **changes)
