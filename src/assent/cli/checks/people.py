"""People and agents as the policies declare them: whose token or registration ends soon, and what routes accept."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from assent.cli.checks.findings import Finding, State
from assent.cli.output import time_left
from assent.core.credentials import Credential, Kind, Standing, ends_at, is_old, standing
from assent.core.operators import Assurance

if TYPE_CHECKING:
    from assent.config import Settings
    from assent.policy import LoadedPolicy

AGENT_ENDS_WITHIN: Final = timedelta(days=14)


def operators(settings: "Settings") -> Iterator[Finding]:
    """Look at the newest token of every declared operator."""
    now, held = datetime.now(UTC), _tokens(settings)
    declared = [operator.id for operator in _policy(settings).operators()]
    newest = {name: max(held[name], key=lambda token: ends_at(token) or now) for name in declared if held[name]}
    live = {name: token for name, token in newest.items() if standing(token, now) is Standing.LIVE}
    for name, token in sorted(newest.items()):
        if is_old(token, now):
            ends = (ends_at(token) or now).isoformat()
            said = f"`{name}`: the token ends, {time_left(ends)}" if name in live else f"`{name}`: the token has ended"
            state = State.SOON if name in live else State.WRONG
            yield Finding("token", state, said, f"assent operators token issue {name} (--direct when nobody else can)")
    if not live:
        yield Finding(
            "operators", State.WRONG, "nobody holds a token that works", "assent operators token issue NAME --direct"
        )
        return
    others = f", {len(declared) - len(live)} without one" if len(declared) > len(live) else ""
    yield Finding("operators", State.OK, f"{len(live)} of {len(declared)} hold a token that works{others}")


def agents(settings: "Settings") -> Iterator[Finding]:
    """Look at when each agent's registration ends."""
    now, declared = datetime.now(UTC), _policy(settings).agents()
    for agent in declared:
        if agent.expires <= now:
            yield Finding(
                "agent", State.WRONG, f"`{agent.id}` has expired", "renew `expires` in agents.yaml, or remove it"
            )
        elif agent.expires <= now + AGENT_ENDS_WITHIN:
            left = time_left(agent.expires.isoformat())
            yield Finding("agent", State.SOON, f"`{agent.id}` expires, {left}", "renew `expires` in agents.yaml")
    yield Finding("agents", State.OK, f"{len(declared)} declared")


def routes(settings: "Settings") -> Iterator[Finding]:
    """Name the routes on which a bearer token counts as a person: that is said wherever it matters."""
    policy = _policy(settings)
    found = [
        name for name in policy.route_names if (route := policy.route(name)) and route.assurance is Assurance.TOKEN
    ]
    for name in found:
        said = f"route `{name}` takes a bearer token's word for a person: good to try things out, not for production"
        yield Finding("routes", State.NOTE, said)


def _policy(settings: "Settings") -> "LoadedPolicy":
    from assent.policy import load

    return load(settings.policy_directory, lambda: datetime.now(UTC))


def _tokens(settings: "Settings") -> dict[str, list[Credential]]:
    from assent.stores.key_places import KeyPlaces
    from assent.stores.keys import Keys
    from assent.stores.sqlite.snapshot import credentials_of
    from assent.wiring.database import as_file

    keys = Keys.load(KeyPlaces.of(settings)).ledger_keys()
    found: dict[str, list[Credential]] = defaultdict(list)
    with as_file(settings) as file:
        tokens = credentials_of(file, keys)
    for token in tokens:
        if token.kind is Kind.OPERATOR:
            found[token.principal].append(token)
    return found
