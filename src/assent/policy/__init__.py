"""Policy: a directory of files becomes one immutable version that says what every agent may do.

`load` builds a version, off the event loop and without touching anything global; `PolicyHolder` swaps versions.
"""

from collections.abc import Mapping
from pathlib import Path

from assent.policy import files as policy_files
from assent.policy.files import Source, read_directory
from assent.policy.findings import Findings
from assent.policy.loaded import LoadedPolicy
from assent.policy.loading import declare
from assent.policy.trial import ask_cases, uncollected
from assent.ports import Clock

__all__ = ["LoadedPolicy", "load", "of_copy", "of_directory", "of_files"]


def load(directory: Path, clock: Clock) -> LoadedPolicy:
    """Return the policy of `directory`; `clock` tells the aware UTC time at which rules and agents expire.

    Raises:
        PolicyInvalid: the directory was refused; `findings` name every place.

    """
    return of_directory(directory, clock)[0]


def of_directory(directory: Path, clock: Clock) -> tuple[LoadedPolicy, Source]:
    """Return the policy of `directory`, and the bytes that it was made of. Raises as `load`."""
    findings = Findings()
    source = read_directory(directory, findings)
    findings.raise_if_any(str(directory))
    policy = _made_of(source, findings, str(directory), clock)
    ask_cases(policy, findings, clock())
    findings.raise_if_any(str(directory))
    return policy, source


def of_files(files: Mapping[str, bytes], release: bytes | None, clock: Clock) -> tuple[LoadedPolicy, Source]:
    """Return the policy of files by their path, checked as a directory of them is. Raises as `load`."""
    findings = Findings()
    source = policy_files.of_files(files, release, findings)
    where = f"version {source.version[:12]}"
    findings.raise_if_any(where)
    policy = _made_of(source, findings, where, clock)
    ask_cases(policy, findings, clock())
    findings.raise_if_any(where)
    return policy, source


def of_copy(source: Source, clock: Clock) -> LoadedPolicy:
    """Return the policy of files that were taken before; its cases were asked then, and dates may have passed since.

    Raises:
        PolicyInvalid: this program does not take them.

    """
    return _made_of(source, Findings(), f"copy of {source.version[:12]}", clock)


def _made_of(source: Source, findings: Findings, where: str, clock: Clock) -> LoadedPolicy:
    with uncollected():
        declared = declare(source, findings)
        findings.raise_if_any(where)
        return LoadedPolicy(declared, clock, release=source.release)
