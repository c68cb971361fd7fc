"""Passkeys: who checks what authenticators answer, for the one site that they know the console by."""

from typing import Protocol

from assent.core.passkey_forms import Assertion, Attestation, Attested, Unproven


class Passkeys(Protocol):
    """Checks answers of authenticators: type, challenge, origin, site, presence, user verification, signature.

    What it says is about the answer alone: whose credential it is, whether it still counts and how its count goes on
    is the caller's to see. Whatever the bytes are, nothing is raised.
    """

    @property
    def site(self) -> str:
        """The name that credentials are bound to (`rp.id`): never an address of numbers."""
        ...

    @property
    def origin(self) -> str:
        """The origin of the pages on which they are used."""
        ...

    def load(self) -> None:
        """Load what checking takes, so that the first answer does not wait for it."""
        ...

    def attested(self, shown: Attestation, challenge: bytes) -> Attested | Unproven:
        """Return what was proven about a new credential; the challenge was this one."""
        ...

    def asserted(self, shown: Assertion, challenge: bytes, public_key: bytes) -> int | Unproven:
        """Return the authenticator's count when it signed this challenge for a person whom it verified."""
        ...
