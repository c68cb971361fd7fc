"""The functions that run in Redis, and under which names: the digest of their text is part of every name."""

from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Final, Self

_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Library:
    """What is loaded, and what to call: another text has other names, so nobody calls what somebody else changed."""

    code: str
    prefix: str

    @classmethod
    def of(cls, text: str) -> Self:
        """Return the library with this text."""
        prefix = f"assent_{sha256(text.encode()).hexdigest()[:_DIGITS]}"
        return cls(f"#!lua name={prefix}\n{text.replace('NAME_', f'{prefix}_')}", prefix)

    def function(self, name: str) -> str:
        """Return the name under which a function is called."""
        return f"{self.prefix}_{name}"


def shipped() -> str:
    """Return the text that comes with this package."""
    return files(__package__).joinpath("library.lua").read_text(encoding="utf-8")
