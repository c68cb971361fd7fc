"""The refusals: one row for every way Assent says no; API, CLI, SDK text and docs read this table.

A sentence never quotes rule text: an agent learns what to do next, not how to slip past.
"""

from dataclasses import dataclass
from enum import StrEnum


class Seen(StrEnum):
    """Who meets a refusal."""

    AGENT = "agent"
    OPERATOR = "operator"
    BOTH = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One way of saying no: a stable code, a sentence, the next step and whether asking again can help."""

    code: str
    seen_by: Seen
    sentence: str
    next_step: str
    agent_may_retry: bool


def _row(code: str, seen_by: Seen, sentence: str, next_step: str, *, retry: bool = False) -> tuple[str, Refusal]:
    return code, Refusal(code=code, seen_by=seen_by, sentence=sentence, next_step=next_step, agent_may_retry=retry)


REFUSALS: dict[str, Refusal] = dict(
    [
        # what policy and the principals' state say
        _row("unknown_agent", Seen.AGENT, "this agent is not registered", "ask its owner to add it to agents.yaml"),
        _row("agent_suspended", Seen.BOTH, "this agent or its key is suspended", "ask the agent's owner; do not retry"),
        _row("agent_expired", Seen.AGENT, "this agent's registration has expired", "ask its owner to renew `expires`"),
        _row("unknown_tool", Seen.AGENT, "this tool is not in the catalogue", "use a tool from `GET /v1/me`"),
        _row(
            "unknown_principal",
            Seen.AGENT,
            "`on_behalf_of` names somebody who is not known",
            "name `operator:ID` or `agent:ID` as registered, or leave it out",
        ),
        _row(
            "driver_required",
            Seen.AGENT,
            "an interactive agent must say on whose behalf it acts",
            "ask again with `on_behalf_of`",
            retry=True,
        ),
        _row(
            "bad_arguments",
            Seen.AGENT,
            "the arguments do not fit the tool's schema",
            "correct the named argument and ask again",
            retry=True,
        ),
        _row(
            "not_canonical",
            Seen.AGENT,
            "a value is not in its canonical form",
            "ask again with the form that the message names",
            retry=True,
        ),
        _row(
            "environment_unknown",
            Seen.AGENT,
            "the environment cannot be derived from the arguments",
            "use a target that the catalogue knows",
        ),
        _row("no_rule", Seen.AGENT, "no rule allows this action", "do something else, or ask the agent's owner"),
        _row("rule_denied", Seen.BOTH, "a rule forbids this action", "do something else; do not retry"),
        _row("definition_changed", Seen.BOTH, "the tool's definition changed since this was judged", "ask anew"),
        _row("policy_error", Seen.BOTH, "the policy could not be evaluated", "tell an operator; do not retry"),
        # what humans and time say
        _row(
            "no_eligible_approver",
            Seen.AGENT,
            "nobody who may approve this action exists",
            "ask the agent's owner for a second person on the route",
        ),
        _row(
            "too_many_pending",
            Seen.AGENT,
            "too many actions are waiting for a human already",
            "wait until one is decided",
            retry=True,
        ),
        _row("cooling_off", Seen.AGENT, "a human denied this a short while ago", "do something else"),
        _row("approval_denied", Seen.BOTH, "a human denied this action", "do something else; do not retry"),
        _row(
            "approval_expired",
            Seen.BOTH,
            "nobody answered in time; nobody denied it",
            "ask again if still needed",
            retry=True,
        ),
        _row(
            "not_picked_up",
            Seen.BOTH,
            "the approved action was not picked up in time; nothing was run",
            "ask again",
            retry=True,
        ),
        _row("approval_revoked", Seen.BOTH, "the approval was revoked before the action ran", "do something else"),
        _row("cancelled", Seen.BOTH, "the action was cancelled before it ran", "ask again if still needed", retry=True),
        # what breakers and the broker say
        _row(
            "breaker_open",
            Seen.BOTH,
            "a breaker is open over this action",
            "wait for a human to reset it; do not retry",
        ),
        _row(
            "broker_unavailable", Seen.BOTH, "the broker could not decide; nothing was run", "retry later", retry=True
        ),
        _row("already_executed", Seen.BOTH, "another attempt holds or finished this action", "do not run it again"),
        # grants
        _row("grant_spent", Seen.AGENT, "the grant was redeemed by another attempt", "do not run it again"),
        _row("grant_expired", Seen.AGENT, "the grant has expired", "ask again", retry=True),
        _row("grant_dead", Seen.AGENT, "the grant was withdrawn before it was redeemed", "ask again if still needed"),
        _row(
            "digest_mismatch",
            Seen.AGENT,
            "these are not the arguments that were granted",
            "run the frozen arguments only",
        ),
        _row("attempt_mismatch", Seen.AGENT, "another attempt holds this action", "report only what you ran"),
        _row("outcome_conflict", Seen.AGENT, "another outcome was reported already", "do not report twice"),
        # operators' calls
        _row("not_eligible", Seen.OPERATOR, "you may not decide this approval", "ask one of the people who can"),
        _row(
            "step_up_required",
            Seen.OPERATOR,
            "this surface is not sure enough who you are",
            "decide on the next surface up",
        ),
        _row(
            "not_shown",
            Seen.OPERATOR,
            "the whole of this has not been on the screen in your session",
            "open it in the console and read to its last line",
        ),
        _row("already_decided", Seen.OPERATOR, "this approval was decided already", "see who decided it and when"),
        _row("not_approved", Seen.OPERATOR, "nobody has approved this yet", "deny it instead"),
        _row("not_denied", Seen.OPERATOR, "this approval was not denied", "nothing keeps it from being asked again"),
        _row("digest_changed", Seen.OPERATOR, "what you saw is not what would run", "show the approval again"),
        _row("already_closed", Seen.OPERATOR, "this breaker is closed already", "list the breakers"),
    ]
)
