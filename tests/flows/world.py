"""A small world for stories about flows: a real ledger in memory, a policy that a story can change, a clock it sets."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from assent.core.actions import ActionState, Impact, Proposal, RedeemedBy
from assent.core.agents import AgentId, AgentProfile
from assent.core.approvals import Need, Route
from assent.core.breaker_rules import BreakerRule, Counted, counted
from assent.core.canonical import Json, canonical, load, sha256_hex
from assent.core.credentials import Kind
from assent.core.decisions import Effect, Verdict
from assent.core.diffs import DiffOf
from assent.core.looking import RecordFilter
from assent.core.operators import PERMISSION_SETS, Assurance, Operator, OperatorId
from assent.core.privileges import Change
from assent.core.reasons import Reason
from assent.core.records import Record
from assent.flows import authenticate, manage_principals
from assent.flows.active_policy import Activating, activate
from assent.flows.answers import Answered
from assent.flows.authenticate import AgentCaller, ServiceCaller, TokenCaller
from assent.flows.broker import Broker
from assent.flows.recount import recount
from assent.flows.request_action import Ask, request_action
from assent.flows.run_action import Redemption, Report, report_outcome
from assent.ports import Gate, Ledger, NewId, Policy, ToolView, Tx, View
from assent.stores.sealing import LedgerKeys
from assent.stores.signals_local import LocalSignals
from assent.stores.sqlite import SqliteLedger

KEYS = LedgerKeys(ledger_key=b"l" * 32, payload_key=b"p" * 32)
START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


class SetClock:
    """A clock that stands still until a story moves it."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def steady(self) -> float:
        """Return the same time as seconds, for what counts."""
        return self.now.timestamp()

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One tool of the world: what it does, what policy says about it in production, who redeems it."""

    impact: Impact = Impact.WRITE
    effect: Effect = Effect.REQUIRE_APPROVAL
    redeemed_by: RedeemedBy = RedeemedBy.AGENT
    definition: str = "1"
    sensitive: tuple[str, ...] = ()
    diff: DiffOf | None = None


def _person(name: str, *groups: str, may: str = "approver") -> Operator:
    return Operator(
        id=OperatorId(name),
        groups=groups,
        permissions=PERMISSION_SETS["approver"] | PERMISSION_SETS[may],
        security_admin=may == "security_admin",
    )


@dataclass(frozen=True, kw_only=True)
class TownPolicy:
    """A policy as plain values. Arguments `{env, …}`: the environment is derived from `env`, `staging` is free."""

    version: str = "v1"
    release: bytes | None = None
    nonproduction: frozenset[str] = frozenset({"staging"})
    tools: dict[str, Tool] = field(
        default_factory=lambda: {
            "files.read": Tool(impact=Impact.READ, effect=Effect.ALLOW),
            "files.write": Tool(),
            "files.delete": Tool(impact=Impact.DESTRUCTIVE, effect=Effect.DENY),
            "db.run": Tool(redeemed_by=RedeemedBy.TOOL),
        }
    )
    profiles: dict[str, AgentProfile] = field(
        default_factory=lambda: {
            name: AgentProfile(
                id=AgentId(name),
                owner=OperatorId("owner"),
                roles=("r",),
                expires=START + timedelta(days=60),
                cut_off=f"revoke {name}",
            )
            for name in ("bot", "other")
        }
    )
    people: tuple[Operator, ...] = (
        _person("admin", may="security_admin"),
        _person("eve", "oncall", may="operator"),
        _person("owner", "oncall", may="operator"),
        _person("sam", "oncall", "security", may="operator"),
    )
    breakers: tuple[BreakerRule, ...] = ()
    routes: dict[str, Route] = field(
        default_factory=lambda: {
            "default": Route(name="default", needs=(Need(count=1, of="oncall"),), assurance=Assurance.TOKEN)
        }
    )

    changes: tuple[Change, ...] = ()

    def changes_since(self, older: Policy) -> Sequence[Change]:
        return self.changes

    def propose(self, tool: str, arguments: Json) -> Proposal | Reason:
        known = self.tools.get(tool)
        if known is None:
            return Reason.of("unknown_tool")
        if not isinstance(arguments, dict) or not isinstance(arguments.get("env"), str):
            return Reason.of("bad_arguments", "`env`")
        environment = str(arguments["env"])
        return Proposal(
            tool=tool,
            definition=sha256_hex(known.definition.encode()),
            impact=known.impact,
            arguments=canonical(arguments),
            resource=f"{environment}/{arguments.get('path', '')}",
            environment=environment,
            nonproduction=environment in self.nonproduction,
            redeemed_by=known.redeemed_by,
            sensitive=known.sensitive,
        )

    def verdict(self, proposal: Proposal, agent: AgentId, on_behalf_of: Sequence[str]) -> Verdict:
        tool = self.tools[proposal.tool]
        effect = Effect.ALLOW if proposal.nonproduction and tool.effect is not Effect.DENY else tool.effect
        reasons = (Reason.of("rule_denied"),) if effect is Effect.DENY else ()
        return Verdict(effect=effect, rules=(f"rule-{proposal.tool}",), routes=tuple(self.routes), reasons=reasons)

    def definition(self, tool: str) -> str | None:
        return sha256_hex(self.tools[tool].definition.encode()) if tool in self.tools else None

    def agent(self, key: str) -> AgentProfile | None:
        return self.profiles.get(key)

    def diff_of(self, tool: str, definition: str) -> DiffOf | None:
        return None if definition != self.definition(tool) else self.tools[tool].diff

    def agents(self) -> Sequence[AgentProfile]:
        return tuple(self.profiles.values())

    def operator(self, key: str) -> Operator | None:
        return next((o for o in self.people if o.id == key), None)

    def operators(self) -> Sequence[Operator]:
        return self.people

    def route(self, name: str) -> Route | None:
        return self.routes.get(name)

    def all_routes(self) -> Sequence[Route]:
        return tuple(self.routes.values())

    def is_nonproduction(self, environment: str) -> bool:
        return environment in self.nonproduction

    def breaker_rules(self) -> Sequence[BreakerRule]:
        return self.breakers

    def counted(self, agent: str, tool: str, environment: str) -> Counted:
        return counted(self.breakers, agent=agent, tool=tool, environment=environment)

    def names(self, dimension: str) -> Sequence[str]:
        known: dict[str, Iterable[str]] = {
            "agent": self.profiles,
            "tool": self.tools,
            "environment": ("production", "staging"),
        }
        return tuple(known[dimension])

    def tools_for(self, agent: AgentId) -> Sequence[ToolView]:
        return ()


class World:
    """The broker of a story, with people and agents who hold credentials."""

    def __init__(self, ledger: Ledger, clock: SetClock, policy: TownPolicy, new_id: NewId) -> None:
        self.ledger = ledger
        self.clock = clock
        self.policy = policy
        self._numbers = itertools.count(1)
        self._tokens: dict[str, str] = {}
        self.broker = Broker(
            ledger=ledger,
            policy=lambda: self.policy,
            signals=LocalSignals(clock.steady),
            new_id=new_id,
            new_code=lambda: f"AAA-{next(self._numbers):04d}",
            new_secret=lambda: f"secret{next(self._numbers):038d}",
            new_nonce=lambda: next(self._numbers).to_bytes(32, "big"),
            sign_grant=lambda claims: f"signed.{claims['jti']}",
            open_grant=lambda token: {"jti": token.removeprefix("signed.")} if token.startswith("signed.") else None,
            issuer="assent-test",
        )

    def declare(self, *agents: str) -> None:
        """Let there be these agents and no others."""
        usual = self.policy.profiles["bot"]
        profiles = {name: replace(usual, id=AgentId(name)) for name in agents}
        self.policy = replace(self.policy, profiles=profiles)

    async def another_is_active(self) -> None:
        """Let the ledger call another policy active than the one that this broker has."""

        async def work(tx: Tx) -> None:
            await activate(tx, Activating(version="another", previous=self.policy.version, changes=None))

        await self.ledger.transact(work, gate=Gate.EXCLUSIVE)

    async def rule(self, *rules: BreakerRule) -> None:
        """Let these rules count from now on."""
        self.policy = replace(self.policy, breakers=rules)
        await recount(self.broker)

    async def report(
        self, caller: AgentCaller, asked: Answered, status: str = "succeeded", *, duration_ms: int | None = None
    ) -> Redemption:
        """Report what became of an action that began with the ask itself."""
        told = Report(attempt="a" * 22, status=ActionState(status), duration_ms=duration_ms)
        return await report_outcome(self.broker, caller, asked.action.id, told)

    async def token(self, kind: Kind, name: str, *, issued_by: str = "admin", **more: Any) -> str:
        issued = await manage_principals.issue_credential(self.broker, kind, name, issued_by=issued_by, **more)
        return issued.token

    async def agent(self, name: str = "bot", *, issued_by: str = "admin") -> AgentCaller:
        return await authenticate.agent(self.broker, await self.token(Kind.AGENT, name, issued_by=issued_by))

    async def operator(self, name: str, *, issued_by: str = "admin") -> TokenCaller:
        token = await self.token(Kind.OPERATOR, name, issued_by=issued_by)
        return await authenticate.operator(self.broker, token, "api")

    async def service(self, name: str = "db", tools: tuple[str, ...] = ("db.*",)) -> ServiceCaller:
        return await authenticate.service(self.broker, await self.token(Kind.SERVICE, name, tools=tools))

    async def ask(self, caller: AgentCaller, tool: str = "files.write", **changes: Any) -> Answered:
        usual = Ask(tool=tool, arguments={"env": "production", "path": "a"}, attempt="a" * 22, run_id=self._run())
        return await request_action(self.broker, caller, replace(usual, **changes))

    def _run(self) -> str:
        return f"run{next(self._numbers)}"

    async def records(self, **which: Any) -> list[Record]:
        """Return the records, oldest first."""

        async def work(view: View) -> Sequence[Record]:
            return (await view.records(RecordFilter(**which), limit=10_000)).records

        return list(reversed(await self.ledger.read(work)))

    async def kinds(self, **which: Any) -> list[str]:
        leaves = [load(record.leaf) for record in await self.records(**which)]
        return [str(leaf["kind"]) for leaf in leaves if isinstance(leaf, dict)]


class CountedIds:
    """Ids in the order of their making, one sequence for everybody."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def __call__(self, prefix: str) -> str:
        number = next(self._numbers)
        return f"{prefix}_{number:06d}" if prefix else f"k{number:06d}"


def a_world(clock: SetClock | None = None, policy: TownPolicy | None = None) -> World:
    """Return a fresh world on a ledger in memory; close its ledger when the story is over."""
    clock, ids = clock or SetClock(), CountedIds()
    ledger = SqliteLedger.open(":memory:", KEYS, clock=clock, new_id=ids)
    return World(ledger, clock, policy or TownPolicy(), ids)
