"""Who calls: one function for each kind of credential, and rates before and after the credential is known.

A credential of the wrong kind is no credential: 401. What an operator may do is checked by the flow that does it, so
that every surface asks the same question; each route names the permission in its description.
"""

import math
from typing import Final, TypeAlias

from starlette.types import Scope

from assent.api.given import Api
from assent.api.requests import Head, seen
from assent.core.credentials import CredentialId, Kind, take_apart
from assent.core.errors import RateLimited, Unauthenticated
from assent.flows import authenticate
from assent.flows.authenticate import AgentCaller, ServiceCaller, TokenCaller, confirm, confirm_operator
from assent.ports import View

SURFACE: Final = "api"
_NOBODY: Final = "unknown"

AnyCaller: TypeAlias = AgentCaller | ServiceCaller | TokenCaller


async def agent_from(api: Api, scope: Scope, token: str | None) -> AgentCaller:
    """Return the agent that calls, within its rate.

    Raises:
        Unauthenticated: not an agent's credential. RateLimited: too many requests.

    """
    caller = await authenticate.agent(api.broker, token, before_look_up=lambda: _slow_down_strangers(api, scope))
    _slow_down(api, caller.key)
    return caller


async def service_from(api: Api, scope: Scope, token: str | None) -> ServiceCaller:
    """Return the tool's service that calls, within its rate.

    Raises:
        Unauthenticated: not a service's credential. RateLimited: too many requests.

    """
    caller = await authenticate.service(api.broker, token, before_look_up=lambda: _slow_down_strangers(api, scope))
    _slow_down(api, caller.key)
    return caller


async def catch_up(api: Api, head: Head) -> None:
    """Return once the newest checkpoint here is not older than the one that the caller was shown before.

    Several brokers answer one agent, and one of them may not have heard yet what another signed: to who was shown that,
    the log would seem to have gone back. After the credential: looking costs the ledger.

    Raises:
        RequestRefused: the header is malformed. LedgerUnavailable: the ledger cannot be asked.

    """
    await api.log.reach(seen(head))


async def operator_from(api: Api, scope: Scope, token: str | None) -> TokenCaller:
    """Return the operator that calls, within their rate.

    Raises:
        Unauthenticated: not an operator's credential. RateLimited: too many requests.

    """
    caller = await authenticate.operator(
        api.broker, token, SURFACE, before_look_up=lambda: _slow_down_strangers(api, scope)
    )
    _slow_down(api, caller.token.id)
    return caller


async def stopper_from(api: Api, token: str | None) -> TokenCaller:
    """Return the operator that calls in order to stop something: however fast, and whatever else comes from there.

    Whoever floods the broker must not keep anybody from stopping them. A wrong credential costs one look into the
    ledger, which is less than the request itself.

    Raises:
        Unauthenticated: not an operator's credential.

    """
    return await authenticate.operator(api.broker, token, SURFACE)


async def anybody_from(api: Api, scope: Scope, token: str | None) -> AnyCaller:
    """Return who calls, with a valid credential of whatever kind, confirmed in the ledger now.

    Raises:
        Unauthenticated: no valid credential. RateLimited: too many requests.

    """
    caller = await _whoever(api, scope, token)

    async def work(view: View) -> None:
        if isinstance(caller, TokenCaller):
            await confirm_operator(view, caller)
        else:
            await confirm(view, caller.key)

    await api.broker.ledger.read(work)
    return caller


async def _whoever(api: Api, scope: Scope, token: str | None) -> AnyCaller:
    presented = None if token is None else take_apart(token)
    if presented is None:
        raise Unauthenticated("this call needs a credential", hint="send `Authorization: Bearer …`")
    if presented.kind is Kind.OPERATOR:
        return await operator_from(api, scope, token)
    if presented.kind is Kind.SERVICE:
        return await service_from(api, scope, token)
    return await agent_from(api, scope, token)


def _slow_down(api: Api, key: CredentialId) -> None:
    limits = api.settings
    wait = api.broker.signals.take(
        f"credential:{key}", per_second=limits.requests_per_second, burst=limits.requests_burst
    )
    if wait > 0:
        raise _too_fast(wait)


def _slow_down_strangers(api: Api, scope: Scope) -> None:
    limits = api.settings
    client = scope.get("client")
    peer = client[0] if client else _NOBODY
    wait = api.broker.signals.take(
        f"stranger:{peer}", per_second=limits.strangers_per_second, burst=limits.strangers_burst
    )
    if wait > 0:
        raise _too_fast(wait)


def _too_fast(wait_seconds: float) -> RateLimited:
    seconds = max(1, math.ceil(wait_seconds))
    return RateLimited("too many requests with this credential or from this address", retry_after_seconds=seconds)
