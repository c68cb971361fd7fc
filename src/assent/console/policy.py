"""The policy: which version serves, the document of all that agents may do, a question tried out, a confirmation."""

from typing import Final

from starlette.responses import Response

from assent.console.prose import Block, blocks_of, cut
from assent.console.visits import Visit, act, page
from assent.core.canonical import BadJson, load
from assent.core.errors import BadRequest
from assent.core.explanations import Asking, DocumentFormat
from assent.core.operators import Permission
from assent.flows.activate_policy import activate_policy
from assent.flows.read_policy import Explained, explain_question, read_document, show_policy

SHOWN_NEARLY: Final = 6
MOST_AT_ONCE: Final = 1_000
MAX_NAME: Final = 200
_WRITE: Final = 'write them as {"path": "prod/a"}'


async def show_the_policy(visit: Visit) -> Response:
    """Show which policy serves, what waits to be confirmed, and the document of everything that agents may do."""
    return await _shown(visit, None)


async def do_explain(visit: Visit) -> Response:
    """Show what a question would come to, and why; nothing is asked, and nothing is recorded."""
    return await _shown(visit, await explain_question(visit.broker, visit.caller, _asking(visit)))


async def do_activate(visit: Visit) -> Response:
    """Let the version that waits serve, which is the one that the page showed."""
    await activate_policy(visit.broker, visit.caller, visit.form.get("digest", ""))
    return visit.go("/policy")


async def _shown(visit: Visit, explained: Explained | None) -> Response:
    serving = await show_policy(visit.broker, visit.caller)
    agent, role = _named(visit, "agent"), _named(visit, "role")
    is_large = _size(visit, role) > MOST_AT_ONCE and agent is None
    return visit.page(
        "policy.html",
        serving=serving,
        document=() if is_large else await _document(visit, agent, role),
        is_large=is_large,
        is_part=is_large or _size(visit, None) > MOST_AT_ONCE,
        of={"agent": agent or "", "role": role or ""},
        may_activate=visit.caller.operator.may(Permission.POLICY_ACTIVATE),
        tried=visit.form,
        explained=None if explained is None else explained.explanation,
        most_nearly=SHOWN_NEARLY,
    )


def _named(visit: Visit, name: str) -> str | None:
    said = (visit.query(f"of-{name}") or "").strip()
    if len(said) > MAX_NAME:
        raise BadRequest(f"a name is longer than {MAX_NAME} characters")
    return said or None


def _size(visit: Visit, role: str | None) -> int:
    """Return how much the document of a role or of everybody says, roughly: each of its agents with each tool."""
    policy = visit.broker.policy()
    agents = [agent for agent in policy.agents() if role is None or role in agent.roles]
    return len(agents) * len(policy.names("tool")) + (len(policy.operators()) if role is None else 0)


async def _document(visit: Visit, agent: str | None, role: str | None) -> tuple[Block, ...]:
    if agent is not None and role is not None:
        raise BadRequest("choose an agent or a role, not both")
    _, document = await read_document(visit.broker, visit.caller, DocumentFormat.MARKDOWN, agent=agent, role=role)
    return cut(blocks_of(document))


def _asking(visit: Visit) -> Asking:
    agent, tool = (visit.form.get(name, "").strip() for name in ("agent", "tool"))
    if not agent or not tool or max(len(agent), len(tool)) > MAX_NAME:
        raise BadRequest("a question names an agent and a tool")
    try:
        arguments = load(visit.form.get("arguments", "").strip().encode() or b"{}")
    except BadJson as fault:
        raise BadRequest(f"the arguments are not JSON: {fault.message}", hint=_WRITE) from None
    if not isinstance(arguments, dict):
        raise BadRequest("the arguments are no object", hint=_WRITE)
    return Asking(agent=agent, tool=tool, arguments=arguments)


routes: Final = (
    page("/policy", show_the_policy),
    act("/policy/explain", do_explain),
    act("/policy/activate", do_activate),
)
