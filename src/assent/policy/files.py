"""Reads a policy directory as one consistent set of bytes that only its owner could have written.

Rules kept here: directory and files belong to the running user or to root and nobody else may write them; no symbolic
link is followed; only files whose place is known are there; sizes are bounded; nothing changed while it was read.
"""

import grp
import os
import pwd
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from assent.core.canonical import digest
from assent.core.releases import MAX_RELEASE_BYTES
from assent.policy.findings import Findings, Place, did_you_mean, quoted

MAX_FILES: Final = 1_000
MAX_FILE_BYTES: Final = 32 * 1024 * 1024
MAX_TOTAL_BYTES: Final = 64 * 1024 * 1024

MODEL: Final = "model.conf"
AGENTS: Final = "agents.yaml"
OPERATORS: Final = "operators.yaml"
ROUTES: Final = "routes.yaml"
ENVIRONMENTS: Final = "environments.yaml"
BREAKERS: Final = "breakers.yaml"
README: Final = "README.md"
RELEASE: Final = "release.note"
"""Vouches for a version: it lies beside the files, is kept as they are, and is no part of what they are."""
REQUIRED: Final = (MODEL, AGENTS, OPERATORS, ROUTES, ENVIRONMENTS)
TOOLS: Final = "tools"
ROLES: Final = "roles"
CASES: Final = "tests"
FOLDERS: Final = (TOOLS, ROLES, CASES)
DRAFTS: Final = "drafts"
SCHEMAS: Final = "schemas"
EXAMPLES: Final = "examples"
PASSED_OVER: Final = (DRAFTS, EXAMPLES, SCHEMAS)
"""Folders beside the policy: nothing in them is read, and none of it is part of the version."""

_Seen = tuple[int, int, int, int]
_PLACES: Final = frozenset({(), *((folder,) for folder in FOLDERS)})


@dataclass(frozen=True, slots=True)
class Source:
    """The files of one policy directory by their path inside it, sorted, with the digest over all of them.

    `release` is what lies there to vouch for them, unopened; it is no part of the version.
    """

    files: dict[str, bytes]
    release: bytes | None = None

    @property
    def version(self) -> str:
        """SHA-256 over every path and content, hex; lengths are part of it, so no two sets share one."""
        parts = (part for path, content in self.files.items() for part in (path.encode(), content))
        return digest("assent/policy/v1", *parts).hex()

    def within(self, folder: str) -> Iterator[tuple[str, bytes]]:
        """Yield the files of one folder, by name."""
        return ((path, content) for path, content in self.files.items() if path.startswith(f"{folder}/"))


def read_directory(directory: Path, findings: Findings) -> Source:
    """Return every file of `directory`; what may not be there, or not like this, becomes a finding."""
    if not directory.is_dir():
        findings.add(Place("."), f"there is no directory {quoted(str(directory))}")
        return Source({})
    before = _survey(directory, findings)
    files = {name: _read(directory, name, findings) for name in sorted(before)}
    release = files.pop(RELEASE, None)
    if _survey(directory, Findings()) != before:
        findings.add(Place("."), "the directory changed while it was read, load it again")
    _check_whole(files, findings)
    return Source(files, release)


def of_files(files: Mapping[str, bytes], release: bytes | None, findings: Findings) -> Source:
    """Return files that lie in no directory as one source; what would have no place in one becomes a finding."""
    for name, content in files.items():
        if not _has_a_place(name) or PurePosixPath(name).parts[:-1] not in _PLACES or name == RELEASE:
            findings.add(Place(name), "nothing of this name has a place here")
        if len(content) > MAX_FILE_BYTES:
            findings.add(Place(name), f"is no file of at most {MAX_FILE_BYTES} bytes")
    if len(files) > MAX_FILES:
        findings.add(Place("."), f"there are more than {MAX_FILES} files")
    if release is not None and len(release) > MAX_RELEASE_BYTES:
        findings.add(Place(RELEASE), f"is no file of at most {MAX_RELEASE_BYTES} bytes")
    _check_whole(files, findings)
    return Source(dict(sorted(files.items())), release)


def _check_whole(files: Mapping[str, bytes], findings: Findings) -> None:
    if sum(map(len, files.values())) > MAX_TOTAL_BYTES:
        findings.add(Place("."), f"the files are larger than {MAX_TOTAL_BYTES} bytes together")
    for name in REQUIRED:
        if name not in files:
            findings.add(Place(name), "this file is missing")


def version_of(directory: Path) -> str | None:
    """Return the version that the files of `directory` have, sound or not; None when they cannot be read."""
    findings = Findings()
    source = read_directory(directory, findings)
    return None if findings else source.version


def _survey(directory: Path, findings: Findings) -> dict[str, _Seen]:
    """Return what identifies the state of each file; a link, a stranger or an unsafe mode becomes a finding."""
    found: dict[str, _Seen] = {}
    for folder in ("", *FOLDERS):
        found.update(_survey_folder(directory, folder, findings))
    if len(found) > MAX_FILES:
        findings.add(Place("."), f"there are more than {MAX_FILES} files")
    return found


def _survey_folder(directory: Path, folder: str, findings: Findings) -> Iterator[tuple[str, _Seen]]:
    path = directory / folder
    try:
        state = path.stat(follow_symlinks=not folder)
        names = sorted(entry.name for entry in path.iterdir())
    except FileNotFoundError:
        return
    except OSError as fault:
        findings.add(Place(folder or "."), f"cannot be read: {fault.strerror}")
        return
    _check_owner(folder or ".", state, findings)
    for name in names:
        inside = f"{folder}/{name}" if folder else name
        if (seen := _survey_entry(directory, inside, findings)) is not None:
            yield inside, seen


def _survey_entry(directory: Path, name: str, findings: Findings) -> _Seen | None:
    try:
        state = (directory / name).lstat()
    except OSError as fault:
        findings.add(Place(name), f"cannot be read: {fault.strerror}")
        return None
    if stat.S_ISLNK(state.st_mode):
        findings.add(Place(name), "is a symbolic link, put the file itself here")
        return None
    if stat.S_ISDIR(state.st_mode) and name in (*FOLDERS, *PASSED_OVER):
        return None
    if not stat.S_ISREG(state.st_mode) or not _has_a_place(name):
        findings.add(Place(name), "nothing of this name has a place here" + _suggestion(name))
        return None
    _check_owner(name, state, findings)
    return state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def _has_a_place(name: str) -> bool:
    path = PurePosixPath(name)
    if len(path.parts) == 1:
        return name in (*REQUIRED, BREAKERS, README, RELEASE)
    return path.suffix == ".yaml" and not path.name.startswith(".") and name.isascii()


def _suggestion(name: str) -> str:
    path = PurePosixPath(name)
    if len(path.parts) > 1:
        return ", files of this folder end in `.yaml`"
    return did_you_mean(name, (*REQUIRED, BREAKERS, README, RELEASE, *FOLDERS, *PASSED_OVER))


def _check_owner(name: str, state: os.stat_result, findings: Findings) -> None:
    if state.st_uid not in {0, os.geteuid()}:
        findings.add(Place(name), "belongs to somebody else, give it to the user that runs the broker or to root")
    if state.st_mode & stat.S_IWOTH or (state.st_mode & stat.S_IWGRP and not _is_private_group(state.st_gid)):
        findings.add(Place(name), "others may write it, run `chmod -R go-w` on the directory")


def _is_private_group(group: int) -> bool:
    """Whether `group` is this user's own and nobody else's: where umask 002 is the rule, it gives nobody more."""
    try:
        mine, theirs = pwd.getpwuid(os.geteuid()), grp.getgrgid(group)
    except KeyError:
        return False
    return (mine.pw_gid, mine.pw_name) == (group, theirs.gr_name) and set(theirs.gr_mem) <= {mine.pw_name}


def _read(directory: Path, name: str, findings: Findings) -> bytes:
    # The descriptor is checked again: between the survey and here the name may have come to mean another file.
    try:
        descriptor = os.open(directory / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as fault:
        findings.add(Place(name), f"cannot be read: {fault.strerror}")
        return b""
    with os.fdopen(descriptor, "rb") as file:
        state = os.fstat(file.fileno())
        _check_owner(name, state, findings)
        most = MAX_RELEASE_BYTES if name == RELEASE else MAX_FILE_BYTES
        if not stat.S_ISREG(state.st_mode) or state.st_size > most:
            findings.add(Place(name), f"is no file of at most {most} bytes")
            return b""
        return file.read(most + 1)
