"""Reading the settings: the file, `ASSENT_*` in its place, and what is wrong with them in words."""

import os
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from assent.config.forms import is_address
from assent.config.settings import PREFIX, SECRETS, Settings, Unsafe
from assent.core.characters import visible
from assent.core.errors import ConfigInvalid

DEFAULT_FILE: Final = "assent.toml"
MAX_FILE_BYTES: Final = 65_536
# Read by clients, tests and contributors, not by the broker: these are no settings and no typing errors of one.
OTHER_VARIABLES: Final = frozenset(
    {
        "ASSENT_AGENT_KEY",
        "ASSENT_CASES",
        "ASSENT_DEBUG",
        "ASSENT_FAILPOINT",
        "ASSENT_OPERATOR_TOKEN",
        "ASSENT_SERVICE_KEY",
        "ASSENT_SPOOL",
        "ASSENT_URL",
    }
)
_SINK: Final = "checkpoint_sink"
_WEBHOOKS: Final = "webhooks"


def find_file(given: Path | None, directory: Path) -> Path | None:
    """Return the file that was named, else `assent.toml` in `directory` if it is there, else None.

    Raises:
        ConfigInvalid: the file that was named does not exist.

    """
    if given is None:
        default = directory / DEFAULT_FILE
        return default if default.is_file() else None
    if not given.is_file():
        raise ConfigInvalid(f"there is no file `{visible(str(given))}`", hint="make one with `assent init DIR`")
    return given


def load_settings(file: Path | None, *, root: Path | None = None, **given: str | int | Path) -> Settings:
    """Return the settings of `file`, with `ASSENT_*` in its place where set, and `given` above both.

    Paths that nobody sets lie in `root`, by default the directory of `file`.

    Raises:
        ConfigInvalid: a key is unknown, a value is out of bounds or unsafe; the message names key, fault and fix.

    """
    _refuse_unknown_variables(os.environ)
    base = root or (file.parent if file is not None else Path())
    written = {} if file is None else _read(file)
    values = _paths_below(base, {**_default_paths(), **written})
    try:
        known: dict[str, Any] = {**given, "written": values}
        return Settings(**known)
    except ValidationError as fault:
        raise _explained(fault, file) from None


def _read(file: Path) -> dict[str, Any]:
    name = visible(str(file))
    try:
        raw = file.read_bytes()
    except OSError as fault:
        raise ConfigInvalid(f"`{name}` cannot be read: {fault.strerror}") from None
    if len(raw) > MAX_FILE_BYTES:
        raise ConfigInvalid(f"`{name}` is longer than {MAX_FILE_BYTES} bytes")
    try:
        return _without_secrets(tomllib.loads(raw.decode()), name)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        said = visible(str(fault))
        raise ConfigInvalid(
            f"`{name}` is not TOML: {said[:1].lower()}{said[1:]}", hint="correct it at that place"
        ) from None


def _without_secrets(written: dict[str, Any], name: str) -> dict[str, Any]:
    for key in SECRETS:
        if key in written:
            variable = PREFIX + key.upper()
            hint = f"set `{variable}` in the environment, or `{key}_file` to a file of mode 0600"
            raise ConfigInvalid(f"`{key}` stands in `{name}`, where secrets are copied around", hint=hint)
    return written


def _path_keys() -> list[str]:
    return [key for key in Settings.model_fields if key.endswith(("_file", "_directory"))]


def _default_paths() -> dict[str, Any]:
    return {key: default for key in _path_keys() if (default := Settings.model_fields[key].default) is not None}


def _paths_below(base: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    paths = set(_path_keys())
    below = {
        key: base / value if key in paths and isinstance(value, str | Path) else value for key, value in values.items()
    }
    webhooks = below.get(_WEBHOOKS)
    if isinstance(webhooks, dict):
        below[_WEBHOOKS] = {name: _secret_below(base, one) for name, one in webhooks.items()}
    sink = below.get(_SINK)
    return {**below, _SINK: str(base / sink)} if isinstance(sink, str) and sink and not is_address(sink) else below


def _secret_below(base: Path, webhook: object) -> object:
    if not isinstance(webhook, dict) or not isinstance(webhook.get("secret_file"), str):
        return webhook
    return {**webhook, "secret_file": base / webhook["secret_file"]}


def _refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    known = {PREFIX + key.upper() for key in Settings.model_fields} | OTHER_VARIABLES
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known:
            raise ConfigInvalid(
                f"the environment sets `{visible(name)}`, which is no setting{_did_you_mean(name, known)}",
                hint="unset it; the settings stand in docs/configuration.md",
            )


def _did_you_mean(word: str, known: set[str]) -> str:
    near = get_close_matches(word, sorted(known), n=1)
    return f", did you mean `{near[0]}`" if near else ""


def _explained(fault: ValidationError, file: Path | None) -> ConfigInvalid:
    first = fault.errors(include_url=False)[0]
    key = ".".join(map(str, first["loc"]))
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, Unsafe):
        return ConfigInvalid(cause.wrong, hint=cause.fix)
    if first["type"] == "extra_forbidden":
        where = "this file" if file is None else f"`{visible(str(file))}`"
        suggestion = _did_you_mean(key, set(Settings.model_fields))
        return ConfigInvalid(
            f"`{visible(key)}` in {where} is no setting{suggestion}",
            hint="remove it; the settings stand in docs/configuration.md",
        )
    said = "…" if key in SECRETS else visible(str(first["input"])[:200])
    message = first["msg"].removeprefix("Value error, ")
    problem = message[:1].lower() + message[1:]
    variable = PREFIX + key.upper()
    place = f"`{variable}`" if variable in os.environ else f"`{key}`"
    return ConfigInvalid(f"{place} is `{said}`: {visible(problem)}", hint=f"correct {place}")
