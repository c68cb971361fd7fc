"""Keys and tokens as people are shown them: which there are, who issued them, how long they live; never a secret."""

from typing import Any, Final

from assent.cli import output

HEADINGS: Final = ("id", "state", "issued", "by", "ends")


def row(held: dict[str, Any]) -> tuple[str, ...]:
    """Return one key or token as the cells under `HEADINGS`."""
    issued = f"{output.time_since(held['issued_at'])} ago"
    return (held["id"], held["state"], issued, held["issued_by"], _ends(held))


def _ends(held: dict[str, Any]) -> str:
    if held["state"] == "revoked":
        return f"revoked {output.time_since(held['revoked_at'])} ago by {held['revoked_by']}"
    if held.get("expires_at") is None:
        return "not by itself"
    return output.time_left(held["expires_at"])


def print_all(held: list[dict[str, Any]], *, empty: str) -> None:
    """Print keys or tokens, those in use first."""
    output.print_table(HEADINGS, map(row, held), empty=empty)


def live(held: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those that open something."""
    return [one for one in held if one["state"] == "live"]


def how_many(held: list[dict[str, Any]]) -> str:
    """Return how many of them live, and when the first of them ends."""
    alive = live(held)
    ends = sorted(one["expires_at"] for one in alive if one.get("expires_at"))
    if not ends:
        return f"{len(alive)} live"
    which = " for one" if len(alive) > 1 else ""
    return f"{len(alive)} live, {output.time_left(ends[0])}{which}"


def print_cut_off(revoked: dict[str, Any]) -> None:
    """Say what waited and ended with a revoked key."""
    actions = revoked["cut_off"]
    if actions:
        print(f"ended with it, before it ran: {output.words(action['action_id'] for action in actions)}")
