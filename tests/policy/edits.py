"""Edits of the sample policy, each with what it changes: every kind of widening, and its counterpart that narrows."""

from typing import NamedTuple

from tests.policy.directory import SAMPLE

K8S, ROLE, AGENTS, PEOPLE = "tools/kubernetes.yaml", "roles/deployer.yaml", "agents.yaml", "operators.yaml"
ROUTES, PLACES, MODEL = "routes.yaml", "environments.yaml", "model.conf"
SCALE_STG = "{id: scale-stg, tools: [k8s.scale], environments: [staging], when: {replicas: {max: 20}}, effect: allow}"
NO_SECRETS = (
    '    - {id: reader-no-secrets, tools: ["k8s.**"], environments: ["*"], resources: ["*/secrets/**"], effect: deny}\n'
)
STANDING = "standing: {reason: nightly, until: 2027-02-01, approved_by: eve}"


class Edit(NamedTuple):
    """One text of one file replaced, and what the diff says of it."""

    file: str
    old: str
    new: str
    said: str

    def files(self) -> dict[str, str]:
        """Return the sample with the edit made."""
        assert self.old in SAMPLE[self.file], self.old
        return {**SAMPLE, self.file: SAMPLE[self.file].replace(self.old, self.new, 1)}


WIDENS = [
    # rules
    Edit(
        ROLE,
        "- {id: read,",
        f"- {SCALE_STG.replace('scale-stg', 'more')}\n    - {{id: read,",
        "more: is new and allows",
    ),
    Edit(ROLE, "effect: require_approval\n      route: oncall", "effect: allow", "rule scale-prod: allows"),
    Edit(ROLE, "effect: deny\n      reason", "effect: require_approval\n      reason", "rule no-zero: asks for"),
    Edit(ROLE, NO_SECRETS, "", "rule reader-no-secrets: is gone, it denied"),
    Edit(ROLE, "{equals: 0}", "{equals: 8}", "rule no-zero: now denies"),
    Edit(ROLE, "{max: 20}", "{max: 21}", "rule scale-stg: now allows"),
    Edit(ROLE, ", when: {replicas: {max: 20}}", "", "rule scale-stg: now allows"),
    Edit(ROLE, "environments: [staging], when", 'environments: ["*"], when', "rule scale-stg: now allows"),
    Edit(ROLE, '["k8s.get*"]', '["k8s.get*", k8s.delete]', "rule read: now allows k8s.get*, k8s.delete"),
    Edit(ROLE, '"*/web/**"', '"*/web/**", "*/db/**"', "rule scale-floor: now allows"),
    Edit(ROLE, '["*/web/**"], effect: allow', f'["*/web/**"], {STANDING}, effect: allow', "stands as an exception"),
    Edit(ROLE, "route: oncall", "route: default", "asks on the route `default`, before on `oncall`"),
    # tools
    Edit(K8S, "impact: write", "impact: read", "tool k8s.scale: is `read`, before `write`"),
    Edit(K8S, "max: 500", "max: 501", "tool k8s.scale: may take more as `replicas`"),
    Edit(
        K8S,
        "deployment: string}\nk8s.scale",
        "deployment: {type: string, unicode: true}}\nk8s.scale",
        "as `deployment`",
    ),
    Edit(K8S, "    note:", "    force: {type: boolean, optional: true}\n    note:", "tool k8s.scale: takes `force`"),
    Edit(
        K8S, "prod-eu: production, staging: [stg-1, stg-2]", "staging: [stg-1, stg-2, prod-eu]", "`prod-eu` stand for"
    ),
    Edit(K8S, "[stg-1, stg-2]", "[stg-1, stg-2, stg-3]", "`stg-3` stand for"),
    Edit(
        K8S,
        '"{cluster}/{namespace}/deployments/{deployment}"',
        '"{cluster}/{namespace}/d/{deployment}"',
        "another form",
    ),
    Edit(K8S, "k8s.delete:", "k8s.get-all:", "tool k8s.get-all: is new, `destructive`, within reach of `read`"),
    Edit(K8S, 'how_bad: "changes', 'diff: {patch: cluster}\n  how_bad: "changes', "is shown to people in another form"),
    Edit(K8S, 'how_bad: "changes', 'command: [kubectl, "{deployment}"]\n  how_bad: "changes', "runs another command"),
    # people
    Edit(PEOPLE, "dana: {}", "dana: {may: [approver]}", "operator dana: may `approvals.decide`"),
    Edit(PEOPLE, "dana: {}", "dana: {groups: [oncall]}", "operator dana: is in `oncall`"),
    Edit(PEOPLE, "dana: {}", "dana: {}\nmallory: {groups: [oncall], may: [approver]}", "operator mallory: is new"),
    Edit(PEOPLE, "dana: {}", "dana: {}\nmallory: {}", "operator mallory: is new, may nothing"),
    Edit(PEOPLE, "user: U1", "user: U2", "operator eve: is now somebody else by slack"),
    Edit(PEOPLE, "dana: {}", "dana: {slack: {team: T1, user: U9}}", "operator dana: is now known by slack"),
    Edit(PEOPLE, "dana: {}", "dana: {single_person: {reason: alone, until: 2027-06-01}}", "may approve alone"),
    Edit(
        PEOPLE,
        "[oncall, security], may: [approver, operator]",
        "[oncall, security], may: [security_admin]",
        "is security admin",
    ),
    # agents
    Edit(
        AGENTS,
        "roles: [deployer], expires: 2027-03-31, cut",
        "roles: [deployer, reader], expires: 2027-03-31, cut",
        "agent bot: has the role",
    ),
    Edit(AGENTS, "expires: 2026-03-31", "expires: 2028-03-31", "agent gone: expires 2028-03-31"),
    Edit(AGENTS, ", interactive: true", "", "agent helper: acts without naming a driver"),
    Edit(AGENTS, "bot: {owner: dana", "bot: {owner: eve", "agent bot: is owned by `eve`, so that `dana` may approve"),
    Edit(
        AGENTS,
        "roles: [deployer, reader]",
        "roles: [deployer]",
        "agent both: has no more the role `reader`, whose denials",
    ),
    Edit(AGENTS, "bot: {", "new: {owner: dana, roles: [reader], expires: 2027-03-31}\nbot: {", "agent new: is new"),
    # routes and places
    Edit(ROUTES, "any: 2", "any: 1", "route oncall: asks for 1 of `oncall`, before for 2"),
    Edit(ROUTES, "assurance: console", "assurance: token", "route oncall: takes `token` or surer, before `console`"),
    Edit(ROUTES, "assurance: console, ", "", "route oncall: takes `slack` or surer, `console` for what destroys"),
    Edit(ROUTES, "oncall}]}", "oncall}], assurance: slack}", "route default: takes `slack` or surer, before"),
    Edit(ROUTES, "oncall}]}", "oncall}], assurance: linked}", "route default: takes `linked` or surer, before"),
    Edit(ROUTES, "expires_after: 10m", "expires_after: 1h", "route oncall: `expires_after` is"),
    Edit(ROUTES, "pick_up_within: 1h", "pick_up_within: 2h", "route oncall: `pick_up_within` is"),
    Edit(
        PLACES, "production: {}", "production: {nonproduction: true}", "environment production: is marked nonproduction"
    ),
]

NARROWS = [
    Edit(
        ROLE,
        "effect: deny\n      reason",
        "effect: deny\n      resources: ['**']\n      description: x\n      reason",
        "",
    ),
    Edit(ROLE, "{id: read, tools", "{id: read, until: 2027-06-01, tools", "rule read: now allows"),
    Edit(ROLE, f"    - {SCALE_STG}\n", "", "rule scale-stg: is gone, it allowed"),
    Edit(ROLE, f"- {SCALE_STG}", f"- {SCALE_STG.replace('effect: allow', 'effect: require_approval')}", "asks for"),
    Edit(ROLE, f"- {SCALE_STG}", f"- {SCALE_STG.replace('effect: allow', 'effect: deny')}", "rule scale-stg: denies"),
    Edit(ROLE, "{max: 20}", "{max: 19}", "rule scale-stg: now allows"),
    Edit(
        ROLE, "{replicas: {max: 20}}", "{replicas: {max: 20}, namespace: {equals: web}}", "rule scale-stg: now allows"
    ),
    Edit(ROLE, '["*/payments/**"]', '["*/payments/**", "*/billing/**"]\n      until: 2028-01-01', ""),
    Edit(ROLE, "when: {replicas: {equals: 0}}\n      ", "", "rule no-zero: now denies"),
    Edit(K8S, "impact: write", "impact: destructive", "tool k8s.scale: is `destructive`"),
    Edit(K8S, "max: 500", "max: 50", "tool k8s.scale: takes less as `replicas`"),
    Edit(K8S, "[stg-1, stg-2]", "[stg-1]", "`stg-2` stand for no environment"),
    Edit(K8S, 'undo: "scale', 'redeemed_by: tool\n  undo: "scale', "is redeemed by the tool"),
    Edit(PEOPLE, ", operator]", "]", "operator fay: may no more"),
    Edit(PEOPLE, "dana: {}", "dana: {away: true}", "operator dana: is away"),
    Edit(AGENTS, "expires: 2027-03-31, cut", "expires: 2027-02-28, cut", "agent bot: expires 2027-02-28"),
    Edit(AGENTS, "viewer: {owner: dana, roles: [reader], expires: 2027-03-31}\n", "", "agent viewer: is gone"),
    Edit(AGENTS, "viewer: {", "viewer: {interactive: true, ", "agent viewer: must name its driver"),
    Edit(ROUTES, "{any: 1, of: oncall}", "{any: 2, of: oncall}", "route default: asks for 2 of `oncall`"),
    Edit(ROUTES, "expires_after: 10m", "expires_after: 5m", "route oncall: `expires_after` is"),
    Edit(PLACES, "{nonproduction: true}", "{}", "environment staging: is production"),
    Edit(MODEL, "m = ", "m = r.tool == p.tools && ", "model.conf: demands `r.tool == p.tools` as well"),
    Edit(ROUTES, "oncall}]}", "oncall}], assurance: console}", "route default: takes `console` or surer, before"),
]

REWORDS = [
    Edit(ROLE, "reason: never to zero", "reason: nobody scales to zero", "rule no-zero: is reworded"),
    Edit(ROLE, "description: looks", "description: only looks", "role reader: says something else"),
    Edit(ROLE, "review_by: 2027-12-31", "review_by: 2028-12-31", "role deployer: says something else"),
    Edit(K8S, "description: look at", "description: see", "tool k8s.get: `description` is reworded"),
    Edit(K8S, 'how_bad: "changes the', 'how_bad: "alters the', "tool k8s.scale: `how_bad` is reworded"),
    Edit(AGENTS, "cut_off: revoke", "cut_off: remove", "agent bot: `cut_off` is reworded"),
    Edit(PLACES, "production: {}", "production: {}\ntest: {nonproduction: true}", "environment test: is new"),
    Edit(ROUTES, "default:", "other: {needs: [{any: 1, of: oncall}]}\ndefault:", "route other: is new"),
]
