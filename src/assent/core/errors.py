"""The exception tree: every error Assent raises has one root, a stable code, a message for a person and a hint.

A refusal ("no") is a value with reasons, never an exception. An exception means that we could not find out, or that
the caller asked for something that cannot be; both deny. Branch on the type or on `code`, never on the message.
"""


class AssentError(Exception):
    """The root of everything Assent raises.

    `code` is stable and public; `message` is for a person; `hint` tells an operator the next step.
    """

    code: str = "error"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class LedgerUnavailable(AssentError):
    """The ledger could not say that the work is durable; nothing may leave."""

    code = "broker_unavailable"


class HeldNotDurable(LedgerUnavailable):
    """A trip holds in this process's memory only, because the ledger could not be written."""

    code = "held_not_durable"


class PolicyBehind(LedgerUnavailable):
    """This process has another policy loaded than the one that is active: it decides nothing by it."""


class Stale(AssentError):
    """Somebody else replaced the row first; load it again or refuse."""

    code = "stale"


class Forged(AssentError):
    """A stored row does not carry a valid MAC: it was not written by a broker that holds the ledger key."""

    code = "row_forged"


class IllegalMove(AssentError):
    """A state machine was asked for a move that its table does not hold."""

    code = "illegal_move"


class Unauthenticated(AssentError):
    """No credential, an unknown or revoked one, or one of the wrong kind."""

    code = "unauthenticated"


class Forbidden(AssentError):
    """The caller is known but does not hold the permission that the call needs."""

    code = "forbidden"


class NotFound(AssentError):
    """Nothing of that id is visible to this caller."""

    code = "not_found"


class BadRequest(AssentError):
    """The request is well-formed JSON but not of the shape that the contract names."""

    code = "bad_request"


class RateLimited(AssentError):
    """Too many requests; `retry_after_seconds` says when the next one has a chance."""

    code = "rate_limited"

    def __init__(self, message: str, *, retry_after_seconds: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class IdempotencyConflict(AssentError):
    """The same idempotency key or call id came back with other content."""

    code = "idempotency_conflict"


class PolicyInvalid(AssentError):
    """A policy directory was refused; `findings` are lines of `file:line:column: message`."""

    code = "policy_error"

    def __init__(self, message: str, *, findings: tuple[str, ...] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.findings = findings


class KeysInvalid(AssentError):
    """A key file is missing, malformed or readable by others."""

    code = "keys_invalid"


class ConfigInvalid(AssentError):
    """A setting is unknown, unsafe or contradicts another one."""

    code = "config_invalid"


class VerificationFailed(AssentError):
    """A log, a proof or a signature does not verify; `index` names the first bad record where there is one."""

    code = "verification_failed"

    def __init__(self, message: str, *, index: int | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.index = index


class ForeignAwait(AssentError):
    """A transaction's work awaited something that is not its transaction: a programming error, nothing was stored."""

    code = "foreign_await"
