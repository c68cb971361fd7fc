"""Reasons: why a decision came out as it did, as a stable code and a sentence."""

from dataclasses import dataclass

from assent.core.refusals import REFUSALS


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason of a decision; `code` is a key of the refusals table, or names why something was allowed."""

    code: str
    message: str

    @classmethod
    def of(cls, code: str, detail: str = "") -> "Reason":
        """Return the reason with the table's sentence for `code`, followed by `detail` where given."""
        sentence = REFUSALS[code].sentence
        return cls(code, f"{sentence}: {detail}" if detail else sentence)
