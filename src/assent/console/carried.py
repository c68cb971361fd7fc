"""What a browser carries for us between two requests of one sign-in: facts in a cookie, under our MAC.

Each kind has a purpose of its own, so that what was made for one is worth nothing for another.
"""

import base64
from collections.abc import Mapping
from hmac import compare_digest

from assent.core.canonical import BadJson, Json, canonical, load
from assent.flows.broker import Broker


def sealed(broker: Broker, purpose: str, facts: Mapping[str, Json]) -> str:
    """Return the cookie's value; anybody who has it can read the facts."""
    body = base64.urlsafe_b64encode(canonical(dict(facts))).decode()
    return f"{body}.{broker.ledger.blind(purpose, body.encode()).hex()}"


def opened(broker: Broker, purpose: str, cookie: str) -> Mapping[str, Json] | None:
    """Return the facts that were sealed for `purpose`, or None for anything else."""
    body, _, mac = cookie.partition(".")
    if not compare_digest(mac.encode(), broker.ledger.blind(purpose, body.encode()).hex().encode()):
        return None
    try:
        facts = load(base64.urlsafe_b64decode(body))
    except (BadJson, ValueError):
        return None
    return facts if isinstance(facts, dict) else None
