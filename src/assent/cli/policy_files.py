"""Policy files on this machine, as the commands that look at them need them; JSON in the shapes that the API has."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from assent.cli.output import Usage
from assent.core.canonical import Json
from assent.core.deliveries import Reached, reached
from assent.core.explanations import Asking, DocumentFormat
from assent.policy.checking import Checked, check, sound
from assent.policy.document import written_out
from assent.policy.explaining import explain
from assent.policy.files import SCHEMAS
from assent.policy.findings import Finding, Place
from assent.policy.schemas import written
from assent.policy.trial import Trial, Tried, try_cases
from assent.wire.policies import changes_view, explanation_view

_CONFIGURATION: Final = Path("assent.toml")
_POLICIES: Final = Path("policies")


def directory_of(given: Path | None) -> Path:
    """Return the directory that was named, or the one of the broker here.

    Raises:
        Usage: none was named and there is none.

    """
    if given is not None:
        return given
    if not _CONFIGURATION.is_file():
        if _POLICIES.is_dir():
            return _POLICIES
        raise Usage("there is neither `assent.toml` nor `policies/` here", hint="name the policy directory")
    # Only a machine with a broker has a configuration, and what reads it.
    from assent.config import load_settings

    return load_settings(_CONFIGURATION, root=None).policy_directory


def now() -> datetime:
    """Return the time by which dates in files are read."""
    return datetime.now(UTC)


def checked(directory: Path) -> Checked:
    """Return everything that is found in a directory."""
    return check(directory, now())


def checked_as_json(directory: Path, found: Checked) -> dict[str, Any]:
    """Return it for a program."""
    return {
        "directory": str(directory),
        "version": found.version,
        "errors": found.errors,
        "advice": found.advice,
        "left_out": found.left_out,
        "findings": [_finding(finding) for finding in found.findings],
        "routes": [
            {"route": name, "people": list(told.people), "places": list(told.places)}
            for name, told in told_by_routes(found).items()
        ],
    }


def told_by_routes(found: Checked) -> dict[str, Reached]:
    """Return whom every route tells, by its name; nothing of a directory that cannot serve."""
    policy = found.policy
    if policy is None:
        return {}
    return {route.name: reached(route, policy.operators()) for route in policy.all_routes()}


def _finding(finding: Finding) -> dict[str, Any]:
    return {**_place(finding.place), "severity": finding.severity.value, "message": finding.message}


def _place(place: Place) -> dict[str, Any]:
    return {"file": place.file, "line": place.line, "column": place.column}


def tried(directory: Path) -> Trial:
    """Return what every case of a directory comes to.

    Raises:
        PolicyInvalid: the directory has errors.

    """
    moment = now()
    return try_cases(sound(directory, moment), moment)


def trial_as_json(trial: Trial) -> dict[str, Any]:
    """Return it for a program."""
    return {
        "version": trial.version,
        "cases": [_tried(one) for one in trial.tried],
        "failed": len(trial.failed),
        "rules": trial.rules,
        "unreached": [{"id": rule.id, **_place(rule.place)} for rule in trial.unreached],
    }


def _tried(one: Tried) -> dict[str, Any]:
    return {
        "name": one.case.name,
        **_place(one.case.place),
        "decision": one.decision.answer.value,
        "rules": list(one.decision.rules),
        "routes": list(one.decision.routes),
        "reasons": [reason.code for reason in one.decision.reasons],
        "differs": list(one.differs),
    }


def explained(
    directory: Path, agent: str, tool: str, arguments: dict[str, Json], on_behalf_of: tuple[str, ...]
) -> dict[str, Any]:
    """Return what a directory makes of a question. Raises as `tried`."""
    moment = now()
    policy = sound(directory, moment)
    asking = Asking(agent=agent, tool=tool, arguments=arguments, on_behalf_of=on_behalf_of)
    return _plain(asdict(explanation_view(explain(policy, asking, moment), policy.version)))


def shown(directory: Path, kind: DocumentFormat, *, agent: str | None, role: str | None) -> dict[str, Any]:
    """Return a directory written out. Raises as `tried`, and NotFound for an agent or role that it lacks."""
    moment = now()
    policy = sound(directory, moment)
    text = written_out(policy, kind, moment, agent=agent, role=role)
    return {"policy_version": policy.version, "format": kind.value, "text": text}


def write_schemas(directory: Path) -> list[str]:
    """Write the schemas of this program into a policy directory, in place of older ones; return their names.

    Raises:
        Usage: there is no such directory.

    """
    if not directory.is_dir():
        raise Usage(f"there is no directory `{directory}`", hint="name the policy directory")
    found = written()
    (directory / SCHEMAS).mkdir(mode=0o755, exist_ok=True)
    for name, content in found.items():
        (directory / name).write_bytes(content)
    return list(found)


def changes(old: Path, new: Path) -> list[dict[str, Any]]:
    """Return what `new` gives more or less than `old`. Raises as `tried`."""
    moment = now()
    before = sound(old, moment)
    return [asdict(change) for change in changes_view(sound(new, moment).changes_since(before))]


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(json.dumps(value))
    return loaded
