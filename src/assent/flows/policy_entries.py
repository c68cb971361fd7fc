"""Entries about policies: what was published, what waits, what is active, what was refused."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from assent.core.canonical import Json
from assent.core.privileges import Change, widening
from assent.core.publications import Publication
from assent.core.records import Entry, RecordId, RecordKind, rfc3339
from assent.core.releases import Vouched

MAX_TOLD_CHANGES: Final = 40
MAX_TOLD_CHARACTERS: Final = 300


def policy_activated(
    version: str,
    previous: str | None,
    changes: Sequence[Change] | None,
    *,
    revision: int,
    by: str | None = None,
    vouched: Vouched | None = None,
    publication: Publication | None = None,
) -> Entry:
    """Return the record of a policy version that is active from now on, as this revision of the row that names it.

    `changes` is the diff of privileges, None where the previous version is not at hand; `by` confirmed it, or the keys
    of `vouched` did. `publication` is how it came here; without one nobody said that it was reviewed and tested.
    """
    detail = _policy_detail(previous, changes)
    detail["revision"] = revision
    detail["review"] = "none" if publication is None else _review(publication)
    if vouched is not None:
        release = vouched.release
        detail["release"] = {
            "keys": list(vouched.keys),
            "digest": release.digest,
            "until": rfc3339(release.until),
        }
    return Entry(kind=RecordKind.POLICY_ACTIVATED, operator=by, policy=version, detail=detail)


def policy_published(publication: Publication, files: Mapping[str, bytes]) -> Entry:
    """Return the record of a policy version that was put into the ledger: by whom, and who reviewed and tested it."""
    detail = _review(publication) | {"files": len(files), "bytes": sum(map(len, files.values()))}
    return Entry(
        kind=RecordKind.POLICY_PUBLISHED,
        id=RecordId(publication.record),
        operator=publication.by,
        policy=publication.version,
        detail=detail,
    )


def _review(publication: Publication) -> dict[str, Json]:
    review, tests = publication.review, publication.review.tests
    told: dict[str, Json] = {
        "digest": tests.digest,
        "cases": tests.cases,
        "failed": 0,
        "rules": tests.rules,
        "unreached": tests.unreached,
    }
    return {
        "publication": publication.id,
        "record": publication.record,
        "commit": review.commit,
        "change_url": review.change_url,
        "author": review.author,
        "reviewer": review.reviewer,
        "tests": told,
    }


def policy_proposed(version: str, serving: str, changes: Sequence[Change], *, unvouched: str | None = None) -> Entry:
    """Return the record of a policy version that widens something, and does not serve until somebody confirms it.

    `unvouched` says why the release that lies beside it does not count, where one does.
    """
    detail = _policy_detail(serving, changes)
    if unvouched is not None:
        detail["unvouched"] = unvouched[:MAX_TOLD_CHARACTERS]
    return Entry(kind=RecordKind.POLICY_PROPOSED, policy=version, detail=detail)


def _policy_detail(previous: str | None, changes: Sequence[Change] | None) -> dict[str, Json]:
    detail: dict[str, Json] = {"previous": previous} if previous else {}
    if changes is None:
        return {**detail, "diff": "unknown"} if previous else detail
    counts = Counter(change.direction.value for change in changes)
    told: list[Json] = [str(change)[:MAX_TOLD_CHARACTERS] for change in widening(changes)[:MAX_TOLD_CHANGES]]
    detail["diff"] = dict(sorted(counts.items()))
    return {**detail, "widens": told} if told else detail


def policy_refused(findings: int, serving: str, *, by: str | None = None) -> Entry:
    """Return the record of a policy directory that was refused, while the version before goes on serving."""
    return Entry(kind=RecordKind.POLICY_REFUSED, operator=by, policy=serving, detail={"findings": findings})
