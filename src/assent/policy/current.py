"""The version that serves, one that may wait to be confirmed, and how either is replaced.

A new version is built beside the one that serves, then one reference is swapped: there is no moment without a version,
and nobody sees half of two. A directory that is refused changes nothing. Reading and serving are two steps: what serves
is on record before anybody is answered by it. Versions that were read are kept as copies, so that a broker that starts
on changed files can still tell what changed.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from assent.core.errors import NotFound, PolicyInvalid
from assent.core.explanations import Asking, DocumentFormat, Explanation
from assent.policy import LoadedPolicy, of_copy, of_directory, of_files
from assent.policy.copies import Copies
from assent.policy.document import written_out
from assent.policy.explaining import explain
from assent.policy.files import version_of
from assent.ports import Clock, Policy


class PolicyHolder:
    """Holds the version in force; read `current` once for everything that belongs to one decision."""

    def __init__(self, directory: Path, clock: Clock, copies: Copies | None = None) -> None:
        self._directory = directory
        self._clock = clock
        self._copies = copies
        self._waiting: Policy | None = None
        self._current: Policy = self.read_again()

    @property
    def current(self) -> Policy:
        return self._current

    @property
    def waiting(self) -> Policy | None:
        return self._waiting

    def read_again(self) -> LoadedPolicy:
        """Return what the directory holds now, serving nothing of it; slow with many rules: call it off the event loop.

        Raises:
            PolicyInvalid: the directory was refused.

        """
        policy, source = of_directory(self._directory, self._clock)
        if self._copies is not None:
            self._copies.put(source)
        return policy

    def version_on_disk(self) -> str | None:
        return version_of(self._directory)

    def kept(self, version: str) -> Policy | None:
        source = None if self._copies is None else self._copies.get(version)
        if source is None:
            return None
        try:
            return of_copy(source, self._clock)
        except PolicyInvalid:
            # An earlier program took it and this one does not: there is nothing to compare with.
            return None

    def files_of(self, version: str) -> Mapping[str, bytes] | None:
        source = None if self._copies is None else self._copies.get(version)
        return None if source is None else source.files

    def of_files(self, files: Mapping[str, bytes], release: bytes | None) -> LoadedPolicy:
        policy, source = of_files(files, release, self._clock)
        if self._copies is not None:
            self._copies.put(source)
        return policy

    def explain(self, version: Policy, asking: Asking, now: datetime) -> Explanation:
        return explain(_ours(version), asking, now)

    def document(
        self, version: Policy, kind: DocumentFormat, now: datetime, *, agent: str | None, role: str | None
    ) -> str:
        return written_out(_ours(version), kind, now, agent=agent, role=role)

    def serve(self, version: Policy) -> None:
        self._current = version

    def hold(self, version: Policy | None) -> None:
        self._waiting = version


def _ours(version: Policy) -> LoadedPolicy:
    if not isinstance(version, LoadedPolicy):
        raise NotFound("this version was not made of files")
    return version
