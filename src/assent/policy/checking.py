"""Checking a directory for people: everything that would keep it from serving, and advice beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from assent.core.errors import PolicyInvalid
from assent.core.notes import NoteInvalid
from assent.core.releases import claimed
from assent.policy.advice import advise
from assent.policy.files import RELEASE, Source, read_directory
from assent.policy.findings import Finding, Findings, Place, Severity
from assent.policy.loaded import LoadedPolicy
from assent.policy.loading import declare
from assent.policy.trial import ask_cases, uncollected


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was found in a directory: no `version` when its files could not be read, no `policy` when it is unsound."""

    version: str | None
    findings: Sequence[Finding]
    left_out: int
    policy: LoadedPolicy | None

    @property
    def errors(self) -> int:
        """How many findings keep it from serving."""
        return sum(finding.severity is Severity.ERROR for finding in self.findings)

    @property
    def advice(self) -> int:
        """How many findings are advice."""
        return len(self.findings) - self.errors


def check(directory: Path, now: datetime) -> Checked:
    """Return everything that is found in `directory` at `now`."""
    findings = Findings()
    source = read_directory(directory, findings)
    if findings:
        return _checked(None, findings, None)
    with uncollected():
        declared = declare(source, findings)
        if findings:
            return _checked(source.version, findings, None)
        policy = LoadedPolicy(declared, lambda: now)
    ask_cases(policy, findings, now)
    advise(declared, findings, now)
    _look_at_release(source, findings)
    return _checked(source.version, findings, policy)


def _look_at_release(source: Source, findings: Findings) -> None:
    if source.release is None:
        return
    try:
        release = claimed(source.release)
    except NoteInvalid as fault:
        findings.advise(Place(RELEASE), f"vouches for nothing: {fault.message}")
        return
    if release.policy != source.version:
        findings.advise(Place(RELEASE), f"vouches for `{release.policy[:12]}` and not for these files; sign them anew")


def sound(directory: Path, now: datetime) -> LoadedPolicy:
    """Return the policy of `directory`, its cases not asked.

    Raises:
        PolicyInvalid: with every finding.

    """
    checked = check(directory, now)
    if checked.policy is None:
        errors = tuple(str(finding) for finding in checked.findings if finding.severity is Severity.ERROR)
        raise PolicyInvalid(
            f"the policy in `{directory}` has errors: {errors[0]}",
            findings=errors,
            hint="correct them first; `assent policy check` lists them all",
        )
    return checked.policy


def _checked(version: str | None, findings: Findings, policy: LoadedPolicy | None) -> Checked:
    return Checked(version=version, findings=findings.all(), left_out=findings.left_out, policy=policy)
