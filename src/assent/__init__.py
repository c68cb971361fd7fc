"""Assent: no agent acts without assent. The public names load on first use, so that `import assent` costs nothing."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from assent.core.errors import AssentError
    from assent.sdk.client import Assent, AsyncAssent
    from assent.sdk.decisions import Decision
    from assent.sdk.endpoint import Limits
    from assent.sdk.errors import (
        ActionDenied,
        AlreadyExecuted,
        ApprovalPending,
        ApprovalTimeout,
        BreakerOpen,
        BrokerUnavailable,
        ConfigurationError,
        GrantInvalid,
        RunIdMissing,
        UntrustedAnswer,
    )
    from assent.sdk.middleware import GrantMiddleware
    from assent.sdk.verify import Grant, verify_grant

__all__ = [
    "ActionDenied",
    "AlreadyExecuted",
    "ApprovalPending",
    "ApprovalTimeout",
    "Assent",
    "AssentError",
    "AsyncAssent",
    "BreakerOpen",
    "BrokerUnavailable",
    "ConfigurationError",
    "Decision",
    "Grant",
    "GrantInvalid",
    "GrantMiddleware",
    "Limits",
    "RunIdMissing",
    "UntrustedAnswer",
    "verify_grant",
]

_HOMES = {
    "AssentError": "assent.core.errors",
    "Assent": "assent.sdk.client",
    "AsyncAssent": "assent.sdk.client",
    "Decision": "assent.sdk.decisions",
    "Limits": "assent.sdk.endpoint",
    "GrantMiddleware": "assent.sdk.middleware",
    "Grant": "assent.sdk.verify",
    "verify_grant": "assent.sdk.verify",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module `assent` has no attribute `{name}`")
    return getattr(import_module(_HOMES.get(name, "assent.sdk.errors")), name)


def __dir__() -> list[str]:
    return __all__
