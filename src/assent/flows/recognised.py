"""Credentials recognised before, so that the hot path needs no read of its own; it can only say who, never whether.

A hit means that this secret once matched this credential. Whether the credential is still live is read again in the
transaction that decides, so that revoking holds at once whatever is remembered here.
"""

from assent.core.credentials import Credential, CredentialId

MAX_REMEMBERED = 100_000


class Recognised:
    """A bounded memory of (credential id, MAC of the presented secret) that matched."""

    def __init__(self) -> None:
        self._known: dict[tuple[CredentialId, bytes], Credential] = {}

    def get(self, key: CredentialId, secret_mac: bytes) -> Credential | None:
        """Return the credential that this secret matched before, or None."""
        return self._known.get((key, secret_mac))

    def remember(self, credential: Credential) -> None:
        """Remember a match; when the memory is full it starts anew, which costs one read for each credential."""
        if len(self._known) >= MAX_REMEMBERED:
            self._known.clear()
        self._known[credential.id, credential.secret_mac] = credential
