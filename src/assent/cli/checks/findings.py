"""Findings: one line each, of a thing that was looked at; what a check trips over becomes a finding of its own."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from assent.core.errors import AssentError


class State(StrEnum):
    """How a thing is: in order, in order but to be known, due before a date, wrong, or not to be found out."""

    OK = "ok"
    NOTE = "note"
    SOON = "soon"
    WRONG = "wrong"
    UNKNOWN = "?"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `said` is what was found, `fix` what to do where something is to be done."""

    what: str
    state: State
    said: str
    fix: str = ""

    @property
    def is_finding(self) -> bool:
        """Whether somebody has to do something."""
        return self.state in {State.SOON, State.WRONG}


def looked_at(what: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield what `look` finds; a fault in it is one more finding, without its words where it is nobody's of ours."""
    try:
        yield from look()
    except AssentError as fault:
        yield Finding(what, State.WRONG, fault.message, fault.hint or "correct that, and look again")
    except OSError as fault:
        place = "" if fault.filename is None else f"`{fault.filename}`: "
        yield Finding(what, State.WRONG, f"{place}{(fault.strerror or 'cannot be used').lower()}", "see that it can be")
    except ImportError as fault:
        yield Finding(what, State.WRONG, f"`{fault.name}` is not installed", "pip install 'assent[server]'")
    except Exception as fault:  # noqa: BLE001  # a doctor that falls over helps nobody: the kind is told, the words may be payload
        kind = type(fault).__name__
        yield Finding(
            what, State.WRONG, f"could not be looked at ({kind})", "ASSENT_DEBUG=1 assent doctor, and report it"
        )
