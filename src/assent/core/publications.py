"""Publications: a policy version that lies in the ledger for every broker of it, and which version is active there.

    review = Review(commit=…, change_url=…, author=…, reviewer=…, tests=tests_of(text, version))     or BadRequest
    active = next_active(before, version=…, since=now, publication=…)

What was reviewed is told by who publishes it, and stands in the record of it: where to look, who wrote the change, who
looked at it, and that its cases came out. One person is not two: author and reviewer are different names.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NewType
from urllib.parse import urlsplit

from assent.core.canonical import sha256_hex
from assent.core.characters import hidden_characters
from assent.core.errors import BadRequest

PublicationId = NewType("PublicationId", str)

ACTIVE: Final = "active"
"""The id of the one row that names the active version."""
MAX_BUNDLE_BYTES: Final = 4 * 1024 * 1024
MAX_TESTS_BYTES: Final = 1024 * 1024
MAX_OFFER_BYTES: Final = 8 * 1024 * 1024
"""How long what is sent to publish a version may be: its files in base64, and its tests."""
MAX_NAME_CHARACTERS: Final = 100
MAX_URL_CHARACTERS: Final = 500
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_AGAIN: Final = "run `assent policy test DIR --json` on the directory that is published, and pass its output"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """The files of one version, by their path; `id` is the version's digest, so it never changes."""

    id: str
    files: Mapping[str, bytes]
    stored_at: datetime
    revision: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """What the cases of a version came to, as `assent policy test --json` told it: `digest` is that of its text."""

    digest: str
    cases: int
    rules: int
    unreached: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """Where a version comes from: the commit, where the change was discussed, who wrote it, who reviewed it, its tests.

    Raises (when made):
        BadRequest: one of them has another form, or author and reviewer are one.

    """

    commit: str
    change_url: str
    author: str
    reviewer: str
    tests: Tested

    def __post_init__(self) -> None:
        """Refuse what names nothing."""
        if _COMMIT.fullmatch(self.commit) is None:
            raise BadRequest("`commit` is no whole commit id", hint="give all of its 40 or 64 hex digits, lower case")
        _refuse_url(self.change_url)
        _refuse_name("author", self.author)
        _refuse_name("reviewer", self.reviewer)
        if self.author.strip().casefold() == self.reviewer.strip().casefold():
            raise BadRequest(
                "author and reviewer are the same person", hint="a change is reviewed by somebody who did not write it"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """That a version was published: by whom, when, and how it was reviewed. `id` sorts by the order of publishing.

    `release` is what lay beside the files to vouch for them, unopened; `record` is the id of its record.
    """

    id: PublicationId
    version: str
    by: str
    at: datetime
    review: Review
    release: bytes | None
    record: str
    revision: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivePolicy:
    """The version by which every broker of a ledger decides, since when; a latch: believed as a whole or not at all.

    `publication` is how it came here, None where a broker took it up from its own directory. `after` is the newest
    publication at that moment, None where there was none: what waits was published later.
    """

    id: str
    version: str
    since: datetime
    publication: PublicationId | None = None
    after: PublicationId | None = None
    revision: int = 1


def next_active(
    before: ActivePolicy | None,
    *,
    version: str,
    since: datetime,
    publication: PublicationId | None,
    newest: PublicationId | None,
) -> ActivePolicy:
    """Return the row that says that `version` is active from `since` on."""
    revision = 1 if before is None else before.revision + 1
    return ActivePolicy(
        id=ACTIVE, version=version, since=since, publication=publication, after=newest, revision=revision
    )


def next_publication(newest: Publication | None, active: ActivePolicy | None) -> PublicationId:
    """Return the id of the publication that comes after `newest`, and after whatever `active` knows of."""
    known = ("" if newest is None else newest.id, "" if active is None else active.after or "")
    number = int(max(known).removeprefix("pub_") or 0)
    return PublicationId(f"pub_{number + 1:08d}")


def waits(active: ActivePolicy | None, newest: Publication | None) -> Publication | None:
    """Return the publication that waits for somebody to confirm it: the newest, unless it was settled."""
    if newest is None or (active is not None and active.after is not None and newest.id <= active.after):
        return None
    return newest


def tests_of(text: str, version: str) -> Tested:
    """Return what `assent policy test --json` told of `version`.

    Raises:
        BadRequest: it is not its output, is about another version, or a case came to something else.

    """
    if len(text.encode()) > MAX_TESTS_BYTES:
        raise BadRequest(f"the tests are longer than {MAX_TESTS_BYTES} bytes", hint=_AGAIN)
    try:
        found = json.loads(text)
        told, cases, rules, failed, unreached = (
            found["version"],
            len(_list(found["cases"])),
            int(found["rules"]),
            int(found["failed"]),
            len(_list(found["unreached"])),
        )
        differ = [case for case in found["cases"] if case["differs"]]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadRequest("the tests are not what `assent policy test --json` prints", hint=_AGAIN) from error
    if told != version:
        raise BadRequest(f"the tests are about version `{str(told)[:12]}`, not `{version[:12]}`", hint=_AGAIN)
    if failed or differ:
        raise BadRequest(f"{max(failed, len(differ))} of {cases} cases came to something else", hint="correct them")
    if not cases:
        raise BadRequest("the policy has no case: nothing was tested", hint="write what it must decide into `tests/`")
    return Tested(digest=sha256_hex(text.encode()), cases=cases, rules=rules, unreached=unreached)


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _refuse_name(which: str, name: str) -> None:
    if not name.strip() or len(name) > MAX_NAME_CHARACTERS or hidden_characters(name):
        raise BadRequest(
            f"`{which}` is no name", hint=f"up to {MAX_NAME_CHARACTERS} characters, none that a reader cannot see"
        )


def _refuse_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_plain = parts.scheme in {"https", "http"} and bool(parts.hostname) and parts.username is None
    except ValueError:
        is_plain = False
    if not is_plain or len(url) > MAX_URL_CHARACTERS or not url.isascii() or not url.isprintable() or " " in url:
        raise BadRequest(
            "`change_url` is no URL of a change",
            hint="give the page on which it was reviewed, `https://…`, no password",
        )
