"""Which policy is active in the ledger, and how it came there; what a broker has loaded it says itself."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from assent.cli.checks.findings import Finding, State

if TYPE_CHECKING:
    from assent.config import Settings
    from assent.core.publications import ActivePolicy, Publication


def active(settings: "Settings") -> Iterator[Finding]:
    """Look at the version that the ledger calls active; nothing where it does not say yet."""
    from assent.policy.files import version_of

    found, publication = _look(settings)
    if found is None:
        return
    if publication is None:
        said = f"{found.version[:12]}, from a policy directory: nobody said that it was reviewed and tested"
        yield Finding("active policy", State.OK, said)
        return
    review = publication.review
    said = f"{found.version[:12]}, published by {publication.by}: commit {review.commit[:12]} by {review.author},"
    yield Finding("active policy", State.OK, f"{said} reviewed by {review.reviewer}")
    on_disk = version_of(settings.policy_directory)
    if on_disk not in {None, found.version}:
        said = f"`{settings.policy_directory}` holds {str(on_disk)[:12]}, which is not read"
        yield Finding("policy directory", State.NOTE, said)


def _look(settings: "Settings") -> "tuple[ActivePolicy | None, Publication | None]":
    from assent.core.publications import Publication
    from assent.flows.active_policy import active_policy
    from assent.ports import View
    from assent.stores.job import drive
    from assent.stores.key_places import KeyPlaces
    from assent.stores.keys import Keys
    from assent.stores.sqlite.snapshot import SINCE_PUBLICATIONS, extent, looked_at

    async def look(view: View) -> "tuple[ActivePolicy | None, Publication | None]":
        found = await active_policy(view)
        named = None if found is None else found.publication
        return found, None if named is None else await view.get(Publication, named)

    path = settings.ledger_file
    if not path.exists() or extent(path).version < SINCE_PUBLICATIONS:
        return None, None
    keys = Keys.load(KeyPlaces.of(settings)).ledger_keys()
    with looked_at(path, keys) as view:
        return drive(look, view)
