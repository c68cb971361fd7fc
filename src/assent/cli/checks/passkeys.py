"""Passkeys: whether anybody could sign with one here, and whether enough people can where a route asks for it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from assent.cli.checks.findings import Finding, State
from assent.core.operators import Assurance, Permission

if TYPE_CHECKING:
    from assent.config import Settings
    from assent.core.approvals import Route
    from assent.policy import LoadedPolicy

_WHAT: Final = "passkeys"


def passkeys(settings: "Settings") -> Iterator[Finding]:
    """Look at the library, at the console's address, and at who has a passkey for the routes that ask for one."""
    from assent.policy import load
    from assent.serving.listening import console_url_of
    from assent.wiring.passkeys import EXTRA, is_installed, why_no_site

    policy = load(settings.policy_directory, lambda: datetime.now(UTC))
    asking = [route for route in policy.all_routes() if route.assurance is Assurance.STEP_UP]
    url = console_url_of(settings, settings.port)
    if not is_installed():
        yield _lacking("the library for them is not installed", f"pip install '{EXTRA}'", asking)
    elif (why_not := why_no_site(url)) is not None:
        name = f"http://localhost:{settings.port}" if settings.is_loopback else "https://NAME"
        yield _lacking(f"{url}: {why_not}", f'set `public_url = "{name}"`', asking)
    else:
        yield from _held(settings, policy, asking, url)


def _lacking(said: str, fix: str, asking: "list[Route]") -> Finding:
    if not asking:
        return Finding(_WHAT, State.NOTE, f"{said}; no route asks for `step_up`")
    names = ", ".join(f"`{route.name}`" for route in asking)
    return Finding(_WHAT, State.WRONG, f"{said}, so nobody can answer on {names}", fix)


def _held(settings: "Settings", policy: "LoadedPolicy", asking: "list[Route]", url: str) -> Iterator[Finding]:
    from assent.stores.key_places import KeyPlaces
    from assent.stores.keys import Keys
    from assent.stores.sqlite.snapshot import passkeys_of
    from assent.wiring.database import as_file

    keys = Keys.load(KeyPlaces.of(settings)).ledger_keys()
    with as_file(settings) as file:
        found = [one for one in passkeys_of(file, keys) if one.revoked_at is None]
    for one in found:
        if one.suspect_at is not None:
            said = f"`{one.operator}`: the passkey {one.id} counted back on {one.suspect_at:%Y-%m-%d}, as a copy would"
            yield Finding(_WHAT, State.WRONG, said, "take it away on the page You or People of the console")
    holders = {one.operator for one in found}
    for route in asking:
        for need in route.needs:
            able = [o.id for o in policy.operators() if need.of in o.groups and o.may(Permission.APPROVALS_DECIDE)]
            ready = holders.intersection(able)
            if len(ready) < need.count:
                said = (
                    f"route `{route.name}` needs {need.count} of `{need.of}` with a passkey, and {len(ready)} have one"
                )
                yield Finding(_WHAT, State.WRONG, said, f"they add theirs at {url}/console/account")
    yield Finding(_WHAT, State.OK, f"{len(holders)} of {len(policy.operators())} have one, for {url}")
