"""Every card, dialog and home tab that people can meet, each by a name; tests, pictures and checks by others use it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from assent.core.actions import Impact, RunId
from assent.core.approvals import ApprovalState, Need, Route
from assent.core.canonical import canonical
from assent.core.deliveries import Past
from assent.core.operators import Assurance, OperatorId
from assent.core.presence import Presence
from assent.slack import dialogs
from assent.slack.cards import card, too_long, value_of
from assent.slack.home import Inbox, home
from assent.slack.speaking import message
from assent.slack.view import CardView
from tests.contracts.samples import FULL_BREAKER, T0, approval, breaker
from tests.slack.test_cards import APPROVED, DANA, ENDED, PENDING

SECRET = replace(PENDING.action, arguments=canonical({"token": "plum-cricket"}), sensitive=("token",))
LONG = replace(PENDING.action, arguments=canonical({"sql": "UPDATE ledger SET paid = 1;\n" * 431}))
THERE = Presence(id=PENDING.action.id, agent=PENDING.action.agent, seen_at=T0)
FULL = replace(
    PENDING,
    action=replace(
        PENDING.action,
        arguments=canonical({"cluster": "prod-eu", "namespace": "payments", "deployment": "api", "replicas": 5}),
        reason="queue depth is rising, three more replicas for the evening",
        how_bad="changes how much of prod-eu serves payments",
        undo="k8s.scale with the number from before",
        run_id=RunId("nightly-7"),
    ),
    past=Past(succeeded=40, failed=1, denied=2),
    presence=THERE,
)
TWO = Route(name="payments", needs=(Need(count=1, of="sre"), Need(count=1, of="security")), assurance=Assurance.SLACK)
PARTIAL = replace(
    FULL,
    approval=replace(APPROVED, state=ApprovalState.PARTIAL, routes=(TWO,), decided_at=None, decided_by=None),
    who=(DANA,),
)
CARDS: Mapping[str, CardView] = {
    "waits": FULL,
    "waits for a second person": PARTIAL,
    "waits, the agent is away": replace(FULL, presence=replace(THERE, is_quiet=True)),
    "waits, answered in the console": replace(
        FULL,
        approval=replace(FULL.approval, routes=(replace(TWO, assurance=Assurance.CONSOLE),)),
        page="https://assent.example/approvals/apr_1",
    ),
    "waits, destructive": replace(FULL, action=replace(FULL.action, impact=Impact.DESTRUCTIVE)),
    "waits, too long for Slack": replace(FULL, action=LONG, page="https://assent.example/approvals/apr_1", past=None),
    "waits, a sensitive value": replace(PENDING, action=SECRET),
    "waits, many may answer": replace(PENDING, who=tuple(OperatorId(f"o{number}") for number in range(40))),
    **{words: replace(view, page=None) for words, view in ENDED.items()},
}
MESSAGES: Mapping[str, tuple[dict[str, Any], ...]] = {
    **{name: card(view).blocks for name, view in CARDS.items()},
    "Slack called it too long": too_long(FULL).blocks,
    "told to one person": tuple(message("Not counted: you own this agent. Who can: eve, sam.")["blocks"]),
}
VIEWS: Mapping[str, dict[str, Any]] = {
    "deny": dialogs.deny("K7Q-4MX", value_of(PENDING)),
    "revoke": dialogs.revoke("K7Q-4MX", value_of(PENDING)),
    "approve with a comment": dialogs.comment("K7Q-4MX", value_of(PENDING)),
    "trip": dialogs.trip(dialogs.scopes_of("deployer", "k8s.scale", "prod"), value_of(PENDING)),
    "home of nobody": home(Inbox(operator=None, is_linked=False, waiting=[], stopped=[], now=T0)),
    "home, calm": home(Inbox(operator="eve", is_linked=False, waiting=[], stopped=[], now=T0)),
    "home, busy": home(
        Inbox(
            operator="eve",
            is_linked=True,
            waiting=[approval(f"apr_{number}", code=f"K7Q-{number:03d}") for number in range(3)],
            stopped=[FULL_BREAKER, breaker()],
            now=T0 + timedelta(minutes=1),
        )
    ),
}
