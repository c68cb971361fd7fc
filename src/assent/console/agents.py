"""Agents: who there is, what each may do, and suspending one; people, with the tokens they hold."""

from typing import Final

from starlette.responses import Response

from assent.console.prose import blocks_of, cut
from assent.console.visits import Visit, act, page
from assent.core.agents import AgentId, is_suspended
from assent.core.credentials import CredentialId, Kind, ends_at
from assent.core.errors import BadRequest, NotFound
from assent.core.explanations import DocumentFormat
from assent.core.operators import Permission
from assent.core.second_person import still_open
from assent.flows.issue_credentials import revoke
from assent.flows.link_account import unlink
from assent.flows.read_policy import read_document
from assent.flows.read_principals import SeenAgent, list_agents, list_operators, show_agent
from assent.flows.resume_agent import resume_agent
from assent.flows.suspend_agent import suspend_agent

ON_A_PAGE: Final = 100
MAX_WORDS: Final = 2_000
MAX_TOOLS: Final = 200


async def show_agents(visit: Visit) -> Response:
    """List agents by name, with whether each may act and when it last asked."""
    found = await list_agents(visit.broker, visit.caller, limit=ON_A_PAGE, after=visit.query("after"))
    return visit.page("agents.html", found=found, rest=found[-1].id if len(found) == ON_A_PAGE else None)


async def show_one_agent(visit: Visit) -> Response:
    """Show what one agent may do: which tools without asking, which after people agree, and what never."""
    seen = await show_agent(visit.broker, visit.caller, AgentId(visit.param("agent")))
    tools = () if visit.only_live else visit.broker.policy().tools_for(seen.id)
    manages = visit.caller.operator.may(Permission.AGENTS_MANAGE)
    suspended = seen.status is not None and is_suspended(seen.status)
    asked = None if seen.status is None else still_open(seen.status.resume_asked, seen.now)
    return visit.page(
        "agent.html",
        seen=seen,
        tools=tools[:MAX_TOOLS],
        more_tools=max(0, len(tools) - MAX_TOOLS),
        document=() if visit.only_live else await _document(visit, seen),
        may_suspend=manages and not suspended,
        may_resume=manages and suspended,
        asked=asked,
        ends_at=ends_at,
    )


async def _document(visit: Visit, seen: SeenAgent) -> object:
    """Return what policy says of the agent, in words; nothing where it names it no more or is not for this reader."""
    if seen.profile is None or not visit.caller.operator.may(Permission.APPROVALS_READ):
        return ()
    try:
        read = await read_document(visit.broker, visit.caller, DocumentFormat.MARKDOWN, agent=seen.id, role=None)
    except NotFound:
        return ()
    return cut(blocks_of(read[1]))


async def do_suspend(visit: Visit) -> Response:
    """Suspend an agent; from the answer on it decides and runs nothing."""
    suspended = await suspend_agent(visit.broker, visit.caller, _agent(visit), reason=_reason(visit))
    return visit.page("suspended.html", suspended=suspended)


async def do_resume(visit: Visit) -> Response:
    """Let an agent ask again, or ask for it until a second person agrees."""
    agent = _agent(visit)
    answer = await resume_agent(visit.broker, visit.caller, agent, reason=_reason(visit))
    if answer.refused is not None:
        return visit.refused(answer.refused, back=f"/agents/{agent}", who=answer.who)
    if not answer.goes_on:
        return visit.page(
            "second_person.html",
            status=202,
            what=f"agent `{agent}`",
            who=answer.who,
            assurance=answer.assurance,
            back=f"/agents/{agent}",
        )
    return visit.go(f"/agents/{agent}")


def _agent(visit: Visit) -> AgentId:
    return AgentId(visit.param("agent"))


def _reason(visit: Visit) -> str:
    said = visit.form.get("reason", "").strip()
    if not said or len(said) > MAX_WORDS:
        raise BadRequest(f"say why, in at most {MAX_WORDS} characters", hint="whoever must resume it reads it")
    return said


async def show_people(visit: Visit) -> Response:
    """List operators with what they may do and the tokens they hold; no secret is kept, so none is shown."""
    found = await list_operators(visit.broker, visit.caller, limit=ON_A_PAGE, after=visit.query("after"))
    return visit.page(
        "people.html",
        found=found,
        rest=found[-1].id if len(found) == ON_A_PAGE else None,
        ends_at=ends_at,
        manages=visit.caller.operator.may(Permission.OPERATORS_MANAGE),
    )


async def do_revoke_token(visit: Visit) -> Response:
    """Revoke a token, and with it every session that rests on it."""
    key = CredentialId(visit.param("token"))
    await revoke(visit.broker, visit.caller, Kind.OPERATOR, visit.param("operator"), key)
    return visit.go("/people")


async def do_unlink(visit: Visit) -> Response:
    """Unlink somebody's Slack account."""
    await unlink(visit.broker, visit.caller, visit.param("operator"))
    return visit.go("/people")


routes: Final = (
    page("/agents", show_agents),
    page("/agents/{agent}", show_one_agent),
    act("/agents/{agent}/suspend", do_suspend),
    act("/agents/{agent}/resume", do_resume),
    page("/people", show_people),
    act("/people/{operator}/tokens/{token}/revoke", do_revoke_token),
    act("/people/{operator}/unlink", do_unlink),
)
