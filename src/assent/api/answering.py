"""One ask, or one wait, answered, to bytes; the FastAPI routes and the hot routes both call exactly this."""

import base64
from collections.abc import Awaitable
from dataclasses import dataclass
from time import perf_counter

from starlette.types import Receive

from assent.api.agent_views import action_answer
from assent.api.given import Api
from assent.api.long_poll import look_for
from assent.api.replies import Header, Reply
from assent.core.actions import ActionId
from assent.core.canonical import Json
from assent.flows.answers import Answered
from assent.flows.authenticate import AgentCaller
from assent.flows.request_action import Ask, request_action
from assent.flows.watch_actions import watch_action
from assent.wire.agents import AskBody

_OK = 200


async def answer_ask(api: Api, caller: AgentCaller, body: AskBody, idempotency_key: str | None) -> Reply:
    """Return the reply to one ask, once its record is durable.

    Raises:
        Unauthenticated, IdempotencyConflict, LedgerUnavailable: as `flows.request_action` says.

    """
    began = perf_counter()
    answered = await request_action(api.broker, caller, _ask(body, idempotency_key))
    reasons = answered.decision.reasons
    took = perf_counter() - began
    api.tally.decided(answered.decision.answer, reasons[0].code if reasons else None, took)
    if api.tracing is not None:
        api.tracing.asked(answered, took)
    return agent_reply(api, action_answer(api, answered))


@dataclass(frozen=True, slots=True)
class Watched:
    """What somebody looks at: one action, for how many seconds, until its revision is above `after`."""

    action: ActionId
    wait_seconds: float
    after: int | None


async def answer_watch(api: Api, caller: AgentCaller, wanted: Watched, attempt: str | None, receive: Receive) -> Reply:
    """Return the reply to one look, once there is something to say or the wait is over; `receive` tells who hung up.

    Raises:
        NotFound, Unauthenticated, LedgerUnavailable: as `flows.watch_actions` says.

    """

    def look(wait_seconds: float) -> Awaitable[Answered]:
        return watch_action(
            api.broker, caller, wanted.action, after=wanted.after, attempt=attempt, wait_seconds=wait_seconds
        )

    answered = await look_for(receive, api, look, wait_seconds=wanted.wait_seconds)
    if api.tracing is not None:
        api.tracing.heard(answered.action)
    return agent_reply(api, action_answer(api, answered))


def agent_reply(api: Api, body: bytes) -> Reply:
    """Return a reply to an agent, with the newest checkpoint, so that it can hold the log to what it saw."""
    return Reply(_OK, body, _checkpoint(api))


def _checkpoint(api: Api) -> tuple[Header, ...]:
    note = api.log.newest_checkpoint()
    return () if note is None else ((b"assent-checkpoint", base64.b64encode(note)),)


def _ask(body: AskBody, idempotency_key: str | None) -> Ask:
    return Ask(
        tool=body.tool,
        arguments=body.arguments,
        idempotency_key=idempotency_key,
        reason=body.reason or "",
        run_id=body.run_id,
        call_id=body.call_id,
        attempt=body.attempt,
        on_behalf_of=tuple(body.on_behalf_of or ()),
        context=_context(body),
        in_flight=frozenset(body.in_flight or ()),
    )


def _context(body: AskBody) -> Json:
    if body.context is None:
        return None
    said: dict[str, Json] = body.context.model_dump(exclude_none=True)
    return said
