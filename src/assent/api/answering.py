"""One ask answered, from parsed body to bytes; the FastAPI route and the hot route both call exactly this."""

import base64

from assent.api.agent_views import action_answer
from assent.api.given import Api
from assent.api.replies import Header, Reply
from assent.core.canonical import Json
from assent.flows.authenticate import AgentCaller
from assent.flows.request_action import Ask, request_action
from assent.wire.agents import AskBody

_OK = 200


async def answer_ask(api: Api, caller: AgentCaller, body: AskBody, idempotency_key: str | None) -> Reply:
    """Return the reply to one ask, once its record is durable.

    Raises:
        Unauthenticated, IdempotencyConflict, LedgerUnavailable: as `flows.request_action` says.

    """
    answered = await request_action(api.broker, caller, _ask(body, idempotency_key))
    reasons = answered.decision.reasons
    api.tally.decided(answered.decision.answer, reasons[0].code if reasons else None)
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
