"""One question: everything that would run, who may answer, and the answers. What is posted here the flows decide.

A yes needs that the last line was on the screen in this session: the page reports it, the flow looks it up in the log.
"""

from datetime import datetime
from typing import Final

from starlette.responses import PlainTextResponse, Response

from assent.console.showing import DIGEST_SENT, shown_of
from assent.console.visits import STATUS_OF, Visit, act, page, script, to_script
from assent.core.actions import ActionState
from assent.core.approvals import OPEN, ApprovalState, DenialCategory, is_self_approved, why_not_let_again, why_not_stop
from assent.core.errors import BadRequest
from assent.core.looking import RecordFilter
from assent.core.operators import OperatorId, Permission
from assent.core.reasons import Reason
from assent.core.records import Record
from assent.core.telling import tell
from assent.flows.add_passkey import passkeys_held
from assent.flows.read_records import list_records
from assent.flows.resolve_approval import (
    Resolved,
    Seen,
    approve_action,
    deny_action,
    let_ask_again,
    revoke_approval,
)
from assent.flows.show_whole import note_shown, reveal_values, sees_values, show_with_values
from assent.flows.sign_vote import ask_to_vote
from assent.flows.tell_story import leaf_of
from assent.flows.use_of_passkey import PasskeyUse
from assent.slack import telling
from assent.slack.view import CardView

MAX_TRAIL: Final = 100
MAX_WORDS: Final = 2_000
_PATH: Final = "/approvals/{approval}"


async def show_approval(visit: Visit) -> Response:
    """Show everything of one question, whatever became of it."""
    seen, revealed = await show_with_values(visit.broker, visit.caller, visit.param("approval"))
    values, now = sees_values(visit.caller.operator), seen.now
    diff = visit.broker.policy().diff_of(seen.action.tool, seen.action.definition)
    shown = None if visit.only_live else shown_of(seen.action, values=values, revealed=revealed, diff=diff)
    view = CardView(approval=seen.approval, action=seen.action, now=now, who=tuple(map(OperatorId, seen.who)))
    facts = telling.facts(view)
    if not values and not seen.action.resource_is_public:
        facts["Where"] = f"{seen.action.environment} · not shown to you"
    signs = await _signs(visit, seen)
    may_approve = seen.approval.state in OPEN and (signs or _could_after_reading(seen))
    return visit.page(
        "approval.html",
        seen=seen,
        shown=shown,
        values=values,
        revealed=revealed,
        facts=facts,
        headline=telling.headline(view, is_approvable=may_approve),
        now=now,
        digest=seen.approval.digest[:DIGEST_SENT],
        may_approve=may_approve,
        signs=signs,
        lacks_passkey=not signs and seen.passkey is PasskeyUse.NEEDED,
        may_deny=_may_deny(visit, seen, now),
        may_revoke=_may_revoke(visit, seen, now),
        may_let_again=_may_let_again(visit, seen, now),
        self_approved=is_self_approved(seen.approval),
        categories=tuple(DenialCategory),
        trail=await _trail(visit, seen),
        tell=lambda record: tell(leaf_of(record)),
    )


async def _signs(visit: Visit, seen: Seen) -> bool:
    """Whether the visitor's yes is signed with a passkey here: it counts for more, and there is one."""
    if seen.passkey is PasskeyUse.NONE:
        return False
    return bool(await passkeys_held(visit.broker, visit.caller.operator.id))


def _could_after_reading(seen: Seen) -> bool:
    return seen.why_not_me is None or seen.why_not_me.code == "not_shown"


def _may_deny(visit: Visit, seen: Seen, now: datetime) -> bool:
    return seen.approval.state in OPEN and why_not_stop(seen.approval, visit.caller.voter(), now) is None


def _may_revoke(visit: Visit, seen: Seen, now: datetime) -> bool:
    ready = seen.action.state is ActionState.READY
    return ready and why_not_stop(seen.approval, visit.caller.voter(), now) is None


def _may_let_again(visit: Visit, seen: Seen, now: datetime) -> bool:
    held_back = seen.again.same_at is not None or seen.again.alike_at is not None
    return (
        held_back
        and seen.approval.state is ApprovalState.DENIED
        and why_not_let_again(seen.approval, visit.caller.voter(), now) is None
    )


async def _trail(visit: Visit, seen: Seen) -> tuple[Record, ...] | None:
    """Return the records of the action, oldest first, or None for whoever does not read the log."""
    if not visit.caller.operator.may(Permission.AUDIT_READ):
        return None
    which = RecordFilter(action=seen.action.id, oldest_first=True)
    return (await list_records(visit.broker, visit.caller, which, limit=MAX_TRAIL)).records


async def do_note_shown(visit: Visit) -> Response:
    """Record that the last line was on the screen; 204 when a yes may follow from it."""
    reason = await note_shown(
        visit.broker,
        visit.caller,
        visit.param("approval"),
        digest_prefix=visit.form.get("digest", "").lower(),
        with_values=visit.form.get("values") == "yes",
    )
    if reason is None:
        return Response(status_code=204)
    return PlainTextResponse(reason.message, status_code=STATUS_OF.get(reason.code, 409))


async def do_reveal(visit: Visit) -> Response:
    """Record who is shown the sensitive values and why, then show them."""
    key = visit.param("approval")
    reason = await reveal_values(visit.broker, visit.caller, key, reason=_words(visit, "reason"))
    return visit.go(f"/approvals/{key}") if reason is None else visit.refused(reason, back=f"/approvals/{key}")


async def do_ask_passkey(visit: Visit) -> Response:
    """Tell the page what the visitor's passkey is to sign for a yes to exactly what was shown."""
    key, digest = visit.param("approval"), visit.form.get("digest", "").lower()
    asked = await ask_to_vote(visit.broker, visit.caller, key, digest_prefix=digest)
    return to_script(asked if isinstance(asked, Reason) else {"get": asked})


async def do_approve(visit: Visit) -> Response:
    """Count a yes to exactly what was shown, signed with a passkey where the page had it signed."""
    digest, comment = visit.form.get("digest", "").lower(), _words(visit, "comment")
    key, passkey = visit.param("approval"), visit.form.get("passkey", "")
    return _answer(
        visit,
        await approve_action(visit.broker, visit.caller, key, digest_prefix=digest, comment=comment, passkey=passkey),
    )


async def do_deny(visit: Visit) -> Response:
    """Count a no, with its category."""
    try:
        category = DenialCategory(visit.form.get("category", ""))
    except ValueError:
        raise BadRequest("choose why you say no") from None
    key, comment = visit.param("approval"), _words(visit, "reason")
    return _answer(visit, await deny_action(visit.broker, visit.caller, key, category=category, comment=comment))


async def do_revoke(visit: Visit) -> Response:
    """Take a yes back, as long as nobody picked it up."""
    key, reason = visit.param("approval"), _words(visit, "reason")
    return _answer(visit, await revoke_approval(visit.broker, visit.caller, key, reason=reason))


async def do_let_again(visit: Visit) -> Response:
    """Let what was denied be asked again."""
    key, reason = visit.param("approval"), _words(visit, "reason")
    return _answer(visit, await let_ask_again(visit.broker, visit.caller, key, reason=reason))


def _answer(visit: Visit, resolved: Resolved) -> Response:
    back = f"/approvals/{resolved.approval.id}"
    return visit.go(back) if resolved.refused is None else visit.refused(resolved.refused, back=back, who=resolved.who)


def _words(visit: Visit, name: str) -> str:
    said = visit.form.get(name, "").strip()
    if len(said) > MAX_WORDS:
        raise BadRequest(f"this is longer than {MAX_WORDS} characters", hint="say it in fewer")
    return said


routes: Final = (
    page(_PATH, show_approval),
    act(f"{_PATH}/shown", do_note_shown),
    act(f"{_PATH}/reveal", do_reveal),
    script(f"{_PATH}/passkey", do_ask_passkey),
    act(f"{_PATH}/approve", do_approve),
    act(f"{_PATH}/deny", do_deny),
    act(f"{_PATH}/revoke", do_revoke),
    act(f"{_PATH}/let-again", do_let_again),
)
