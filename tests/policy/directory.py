"""Policy directories for tests: a sound one, a way to change it, and questions to ask."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from assent.core.agents import AgentId
from assent.core.canonical import Json
from assent.core.decisions import Decision, Effect, Facts, Limits, Load, Verdict, decide
from assent.core.errors import PolicyInvalid
from assent.core.reasons import Reason
from assent.policy import LoadedPolicy, load
from assent.policy.cases import Case
from assent.policy.packs import starter

NOW = datetime(2027, 1, 1, 12, tzinfo=UTC)

SAMPLE = {
    "model.conf": starter()["model.conf"].decode(),
    "environments.yaml": "production: {}\nstaging: {nonproduction: true}\n",
    "operators.yaml": """\
dana: {}
eve: {groups: [oncall], may: [approver], slack: {team: T1, user: U1}}
fay: {groups: [oncall, security], may: [approver, operator]}
""",
    "routes.yaml": """\
default: {needs: [{any: 1, of: oncall}]}
oncall: {needs: [{any: 2, of: oncall}], assurance: console, expires_after: 10m, pick_up_within: 1h, cool_off: 2h}
""",
    "tools/kubernetes.yaml": """\
k8s.get:
  description: look at a deployment
  impact: read
  resource: "{cluster}/{namespace}/deployments/{deployment}"
  environment: {from: cluster, match: {prod-eu: production, stg-1: staging}}
  arguments: {cluster: string, namespace: string, deployment: string}
k8s.scale:
  description: change the replica count of a deployment
  impact: write
  resource: "{cluster}/{namespace}/deployments/{deployment}"
  environment: {from: cluster, match: {prod-eu: production, staging: [stg-1, stg-2]}}
  arguments:
    cluster: string
    namespace: string
    deployment: string
    replicas: {type: integer, min: 0, max: 500}
    note: {type: string, optional: true, nullable: true, unicode: true}
  how_bad: "changes the capacity of {deployment} to {replicas}"
  undo: "scale {deployment} back"
k8s.delete:
  description: delete a deployment
  impact: destructive
  resource: "{cluster}/{namespace}/deployments/{deployment}"
  environment: {from: cluster, match: {prod-eu: production, stg-1: staging}}
  arguments: {cluster: string, namespace: string, deployment: string}
  how_bad: "{deployment} is gone"
  undo: "apply its manifest again"
""",
    "roles/deployer.yaml": """\
deployer:
  description: rolls out services
  owner: dana
  review_by: 2027-12-31
  rules:
    - {id: read, tools: ["k8s.get*"], environments: ["*"], effect: allow}
    - {id: scale-stg, tools: [k8s.scale], environments: [staging], when: {replicas: {max: 20}}, effect: allow}
    - id: scale-prod
      tools: [k8s.scale]
      environments: [production]
      resources: ["*/payments/**"]
      effect: require_approval
      route: oncall
    - {id: scale-floor, tools: [k8s.scale], environments: [production], resources: ["*/web/**"], effect: allow}
    - id: no-zero
      tools: [k8s.scale]
      environments: [production]
      when: {replicas: {equals: 0}}
      effect: deny
      reason: never to zero
reader:
  description: looks
  owner: dana
  rules:
    - {id: reader-read, tools: [k8s.get], environments: [staging], effect: allow}
    - {id: reader-no-secrets, tools: ["k8s.**"], environments: ["*"], resources: ["*/secrets/**"], effect: deny}
""",
    "agents.yaml": """\
bot: {owner: dana, roles: [deployer], expires: 2027-03-31, cut_off: revoke the service account}
both: {owner: dana, roles: [deployer, reader], expires: 2027-03-31}
viewer: {owner: dana, roles: [reader], expires: 2027-03-31}
helper: {owner: dana, roles: [deployer], expires: 2027-03-31, interactive: true}
gone: {owner: dana, roles: [deployer], expires: 2026-03-31}
""",
}


def write(directory: Path, files: Mapping[str, str]) -> Path:
    """Write a policy directory that nobody else may write."""
    directory.mkdir(mode=0o755, exist_ok=True)
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(mode=0o755, exist_ok=True)
        path.write_text(content)
        path.chmod(0o644)
    return directory


def load_files(directory: Path, files: Mapping[str, str], now: datetime = NOW) -> LoadedPolicy:
    """Load a directory made of `files`, at one moment."""
    return load(write(directory, files), lambda: now)


def findings_of(directory: Path, files: Mapping[str, str]) -> tuple[str, ...]:
    """Return what is found in a directory made of `files`; nothing when it loads."""
    try:
        load_files(directory, files)
    except PolicyInvalid as refused:
        return refused.findings
    return ()


def edited(name: str, old: str, new: str) -> dict[str, str]:
    """Return the sample with one text replaced, which must be there."""
    assert old in SAMPLE[name], old
    return {**SAMPLE, name: SAMPLE[name].replace(old, new, 1)}


def ask(
    policy: LoadedPolicy, agent: str, tool: str, arguments: Json, on_behalf_of: tuple[str, ...] = ()
) -> Verdict | Reason:
    """Return the verdict on one request, or why the catalogue makes nothing of it."""
    proposal = policy.propose(tool, arguments)
    return proposal if isinstance(proposal, Reason) else policy.verdict(proposal, AgentId(agent), on_behalf_of)


def decision(policy: LoadedPolicy, case: Case) -> Decision:
    """Return what the broker would answer to a case, with nothing waiting and every breaker closed."""
    now = case.now or NOW
    proposal = policy.propose(case.tool, dict(case.arguments))
    unjudged = Verdict(effect=Effect.DENY)
    agent = AgentId(case.agent)
    facts = Facts(
        profile=policy.agent(agent),
        status=None,
        proposal=proposal,
        verdict=unjudged
        if isinstance(proposal, Reason)
        else policy.verdict_at(now, proposal, agent, case.on_behalf_of),
        breakers=(),
        load=Load(),
        someone_can_approve=True,
    )
    return decide(facts, Limits(), now)


def scale(**changes: Json) -> dict[str, Json]:
    """Return arguments of `k8s.scale` in staging, with changes."""
    sound: dict[str, Json] = {"cluster": "stg-1", "namespace": "web", "deployment": "shop", "replicas": 3}
    return {**sound, **changes}
