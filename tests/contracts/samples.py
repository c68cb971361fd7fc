"""Values to store: one of each kind, every field set to something that is not its default, and a ledger's surroundings.

Nothing here is random: ids count up, the clock stands still until a test moves it.
"""

import itertools
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from assent.core.account_links import AccountLink
from assent.core.actions import Action, ActionId, ActionState, Impact, Outcome, RedeemedBy, RunId
from assent.core.agents import AgentId, AgentState, AgentStatus
from assent.core.alerts import Mark
from assent.core.approvals import Approval, ApprovalId, ApprovalState, DenialCategory, Need, Route, Vote
from assent.core.breaker_rules import Definition
from assent.core.breakers import Breaker, BreakerId, BreakerState, Healing, Probe, Scope
from assent.core.budgets import Budget, BudgetId, Reservation
from assent.core.credentials import Credential, CredentialId, Kind, SignedInBy
from assent.core.deliveries import Delivery, DeliveryId, DeliveryState
from assent.core.denials import Denial
from assent.core.grants import Grant, GrantId, GrantState
from assent.core.operators import Assurance, OperatorId
from assent.core.passkeys import Challenge, Passkey, PasskeyId, Purpose
from assent.core.presence import Presence
from assent.core.publications import Bundle, Publication, PublicationId, Review, Tested
from assent.core.reasons import Reason
from assent.core.records import Entry, RecordKind
from assent.core.second_person import FirstAsk
from assent.core.work_leases import Work, WorkLease
from assent.ports import Row
from assent.stores.sealing import LedgerKeys

T0 = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
LATER = T0 + timedelta(minutes=5, microseconds=1)
AGENT = AgentId("deployer")
OWNER = OperatorId("dana")
RUN = RunId("nightly-7")
KEYS = LedgerKeys(ledger_key=b"l" * 32, payload_key=b"p" * 32)
OTHER_KEYS = LedgerKeys(ledger_key=b"L" * 32, payload_key=b"p" * 32)
SECRET = "kettle-orbit-marzipan"


@dataclass
class Clock:
    """A clock that a test moves, and beside it the seconds that no setting of a clock moves."""

    now: datetime = T0
    steady: float = 0.0

    def __call__(self) -> datetime:
        return self.now

    def step(self, **by: float) -> None:
        self.now += timedelta(**by)

    def let_pass(self, seconds: float) -> None:
        """Let time go by, for both."""
        self.now += timedelta(seconds=seconds)
        self.steady += seconds


@dataclass
class Ids:
    """Ids that sort by time of making and never repeat."""

    counter: "itertools.count[int]" = field(default_factory=itertools.count)

    def __call__(self, prefix: str) -> str:
        return f"{prefix}_{next(self.counter):08d}"


def action(identifier: str = "act_1", **changes: object) -> Action:
    values: dict[str, object] = {
        "id": ActionId(identifier),
        "agent": AGENT,
        "key": CredentialId("k1"),
        "tool": "k8s.scale",
        "definition": "0f" * 32,
        "impact": Impact.WRITE,
        "environment": "prod",
        "state": ActionState.PENDING,
        "created_at": T0,
        "arguments": f'{{"deployment":"{SECRET}","replicas":3}}'.encode(),
        "content": b"c" * 32,
        "nonce": b"n" * 16,
        "digest": "ab" * 32,
        "resource": f"prod/{SECRET}",
        "run_id": RUN,
        "idempotency_key": f"key of {identifier}",
        **changes,
    }
    return Action(**values)  # type: ignore[arg-type]  # a test names the fields it cares for


FULL_ACTION = action(
    "act_full",
    state=ActionState.SUCCEEDED,
    resource_is_public=True,
    redeemed_by=RedeemedBy.TOOL,
    sensitive=("token", "größe"),
    how_bad=f"all of {SECRET} is down",
    undo=f"scale {SECRET} back",
    reason=f"more load on {SECRET}",
    context=b'{"model":{"name":"m"}}\xff',
    call_id="call-1",
    on_behalf_of=("operator:erin", "agent:planner"),
    reasons=(Reason("allowed", f"a rule about {SECRET}"), Reason("second", "")),
    rules=("prod.yaml:3", "base.yaml:1"),
    policy_version="9a" * 32,
    record_id="rec_9",
    decided_by_human=True,
    decided_at=T0 + timedelta(seconds=1),
    attempt=b"a" * 32,
    pick_up_until=LATER,
    lease_expires_at=LATER + timedelta(hours=1),
    outcome=Outcome(
        status=ActionState.SUCCEEDED,
        at=LATER,
        reported=True,
        duration_ms=12,
        error=f"none of {SECRET}",
        result_digest="cd" * 32,
    ),
    probe_of=("brk_1", "brk_full"),
    reserved=(Reservation(BudgetId("b"), 17, Decimal("12.50")), Reservation(BudgetId("c"), -3, Decimal("1E+3"))),
    command=("kubectl", f"--context={SECRET}", ""),
)


def approval(identifier: str = "apr_1", **changes: object) -> Approval:
    values: dict[str, object] = {
        "id": ApprovalId(identifier),
        "code": "K7Q-4MX",
        "action": ActionId("act_1"),
        "digest": "ab" * 32,
        "agent": AGENT,
        "owner": OWNER,
        "tool": "k8s.scale",
        "environment": "prod",
        "impact": Impact.WRITE,
        "routes": (Route(name="default", needs=(Need(count=1, of="sre"),)),),
        "asked_at": T0,
        "expires_at": LATER,
        **changes,
    }
    return Approval(**values)  # type: ignore[arg-type]  # a test names the fields it cares for


FULL_APPROVAL = approval(
    "apr_full",
    action=ActionId("act_full"),
    routes=(
        Route(
            name="prod",
            needs=(Need(count=2, of="sre"), Need(count=1, of="security")),
            assurance=Assurance.CONSOLE,
            expires_after=timedelta(minutes=7, microseconds=3),
            pick_up_within=timedelta(minutes=9),
            cool_off=timedelta(hours=3, microseconds=1),
        ),
        Route(name="default", needs=()),
    ),
    state=ApprovalState.DENIED,
    drivers=(OperatorId("erin"),),
    key_issuer="frank",
    run_id="nightly-7",
    votes=(Vote(operator=OperatorId("gus"), at=LATER, assurance=Assurance.STEP_UP, surface="console"),),
    decided_at=LATER,
    decided_by=OperatorId("hana"),
    category=DenialCategory.TOO_RISKY,
    comment=f"not while {SECRET} is on call",
)


def grant(identifier: str = "gra_1", **changes: object) -> Grant:
    values: dict[str, object] = {
        "id": GrantId(identifier),
        "action": ActionId("act_1"),
        "agent": AGENT,
        "tool": "k8s.scale",
        "digest": "ab" * 32,
        "redeemed_by": RedeemedBy.TOOL,
        "issued_at": T0,
        "expires_at": LATER,
        **changes,
    }
    return Grant(**values)  # type: ignore[arg-type]  # a test names the fields it cares for


FULL_GRANT = grant("gra_full", action=ActionId("act_full"), state=GrantState.SPENT, attempt=b"a" * 32, spent_at=LATER)


def breaker(identifier: str = "brk_1", **changes: object) -> Breaker:
    values: dict[str, object] = {
        "id": BreakerId(identifier),
        "scope": Scope(environment="prod"),
        "state": BreakerState.FORCED_OPEN,
        "changed_by": OWNER,
        "changed_at": T0,
        **changes,
    }
    return Breaker(**values)  # type: ignore[arg-type]  # a test names the fields it cares for


FULL_BREAKER = breaker(
    "brk_full",
    scope=Scope(agent="deployer", tool="k8s.*", environment="prod"),
    reason=f"it deletes {SECRET}",
    ask_again_at=LATER,
    reset_asked=FirstAsk(by=OWNER, at=LATER, reason=f"{SECRET} is fine again", assurance=Assurance.CONSOLE),
    rule="failing",
    tripped_by="rule:failing",
    tripped_at=T0 + timedelta(seconds=2),
    healing=Healing(wait_in_open=timedelta(seconds=90), probes=3, times=4, half_open_at=LATER),
    probes=(
        Probe(action="act_1", agent="deployer", by_human=True),
        Probe(action="act_2", agent="other", by_human=False, succeeded=True),
    ),
)


def status(agent: str = "deployer", **changes: object) -> AgentStatus:
    values: dict[str, object] = {
        "id": AgentId(agent),
        "state": AgentState.SUSPENDED,
        "revision": 1,
        "changed_by": OWNER,
        "changed_at": T0,
        "reason": f"reads {SECRET}",
        **changes,
    }
    return AgentStatus(**values)  # type: ignore[arg-type]  # a test names the fields it cares for


FULL_STATUS = status(
    "other", resume_asked=FirstAsk(by=OWNER, at=LATER, reason=f"{SECRET} may go on", assurance=Assurance.LINKED)
)


def credential(identifier: str = "k1", **changes: object) -> Credential:
    values: dict[str, object] = {
        "id": CredentialId(identifier),
        "kind": Kind.AGENT,
        "principal": "deployer",
        "secret_mac": b"m" * 32,
        "issued_by": "dana",
        "issued_at": T0,
        **changes,
    }
    return Credential(**values)  # type: ignore[arg-type]  # a test names the fields it cares for


FULL_CREDENTIAL = credential(
    "k2",
    kind=Kind.SERVICE,
    expires_at=LATER,
    revoked_at=LATER,
    revoked_by="erin",
    tools=("k8s.*", "db.read"),
    signed_in_by=SignedInBy.TOKEN,
    rests_on=CredentialId("k1"),
)


def denial(identifier: str = "apr_1", **changes: object) -> Denial:
    values: dict[str, object] = {
        "id": ApprovalId(identifier),
        "code": "K7Q-4MX",
        "agent": AGENT,
        "tool": "k8s.scale",
        "rules": (),
        "content": b"c" * 32,
        "denied_at": T0,
        "cools_until": None,
        "counts_until": None,
        **changes,
    }
    return Denial(**values)  # type: ignore[arg-type]  # a test names the fields it cares for


FULL_DENIAL = denial(
    "apr_full", rules=("prod.yaml:3", "base.yaml:1"), cools_until=LATER, counts_until=LATER + timedelta(hours=1)
)


def delivery(identifier: str = "dlv_1", **changes: object) -> Delivery:
    values: dict[str, object] = {
        "id": DeliveryId(identifier),
        "approval": ApprovalId("apr_1"),
        "destination": "slack:C0PROD",
        "step": 0,
        "due_at": T0,
        **changes,
    }
    return Delivery(**values)  # type: ignore[arg-type]  # a test names the fields it cares for


FULL_DELIVERY = delivery(
    "dlv_full",
    approval=ApprovalId("apr_full"),
    destination="slack:U0EVE",
    step=2,
    due_at=LATER,
    state=DeliveryState.STALE,
    place="D0/1.2",
    shown="3.1",
    handed_over_at=LATER,
    attempts=4,
    why="ratelimited",
)

BUDGET = Budget(id=BudgetId("bud_1"), window=timedelta(days=1))
FULL_BUDGET = Budget(
    id=BudgetId("bud_full"),
    window=timedelta(minutes=5, microseconds=7),
    slices=((-1, Decimal("12.50")), (10**15, Decimal("1E+3"))),
)


def presence(identifier: str = "act_1", **changes: object) -> Presence:
    values: dict[str, object] = {"id": ActionId(identifier), "agent": AGENT, "seen_at": T0}
    return Presence(**(values | changes))  # type: ignore[arg-type]  # a test names the fields it cares for


FULL_PRESENCE = presence(
    "act_full",
    gone_after=timedelta(minutes=5, microseconds=3),
    is_waiting=True,
    is_quiet=True,
    due_at=LATER,
    revision=7,
)

FULL_LINK = AccountLink(
    id=OperatorId("full"),
    account="T1/U1",
    linked_at=T0,
    code_mac=b"m" * 32,
    code_for="T1/U2",
    code_until=LATER,
    tries_left=3,
    revision=4,
)


def passkey(key: str = "plain", **changes: Any) -> Passkey:
    """Return a passkey that was never used."""
    usual = Passkey(
        id=PasskeyId(key),
        credential=f"credential of {key}".encode(),
        operator=OWNER,
        public_key=b"k" * 77,
        handle=b"h" * 32,
        sign_count=0,
        name="",
        added_at=T0,
        session=CredentialId("s1"),
        vouched_by="link",
    )
    return replace(usual, **changes)


FULL_PASSKEY = passkey(
    "full",
    sign_count=7,
    name=SECRET,
    vouched_by="pky_1",
    synced=True,
    last_used_at=LATER,
    suspect_at=LATER,
    revoked_at=LATER,
    revoked_by="gus",
    revision=3,
)
CHALLENGE = Challenge(
    id="s1.add",
    operator=OWNER,
    session=CredentialId("s1"),
    purpose=Purpose.ADD,
    nonce=b"n" * 32,
    until=LATER,
)
FULL_CHALLENGE = replace(
    CHALLENGE,
    id="s1.vote.apr_1.approve",
    purpose=Purpose.VOTE,
    about="apr_1",
    action="act_1",
    digest="0f" * 32,
    vote="approve",
    vouched_by=PasskeyId("pky_1"),
    answered=True,
    revision=4,
)

PLAIN_ROWS: tuple[Row, ...] = (
    action(),
    approval(),
    delivery(),
    denial(),
    grant(),
    breaker(),
    status(),
    credential(),
    BUDGET,
    Definition(id="k8s.get", digest="0f" * 32),
    Mark(id="webhook", told_until=0),
    presence(),
    AccountLink(id=OWNER),
    passkey(),
    CHALLENGE,
    WorkLease(id=Work.TIMERS, holder=""),
)
FULL_BUNDLE = Bundle(id="b1" * 32, files={"agents.yaml": SECRET.encode(), "tools/a.yaml": b"\x00"}, stored_at=T0)
FULL_PUBLICATION = Publication(
    id=PublicationId("pub_00000003"),
    version="b1" * 32,
    by="dana",
    at=LATER,
    review=Review(
        commit="c0" * 20,
        change_url=f"https://code.example/{SECRET}",
        author="gus",
        reviewer="eve",
        tests=Tested(digest="d1" * 32, cases=4, rules=3, unreached=1),
    ),
    release=b"a note",
    record="rec_7",
)

FULL_ROWS: tuple[Row, ...] = (
    FULL_ACTION,
    FULL_DELIVERY,
    FULL_APPROVAL,
    FULL_DENIAL,
    FULL_GRANT,
    FULL_BREAKER,
    FULL_STATUS,
    FULL_CREDENTIAL,
    FULL_BUDGET,
    Definition(id="k8s.scale", digest="1f" * 32),
    Mark(id="pager", told_until=2**40),
    FULL_PRESENCE,
    FULL_BUNDLE,
    FULL_PUBLICATION,
    FULL_LINK,
    FULL_PASSKEY,
    FULL_CHALLENGE,
    WorkLease(id=Work.PEOPLE, holder="life_1", term=3, revision=9),
)
ALL_ROWS = (*PLAIN_ROWS, *FULL_ROWS)


def entry(kind: RecordKind = RecordKind.ACTION_DECIDED, **changes: object) -> Entry:
    values: dict[str, object] = {
        "kind": kind,
        "agent": "deployer",
        "tool": "k8s.scale",
        "environment": "prod",
        "decision": "pending",
        "action": "act_1",
        "payload": {
            "arguments": f'{{"deployment":"{SECRET}","replicas":3}}'.encode(),
            "reason": f'"more load on {SECRET}"'.encode(),
        },
        **changes,
    }
    return Entry(**values)  # type: ignore[arg-type]  # a test names the fields it cares for
