"""Policy: a directory of files becomes one immutable version that says what every agent may do.

`load` builds a version, off the event loop and without touching anything global; `PolicyHolder` swaps versions.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from assent.core.agents import AgentId
from assent.core.decisions import Effect
from assent.core.reasons import Reason
from assent.policy.cases import Case, widened
from assent.policy.files import Source, read_directory
from assent.policy.findings import Findings
from assent.policy.loaded import LoadedPolicy
from assent.policy.loading import declare
from assent.ports import Clock

__all__ = ["LoadedPolicy", "load", "of_copy", "of_directory"]


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
    for case in policy.cases:
        if (wrong := widened(case, _effect(policy, case, case.now or clock()))) is not None:
            findings.add(case.place, wrong)
    findings.raise_if_any(str(directory))
    return policy, source


def of_copy(source: Source, clock: Clock) -> LoadedPolicy:
    """Return the policy of files that were taken before; its cases were asked then, and dates may have passed since.

    Raises:
        PolicyInvalid: this program does not take them.

    """
    return _made_of(source, Findings(), f"copy of {source.version[:12]}", clock)


def _made_of(source: Source, findings: Findings, where: str, clock: Clock) -> LoadedPolicy:
    with _uncollected():
        declared = declare(source, findings)
        findings.raise_if_any(where)
        return LoadedPolicy(declared, clock)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the garbage collector from going through a growing policy again and again: nothing of it is garbage yet."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _effect(policy: LoadedPolicy, case: Case, now: datetime) -> Effect:
    proposal = policy.propose(case.tool, dict(case.arguments))
    if isinstance(proposal, Reason):
        return Effect.DENY
    return policy.verdict_at(now, proposal, AgentId(case.agent), case.on_behalf_of).effect
