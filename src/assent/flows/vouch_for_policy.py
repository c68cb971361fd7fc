"""A release key vouches for a version that widens: whether what lies beside its files counts here, now and once."""

from assent.core.canonical import load
from assent.core.looking import RecordFilter
from assent.core.notes import NoteInvalid
from assent.core.records import Record, RecordKind
from assent.core.releases import MAX_VALID, Release, Vouched, open_release, why_not
from assent.flows.broker import Broker
from assent.ports import Policy, View

LOOKED_AT_ONCE = 200
# Activations within the longest time that a release may be good for: more than one in an hour.
MOST_LOOKS = 5


async def vouched_for(view: View, broker: Broker, found: Policy, serving: Policy) -> Vouched | str | None:
    """Return the release that lets `found` replace `serving`, why the one that lies there does not, None for none."""
    if found.release is None:
        return None
    if not broker.release_keys:
        return "`release_keys` names no key that may vouch for a version"
    try:
        vouched = open_release(found.release, broker.release_keys)
    except NoteInvalid as fault:
        return fault.message
    release = vouched.release
    wrong = why_not(release, log=broker.log_name, policy=found.version, replaces=serving.version, now=view.now)
    if wrong is not None:
        return wrong
    return await _why_not_once_more(view, release) or vouched


async def _why_not_once_more(view: View, release: Release) -> str | None:
    # It could not be used earlier: then its end would have been too far away.
    which, earliest = RecordFilter(kind=RecordKind.POLICY_ACTIVATED), release.until - MAX_VALID
    for _ in range(MOST_LOOKS):
        found = await view.records(which, limit=LOOKED_AT_ONCE)
        if any(_names(record, release) for record in found.records):
            return "it was used before, and counts once"
        if found.rest is None or any(record.time < earliest for record in found.records):
            return None
        which = which.going_on(found.rest)
    return "so many versions were taken up lately that nobody can tell whether it was used before"


def _names(record: Record, release: Release) -> bool:
    leaf = load(record.leaf)
    detail = leaf.get("detail") if isinstance(leaf, dict) else None
    named = detail.get("release") if isinstance(detail, dict) else None
    return isinstance(named, dict) and named.get("digest") == release.digest
