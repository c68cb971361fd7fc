"""How publications, the files of versions and the active version are stored; who reviewed what is payload here.

Files are kept compressed; what a broker stored is a few megabytes at most, and a row that carries its MAC was stored by
a broker.
"""

import zlib
from itertools import chain

from assent.core.publications import ActivePolicy, Bundle, Publication, PublicationId, Review, Tested
from assent.stores.packing import pack, unpack
from assent.stores.rows.moments import moment, stamp
from assent.stores.rows.table import Split, Stored, Table
from assent.stores.sealing import LedgerKeys


def _split_bundle(bundle: Bundle, _keys: LedgerKeys) -> Split:
    files = pack(chain.from_iterable(sorted(bundle.files.items())))
    return (bundle.id, bundle.revision), {"stored_at": stamp(bundle.stored_at)}, (zlib.compress(files),)


def _join_bundle(stored: Stored) -> Bundle:
    parts = unpack(zlib.decompress(stored.payload[0]))
    names, contents = parts[::2], parts[1::2]
    return Bundle(
        id=stored.columns["id"],
        revision=stored.columns["revision"],
        files={str(name): bytes(content) for name, content in zip(names, contents, strict=True)},  # type: ignore[arg-type]  # bytes, as they were packed
        stored_at=moment(stored.facts["stored_at"]),
    )


BUNDLES: Table[Bundle] = Table(name="policy_bundle", columns=("id", "revision"), split=_split_bundle, join=_join_bundle)


def _split_publication(publication: Publication, _keys: LedgerKeys) -> Split:
    review, tests = publication.review, publication.review.tests
    facts: dict[str, object] = {
        "version": publication.version,
        "by": publication.by,
        "at": stamp(publication.at),
        "record": publication.record,
        "commit": review.commit,
        "tests": {
            "digest": tests.digest,
            "cases": tests.cases,
            "rules": tests.rules,
            "unreached": tests.unreached,
        },
    }
    payload = (review.change_url, review.author, review.reviewer, publication.release)
    return (publication.id, publication.revision), facts, payload


def _join_publication(stored: Stored) -> Publication:
    facts, tests = stored.facts, stored.facts["tests"]
    change_url, author, reviewer, release = stored.payload
    return Publication(
        id=PublicationId(stored.columns["id"]),
        revision=stored.columns["revision"],
        version=facts["version"],
        by=facts["by"],
        at=moment(facts["at"]),
        record=facts["record"],
        release=release,
        review=Review(
            commit=facts["commit"],
            change_url=change_url,
            author=author,
            reviewer=reviewer,
            tests=Tested(
                digest=tests["digest"], cases=tests["cases"], rules=tests["rules"], unreached=tests["unreached"]
            ),
        ),
    )


PUBLICATIONS: Table[Publication] = Table(
    name="policy_publication", columns=("id", "revision"), split=_split_publication, join=_join_publication
)


def _split_active(active: ActivePolicy, _keys: LedgerKeys) -> Split:
    facts: dict[str, object] = {
        "version": active.version,
        "since": stamp(active.since),
        "publication": active.publication,
        "after": active.after,
    }
    return (active.id, active.revision), facts, ()


def _join_active(stored: Stored) -> ActivePolicy:
    facts = stored.facts
    return ActivePolicy(
        id=stored.columns["id"],
        revision=stored.columns["revision"],
        version=facts["version"],
        since=moment(facts["since"]),
        publication=facts["publication"],
        after=facts["after"],
    )


ACTIVE_POLICIES: Table[ActivePolicy] = Table(
    name="active_policy", columns=("id", "revision"), split=_split_active, join=_join_active
)
