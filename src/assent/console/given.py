"""What the console is given, and which paths are its own; light, because the hot route's application imports it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from assent.console.issuer import Registered

PREFIX: Final = "/console"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSettings:
    """Limits, units in their names.

    `hosts` are the values of `Host` that people use; a request for any other name is refused. With `has_tls` the
    cookie never leaves an encrypted connection. `runbook_url` is what stops point to. A stranger may try to sign in
    `sign_in_burst` times, then `sign_ins_per_second`. `issuer` is who vouches for people, where somebody does.
    `max_live_pages` keep themselves current at once, `max_live_pages_each` of one operator.
    """

    hosts: frozenset[str]
    has_tls: bool = False
    issuer: "Registered | None" = None
    runbook_url: str = "docs/runbook-breakers.md"
    version: str = "0"
    max_form_bytes: int = 65_536
    max_live_pages: int = 400
    max_live_pages_each: int = 40
    sign_in_burst: int = 20
    sign_ins_per_second: float = 0.5


def is_of_console(path: str) -> bool:
    """Whether the console answers this path: its own, and `/`, from where it points to itself."""
    return path in {"/", PREFIX} or path.startswith(f"{PREFIX}/")
