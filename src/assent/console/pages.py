"""Pages are made here: templates with every value escaped, and the few words that they need beside values.

A template knows no markup in a value: autoescape is on for all of them, and none uses `safe`. What an agent wrote goes
through `spelled`, so that what cannot be seen is seen.
"""

from collections.abc import Hashable, Sequence
from datetime import UTC, datetime
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from assent.console.given import PREFIX, ConsoleSettings
from assent.console.prose import pieces_of
from assent.core.characters import visible
from assent.core.rendering import spelled_out

NAVIGATION: Final = (
    ("/", "Inbox"),
    ("/activity", "Activity"),
    ("/breakers", "Breakers"),
    ("/agents", "Agents"),
    ("/people", "People"),
    ("/policy", "Policy"),
    ("/numbers", "Numbers"),
    ("/account", "You"),
)
MOST_KEPT: Final = 5_000
SHOWN_NAMES: Final = 30
_MINUTE: Final = 60
_HOUR: Final = 3_600
_DAY: Final = 86_400


class Pages:
    """Renders templates of the console."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self._environment = Environment(
            loader=PackageLoader("assent.console"),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(
            spelled=spelled_out,
            visible=visible,
            moment=moment,
            machine=machine,
            words=words,
            span=span,
            some=some,
            pieces=pieces_of,
        )
        self._kept: dict[Hashable, str] = {}
        self._environment.globals.update(
            nav=NAVIGATION, prefix=PREFIX, version=settings.version, runbook=settings.runbook_url
        )

    def render(self, name: str, *, status: int = 200, **facts: object) -> HTMLResponse:
        """Return the page `name`; a fact that a template needs and does not get is an error."""
        facts.setdefault("visit", None)
        return HTMLResponse(self._environment.get_template(name).render(facts), status_code=status)

    def part(self, name: str, key: Hashable, **facts: object) -> str:
        """Return a part of a page; it was made before where `key` says that it looks the same."""
        found = self._kept.get((name, key))
        if found is None:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            # Markup that templates take as such: every value in it was escaped.
            made: str = self._environment.get_template(name).make_module(facts).__html__()
            found = self._kept[name, key] = made
        return found


def moment(value: datetime) -> str:
    """Return a time for people, in UTC and saying so."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def machine(value: datetime) -> str:
    """Return a time for the browser's script. Source: RFC 3339."""
    return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def words(value: object) -> str:
    """Return the value of an enumeration in words."""
    return str(value).replace("_", " ")


def some(names: Sequence[str], most: int = SHOWN_NAMES) -> str:
    """Return names in one line, and how many more there are: nobody reads ten thousand of them."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def span(seconds: float) -> str:
    """Return how long something is, in the largest unit that makes sense."""
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min"
    return f"{whole // _HOUR} h" if whole < _DAY else f"{whole // _DAY} d"
