"""What an agent hears of the breaker that stops it."""

from assent.core.breakers import Breaker, Scope
from assent.core.records import rfc3339
from assent.wire.problems import BreakerNotice, ScopeView


def scope_view(scope: Scope) -> ScopeView:
    """Return what a breaker covers."""
    return ScopeView(agent=scope.agent, tool=scope.tool, environment=scope.environment)


def breaker_notice(breaker: Breaker, retry_after: int | None) -> BreakerNotice:
    """Return what an agent hears of the breaker that stops it."""
    return BreakerNotice(
        id=breaker.id,
        scope=scope_view(breaker.scope),
        covers=breaker.scope.describe(),
        state=breaker.state.value,
        who=breaker.by,
        since=rfc3339(breaker.since),
        reason=breaker.reason,
        retry_after=retry_after,
    )
