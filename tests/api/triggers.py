"""For every code that the API answers, the shortest story that makes a real broker answer it, through its API.

The policy is a directory like any other, loaded and judged as the broker does it; each rule carries words that no agent
may ever hear. `TRIGGERS` maps a code to its story, `NOT_YET` a code to what it waits for,
`ELSEWHERE` one that another surface answers to who tells its story.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

from assent.api import ApiSettings
from assent.core.errors import LedgerUnavailable
from assent.flows.suspend_agent import suspend_agent
from assent.flows.tick import tick
from assent.policy import LoadedPolicy, load
from assent.policy.current import PolicyHolder
from assent.policy.packs import starter
from assent.ports import Ledger
from tests.api.client import Heard, bearer, call
from tests.api.town import ATTEMPT, OTHER_ATTEMPT, Town
from tests.flows.world import SetClock, TownPolicy, a_world
from tests.policy.directory import write

UNHEARD: Final = "words-of-a-rule"

POLICY: Final = {
    "model.conf": starter()["model.conf"].decode(),
    "environments.yaml": "production: {}\nstaging: {nonproduction: true}\n",
    "operators.yaml": """\
owner: {groups: [oncall, owners], may: [approver, operator]}
admin: {may: [security_admin]}
pat: {}
eve: {groups: [oncall], may: [approver, operator]}
sam: {groups: [oncall], may: [approver, operator]}
""",
    "routes.yaml": """\
default: {needs: [{any: 1, of: oncall}], assurance: token, expires_after: 15m, pick_up_within: 30m}
console: {needs: [{any: 1, of: oncall}], assurance: console}
owners: {needs: [{any: 1, of: owners}], assurance: token}
""",
    "tools/files.yaml": "".join(
        f"""\
files.{verb}:
  description: {verb} a file
  impact: {"read" if verb == "read" else "write"}
  resource: "{{path}}"
  environment: {{from: path, segment: 0, match: {{prod: production, staging: staging}}}}
  arguments: {{path: string}}
  how_bad: "it is other than before"
  undo: "from the backup"
"""
        for verb in ("read", "write", "move", "copy", "link", "delete")
    ).replace('  how_bad: "it is other than before"\n  undo: "from the backup"\n', "", 1),
    "roles/worker.yaml": f"""\
worker:
  description: works with files
  owner: owner
  rules:
    - {{id: read-{UNHEARD}, tools: [files.read], environments: ["*"], effect: allow}}
    - {{id: write-{UNHEARD}, tools: [files.write], environments: ["*"], effect: require_approval, route: default}}
    - {{id: move-{UNHEARD}, tools: [files.move], environments: ["*"], effect: require_approval, route: console}}
    - {{id: copy-{UNHEARD}, tools: [files.copy], environments: ["*"], effect: require_approval, route: owners}}
    - {{id: delete-{UNHEARD}, tools: [files.delete], environments: ["*"], effect: deny, reason: {UNHEARD}}}
""",
    "agents.yaml": """\
bot: {owner: owner, roles: [worker], expires: 2027-12-31}
helper: {owner: owner, roles: [worker], expires: 2027-12-31, interactive: true}
gone: {owner: owner, roles: [worker], expires: 2026-01-31}
""",
}
PATH: Final = "prod/a"


class Square(Town):
    """The town, with a policy from files and an ear for everything that an agent is told."""

    def __init__(self, folder: Path, settings: ApiSettings | None = None) -> None:
        clock = SetClock()
        super().__init__(a_world(clock), settings)
        self._folder = folder
        self.told_to_agents: list[str] = []
        self.policy = self.loads(POLICY)

    def loads(self, files: dict[str, str]) -> LoadedPolicy:
        """Load the directory made of `files` and let it serve."""
        return self.serves(load(write(self._folder, files), self.world.clock))

    def serves(self, policy: LoadedPolicy) -> LoadedPolicy:
        # A world says that its policy is the town's; flows ask no more of it than the port, which both keep.
        self.world.policy = cast("TownPolicy", policy)
        return policy

    async def with_a_broken_directory(self) -> Town:
        """Return the same town with a broker that reads its policies again, and finds something wrong with them."""
        holder = PolicyHolder(self._folder, self.world.clock)
        self.world.broker = replace(self.world.broker, policies=holder)
        (self._folder / "agents.yaml").write_text("bot: {owner: nobody}\n")
        return Town(self.world)

    async def get(self, token: str | None, target: str, *extra: tuple[bytes, bytes]) -> Heard:
        return self._listen(token, await super().get(token, target, *extra))

    async def post_raw(self, token: str | None, target: str, body: bytes, *extra: tuple[bytes, bytes]) -> Heard:
        return self._listen(token, await super().post_raw(token, target, body, *extra))

    def _listen(self, token: str | None, heard: Heard) -> Heard:
        if token is not None and token.startswith("asn_"):
            self.told_to_agents.append(heard.body.decode())
        return heard

    async def asks(self, tool: str = "write", path: str = PATH, agent: str = "bot", **more: Any) -> Heard:
        body = {"tool": f"files.{tool}", "arguments": {"path": path}, **more}
        return await self.post(await self.agent(agent), "/v1/actions", body)

    async def looks(self, action: Heard) -> Heard:
        return await self.get(await self.agent(), f"/v1/actions/{action.json['action_id']}")

    async def answers(self, asked: Heard, how: str, body: dict[str, str], who: str = "eve") -> Heard:
        return await self.post(await self.operator(who), f"/v1/approvals/{asked.json['approval']['id']}/{how}", body)

    async def approves(self, asked: Heard, who: str = "eve", digest: str = "") -> Heard:
        return await self.answers(asked, "approve", {"digest_prefix": digest or asked.json["digest"][:8]}, who)

    async def denies(self, asked: Heard) -> Heard:
        return await self.answers(asked, "deny", {"category": "other", "reason": "no"})

    async def ready(self) -> Heard:
        """Return an action that a person approved and nobody picked up yet."""
        asked = await self.asks()
        assert (await self.approves(asked)).status == 200
        return await self.looks(asked)

    async def redeems(self, ready: Heard, attempt: str = ATTEMPT, **what: Any) -> Heard:
        body = {"attempt": attempt, **(what or {"digest": ready.json["digest"]})}
        return await self.post(await self.agent(), f"/v1/grants/{ready.json['grant']['id']}/redeem", body)

    async def reports(self, action: Heard, attempt: str = ATTEMPT, status: str = "succeeded") -> Heard:
        path = f"/v1/actions/{action.json['action_id']}/outcome"
        return await self.post(await self.agent(), path, {"attempt": attempt, "status": status})

    async def cancels(self, action: Heard) -> Heard:
        return await self.post(await self.agent(), f"/v1/actions/{action.json['action_id']}/cancel", {})

    async def trips(self) -> Heard:
        return await self.post(await self.operator("sam"), "/v1/breakers/trip", {"scope": {"environment": "staging"}})

    async def later(self, **by: float) -> None:
        self.world.clock.forward(**by)
        await tick(self.world.broker)


Trigger = Callable[[Square], Awaitable[Heard]]
TRIGGERS: Final[dict[str, Trigger]] = {}
NOT_YET: Final[dict[str, str]] = {}
ELSEWHERE: Final = {"not_shown": "the API has no sessions: tests/flows/test_show_whole.py and tests/console"}


def trigger(story: Trigger) -> Trigger:
    """Enter `story` under the code that it is named after."""
    TRIGGERS[story.__name__] = story
    return story


# --- what policy and the agent's own state say ------------------------------------------------------------------------


@trigger
async def unknown_agent(square: Square) -> Heard:
    return await square.asks(agent="nobody")


@trigger
async def agent_suspended(square: Square) -> Heard:
    await suspend_agent(square.world.broker, await square.world.operator("admin"), _bot(square), reason="odd")
    return await square.asks()


def _bot(square: Square) -> Any:
    profile = square.policy.agent("bot")
    assert profile is not None
    return profile.id


@trigger
async def agent_expired(square: Square) -> Heard:
    return await square.asks(agent="gone")


@trigger
async def unknown_tool(square: Square) -> Heard:
    return await square.asks("shred")


@trigger
async def unknown_principal(square: Square) -> Heard:
    return await square.asks(on_behalf_of=["operator:nobody"])


@trigger
async def driver_required(square: Square) -> Heard:
    return await square.asks(agent="helper")


@trigger
async def bad_arguments(square: Square) -> Heard:
    return await square.asks(arguments={"file": PATH})


@trigger
async def not_canonical(square: Square) -> Heard:
    return await square.asks(path="staging/../prod/a")


@trigger
async def environment_unknown(square: Square) -> Heard:
    return await square.asks(path="home/a")


@trigger
async def no_rule(square: Square) -> Heard:
    return await square.asks("link")


@trigger
async def rule_denied(square: Square) -> Heard:
    return await square.asks("delete")


@trigger
async def definition_changed(square: Square) -> Heard:
    ready = await square.ready()
    tools = POLICY["tools/files.yaml"].replace("from the backup", "by hand")
    square.loads({**POLICY, "tools/files.yaml": tools})
    return await square.redeems(ready)


@trigger
async def policy_error(square: Square) -> Heard:
    # What no directory can declare: rules that are not found under their own names.
    declared = square.policy._declared  # noqa: SLF001  # the fault is made here, nothing is replaced
    damaged = replace(declared, rules={f"lost-{name}": rule for name, rule in declared.rules.items()})
    square.serves(LoadedPolicy(damaged, square.world.clock))
    return await square.asks()


# --- what people and time say -----------------------------------------------------------------------------------------


@trigger
async def no_eligible_approver(square: Square) -> Heard:
    return await square.asks("copy")


@trigger
async def too_many_pending(square: Square) -> Heard:
    for path in ("prod/a", "prod/b"):
        await square.asks(path=path, run_id="r")
    return await square.asks(path="prod/c", run_id="r")


@trigger
async def approval_denied(square: Square) -> Heard:
    asked = await square.asks()
    await square.denies(asked)
    return await square.looks(asked)


@trigger
async def cooling_off(square: Square) -> Heard:
    await square.denies(await square.asks())
    return await square.asks()


@trigger
async def approval_expired(square: Square) -> Heard:
    asked = await square.asks()
    await square.later(minutes=16)
    return await square.looks(asked)


@trigger
async def not_picked_up(square: Square) -> Heard:
    ready = await square.ready()
    await square.later(minutes=31)
    return await square.looks(ready)


@trigger
async def approval_revoked(square: Square) -> Heard:
    asked = await square.asks()
    await square.approves(asked)
    await square.answers(asked, "revoke", {"reason": "wrong one"})
    return await square.looks(asked)


@trigger
async def cancelled(square: Square) -> Heard:
    asked = await square.asks()
    await square.cancels(asked)
    return await square.looks(asked)


# --- what breakers and the broker say ---------------------------------------------------------------------------------


@trigger
async def breaker_open(square: Square) -> Heard:
    await square.trips()
    return await square.asks("read", "staging/a")


@trigger
async def broker_unavailable(square: Square) -> Heard:
    key = await square.agent()
    await square.world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has
    return await square.post(key, "/v1/actions", {"tool": "files.read", "arguments": {"path": PATH}})


class TakesNothing:
    """A ledger that can be read and takes no writes, as on a full disk."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def __getattr__(self, name: str) -> object:
        return getattr(self._ledger, name)

    async def transact(self, *_: object, **__: object) -> None:
        raise LedgerUnavailable("the disk is full")


@trigger
async def held_not_durable(square: Square) -> Heard:
    token = await square.operator("sam")
    square.world.broker = replace(square.world.broker, ledger=cast("Ledger", TakesNothing(square.world.ledger)))
    return await Town(square.world).post(token, "/v1/breakers/trip", {"scope": {"environment": "staging"}})


@trigger
async def already_executed(square: Square) -> Heard:
    return await square.looks(await square.asks("read", attempt=ATTEMPT))


# --- grants -----------------------------------------------------------------------------------------------------------


@trigger
async def grant_spent(square: Square) -> Heard:
    ready = await square.ready()
    await square.redeems(ready)
    return await square.redeems(ready, OTHER_ATTEMPT)


@trigger
async def grant_expired(square: Square) -> Heard:
    ready = await square.ready()
    square.world.clock.forward(hours=1)
    return await square.redeems(ready)


@trigger
async def grant_dead(square: Square) -> Heard:
    ready = await square.ready()
    await square.cancels(ready)
    return await square.redeems(ready)


@trigger
async def digest_mismatch(square: Square) -> Heard:
    return await square.redeems(await square.ready(), arguments={"path": "prod/b"})


@trigger
async def attempt_mismatch(square: Square) -> Heard:
    return await square.reports(await square.asks("read", attempt=ATTEMPT), OTHER_ATTEMPT)


@trigger
async def outcome_conflict(square: Square) -> Heard:
    asked = await square.asks("read", attempt=ATTEMPT)
    await square.reports(asked)
    return await square.reports(asked, status="failed")


# --- operators' calls -------------------------------------------------------------------------------------------------


@trigger
async def not_eligible(square: Square) -> Heard:
    return await square.approves(await square.asks(), "owner")


@trigger
async def step_up_required(square: Square) -> Heard:
    return await square.approves(await square.asks("move"))


@trigger
async def already_decided(square: Square) -> Heard:
    asked = await square.asks()
    await square.denies(asked)
    return await square.approves(asked, "sam")


@trigger
async def not_approved(square: Square) -> Heard:
    return await square.answers(await square.asks(), "revoke", {"reason": "too early"})


@trigger
async def not_denied(square: Square) -> Heard:
    return await square.answers(await square.asks(), "let-again", {})


@trigger
async def digest_changed(square: Square) -> Heard:
    return await square.approves(await square.asks(), digest="0" * 64)


@trigger
async def already_closed(square: Square) -> Heard:
    path = f"/v1/breakers/{(await square.trips()).json['breaker']['id']}/reset"
    await square.post(await square.operator("eve"), path, {"reason": "over"})
    return await square.post(await square.operator("eve"), path, {"reason": "over"})


# --- errors -----------------------------------------------------------------------------------------------------------


@trigger
async def bad_json(square: Square) -> Heard:
    return await square.post_raw(await square.agent(), "/v1/actions", b'{"tool":"files.read","tool":"files.write"}')


@trigger
async def bad_request(square: Square) -> Heard:
    return await square.asks(environment="staging")


@trigger
async def unauthenticated(square: Square) -> Heard:
    return await square.get("asn_k000000_guessed", "/v1/me")


@trigger
async def forbidden(square: Square) -> Heard:
    return await square.get(await square.operator("pat"), "/v1/approvals")


@trigger
async def not_found(square: Square) -> Heard:
    return await square.get(await square.agent(), "/v1/actions/act_1")


@trigger
async def policy_refused(square: Square) -> Heard:
    return await (await square.with_a_broken_directory()).post(await square.operator("admin"), "/v1/policy/reload", {})


@trigger
async def method_not_allowed(square: Square) -> Heard:
    return await square.get(await square.operator(), "/v1/breakers/trip")


@trigger
async def illegal_move(square: Square) -> Heard:
    return await square.cancels(await square.asks("read", attempt=ATTEMPT))


@trigger
async def payload_too_large(square: Square) -> Heard:
    return await square.asks(arguments={"path": "x" * 300_000})


@trigger
async def unsupported_media_type(square: Square) -> Heard:
    headers = [bearer(await square.agent()), (b"content-type", b"text/plain")]
    return await call(square.app, "POST", "/v1/actions", headers=headers, chunks=[b"{}"])


@trigger
async def idempotency_conflict(square: Square) -> Heard:
    key, header = await square.agent(), (b"idempotency-key", b"once")
    bodies = [{"tool": "files.read", "arguments": {"path": path}} for path in ("prod/a", "prod/b")]
    await square.post(key, "/v1/actions", bodies[0], header)
    return await square.post(key, "/v1/actions", bodies[1], header)


@trigger
async def rate_limited(square: Square) -> Heard:
    key = await square.agent()
    for _ in range(RATE.requests_burst):
        await square.get(key, "/v1/me")
    return await square.get(key, "/v1/me")


RATE: Final = ApiSettings(requests_per_second=0.01, requests_burst=20)
