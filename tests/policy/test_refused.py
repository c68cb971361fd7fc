"""Directories that are refused: every mistake is found, with its file, line and column, and nothing of it serves."""

from pathlib import Path

import pytest

from assent.core.errors import PolicyInvalid
from tests.policy.directory import SAMPLE, edited, findings_of, load_files

K8S, ROLE, AGENTS, PEOPLE = "tools/kubernetes.yaml", "roles/deployer.yaml", "agents.yaml", "operators.yaml"
ROUTES, PLACES = "routes.yaml", "environments.yaml"
COUNT = "replicas: {type: integer, min: 0, max: 500}"

EDITS: list[tuple[str, str, str, str, str]] = [
    # effects and fields of rules
    (ROLE, "effect: allow", "effect: Allow", f"{ROLE}:6:68: `Allow` is not one of", "did you mean `allow`"),
    (ROLE, "effect: deny", "effect: ask", "`ask` is not one of", "did you mean `require_approval`"),
    (ROLE, "effect: deny", "effect: forbid", "`forbid` is not one of", "did you mean `deny`"),
    (ROLE, "effect: allow", "effect: permit", "`permit` is not one of", "did you mean `allow`"),
    (ROLE, "environments: [staging]", "environments: staging", "this must be a list (`[staging]`)", ""),
    (ROLE, "replicas: {max: 20}", "replicas: 20", "this must be a predicate", "did you mean `{equals: 20}`"),
    (
        ROLE,
        "environments: [staging]",
        "environments: [live]",
        "there is no environment `live`, there are `production`, `staging`",
        "",
    ),
    (ROLE, "effect: deny", "effect: denny", "`denny` is not one of", "did you mean `deny`"),
    (ROLE, "effect: deny", "efect: deny", "has no field `efect`, did you mean `effect`", ""),
    (ROLE, "      effect: deny\n", "", "a rule lacks `effect`", ""),
    (ROLE, "{id: read,", "{", "a rule lacks `id`", ""),
    (ROLE, "id: read,", "id: re ad,", "cannot be a rule's id", ""),
    (ROLE, "id: reader-read", "id: read", "the rule id `read` is taken by a rule of `deployer`", ""),
    (
        ROLE,
        "[k8s.scale], environments: [staging]",
        "[k8s.scal], environments: [staging]",
        "no tool of the catalogue",
        "`k8s.scale`",
    ),
    (ROLE, "[k8s.scale], environments: [staging]", "[], environments: [staging]", "this list is empty", ""),
    (
        ROLE,
        "[k8s.scale], environments: [staging]",
        "[k8s.**x], environments: [staging]",
        "no pattern of tool names",
        "",
    ),
    (ROLE, "environments: [staging], when", "environments: [stagin], when", "no environment `stagin`", "`staging`"),
    (ROLE, "environments: [staging], when", 'environments: [staging, "*"], when', "covers every environment", ""),
    (ROLE, "environments: [staging], when", "when", "a rule lacks `environments`", ""),
    (ROLE, '"*/payments/**"', '"*/payments//**"', "no pattern of resources", ""),
    (ROLE, '"*/payments/**"', '"*/pay|ments/**"', "cannot stand in a pattern", ""),
    (ROLE, '"*/payments/**"', '"*/%70ayments/**"', "percent-encoding", ""),
    (ROLE, '"*/payments/**"', '"*/payments,allow/**"', "cannot stand in a pattern", ""),
    (ROLE, "route: oncall", "route: oncal", "there is no route `oncal`, did you mean `oncall`", ""),
    (
        ROLE,
        'resources: ["*/web/**"], effect: allow',
        "effect: allow, route: oncall",
        "only a rule with `effect: require",
        "",
    ),
    (
        ROLE,
        "reason: never to zero",
        "standing: {reason: a, until: 2027-01-01, approved_by: eve}",
        "can be a standing",
        "",
    ),
    (
        ROLE,
        "effect: allow}",
        "effect: allow, standing: {reason: a, until: soon, approved_by: eva}}",
        "must be a date",
        "no operator `eva`",
    ),
    (ROLE, "effect: allow}", "effect: allow, until: 2027-02-30}", "must be a date", ""),
    (ROLE, "replicas: {max: 20}", "replica: {max: 20}", "takes an argument `replica`, did you mean `replicas`", ""),
    (ROLE, "replicas: {max: 20}", "cluster: {max: 20}", "does not apply to the type `string`", ""),
    (ROLE, "replicas: {max: 20}", "replicas: {maximum: 20}", "there is no predicate `maximum`", ""),
    (ROLE, "replicas: {max: 20}", "replicas: 20", "must be a predicate", ""),
    (ROLE, "replicas: {max: 20}", "replicas: []", "holds for nothing", ""),
    (ROLE, "replicas: {max: 20}", "replicas: {max: many}", "must be a number", ""),
    (ROLE, "replicas: {max: 20}", 'cluster: {matches: "("}', "not an expression of RE2", ""),
    (ROLE, "replicas: {max: 20}", 'cluster: {equals: "a//b"}', "would never be met", ""),
    (ROLE, "replicas: {max: 20}", "cluster: {domain: Acme.example}", "no domain in lower case", ""),
    (ROLE, "replicas: {max: 20}", "cluster: {length: {}}", "`length` needs", ""),
    (ROLE, "replicas: {max: 20}", "cluster: {length: {min: 3, max: 2}}", "`length` needs", ""),
    (ROLE, "replicas: {max: 20}", "cluster: {present: false}", "write `true`", ""),
    (ROLE, "replicas: {max: 20}", "cluster: {each: {max: 1}}", "does not apply", ""),
    (
        ROLE,
        '"k8s.get*"], environments: ["*"]',
        '"k8s.*"], environments: ["*"], when: {replicas: {max: 1}}',
        "takes no `replicas`",
        "",
    ),
    (ROLE, "owner: dana", "owner: dan", "there is no operator `dan`, did you mean `dana`", ""),
    (ROLE, "  description: rolls out services\n", "", "lacks `description`", ""),
    (ROLE, "reader:\n", "deployer:\n", "`deployer` stands twice here", ""),
    # the catalogue
    (K8S, "impact: write", "impact: writes", "`writes` is not one of", "`write`"),
    (K8S, '"{cluster}/{namespace}', '"{cluster}{namespace}', "two arguments in one segment", ""),
    (K8S, '"{cluster}/{namespace}', '"{cluster}//{namespace}', "a segment of the resource is empty", ""),
    (K8S, '"{cluster}/{namespace}', '"{clustr}/{namespace}', "`clustr` is no required scalar", ""),
    (K8S, '"{cluster}/{namespace}', '"{cluster/{namespace}', "belongs to no", ""),
    (K8S, "{from: cluster,", "{from: clustr,", "`clustr` is no argument", ""),
    (K8S, "prod-eu: production", "prod-eu: prodution", "no environment `prodution`", "`production`"),
    (K8S, "staging: [stg-1, stg-2]", "staging: [stg-1, prod-eu]", "`prod-eu` stands for two environments", ""),
    (K8S, COUNT, "replicas: {type: int}", "`int` is not one of", ""),
    (K8S, COUNT, "replicas: {type: integer, max_length: 5}", "has no field `max_length`", ""),
    (K8S, COUNT, "replicas: {type: integer, min: 5, max: 2}", "`min` is larger than `max`", ""),
    (K8S, COUNT, "replicas: {type: integer, enum: [1, a]}", "must be of the type `integer`", ""),
    (K8S, COUNT, "replicas: {type: integer, optional: true}", "`replicas` is no required scalar", ""),
    (K8S, COUNT, "replicas: list", "a list says what it holds", ""),
    (K8S, '  undo: "scale', '  sensitive: [deployment]\n  undo: "scale', "`deployment` is no required scalar", ""),
    (K8S, '  undo: "scale', '  sensitive: [other]\n  undo: "scale', "`other` is no argument", ""),
    (K8S, '  undo: "scale {deployment} back"\n', "", "lacks `undo`", ""),
    (
        K8S,
        "arguments: {cluster: string, namespace: string, deployment: string}\nk8s.scale",
        "arguments: {cluster: string, namespace: string, deployment: string, query: string}\nk8s.scale",
        "read_because",
        "",
    ),
    (K8S, "k8s.delete:", "k8s.get:", "`k8s.get` stands twice here", ""),
    (K8S, "k8s.delete:", "k8s..delete:", "cannot name a tool", ""),
    # people, routes, places
    (
        AGENTS,
        "owner: dana, roles: [deployer], expires: 2027-03-31, cut",
        "owner: dan, roles: [deployer], expires: 2027-03-31, cut",
        "agents.yaml:1:14: there is no operator `dan`",
        "",
    ),
    (
        AGENTS,
        "roles: [deployer], expires: 2027-03-31, cut",
        "roles: [deploy], expires: 2027-03-31, cut",
        "there is no role `deploy`",
        "",
    ),
    (AGENTS, "roles: [deployer], expires: 2027-03-31, cut", "roles: [], expires: 2027-03-31, cut", "has no role", ""),
    (AGENTS, "expires: 2027-03-31, cut", "cut", "lacks `expires`", ""),
    (AGENTS, "expires: 2027-03-31, cut", "expires: never, cut", "must be a date", ""),
    (AGENTS, "interactive: true", "interactive: yes", "is read in different ways", ""),
    (AGENTS, "interactive: true", "identity: cert", "`cert` is not one of `key`", ""),
    (PEOPLE, "may: [approver],", "may: [aprover],", "there is no permission `aprover`, did you mean `approver`", ""),
    (PEOPLE, "dana: {}", "dana: {}\nme: {}", "`me` cannot name an operator", "whoever asks"),
    (PEOPLE, "dana: {}", "dana: {slack: {team: T1, user: U1}}", "share the slack identity", ""),
    (PEOPLE, "dana: {}", "dana: {single_person: {reason: alone}}", "lacks `until`", ""),
    (ROUTES, "default:", "fallback:", "the route `default` is missing", ""),
    (ROUTES, "cool_off: 2h", "steps: []", "`steps` must be a list", ""),
    (ROUTES, "cool_off: 2h", "steps: [{tell: [mail]}]", "`mail` is none of `slack:CHANNEL`, `dm:GROUP`", ""),
    (ROUTES, "cool_off: 2h", "steps: [{tell: ['slack:#prod']}]", "name the channel by its id", ""),
    (ROUTES, "cool_off: 2h", "steps: [{tell: ['dm:security']}]", "nobody in `security` has a Slack account", ""),
    (ROUTES, "cool_off: 2h", "steps: [{after: 4, tell: [slack:C0]}]", "this must be a duration", ""),
    (ROUTES, "any: 2", "any: 3", "3 of `oncall` must answer, but 2", ""),
    (ROUTES, "any: 2", "any: 0", "at least one person", ""),
    (ROUTES, "assurance: console", "assurance: Console", "`Console` is not one of", ""),
    (ROUTES, "expires_after: 10m", "expires_after: 10", "must be a duration", ""),
    (ROUTES, "expires_after: 10m", "expires_after: 5s", "must be a duration", ""),
    (PLACES, "nonproduction: true", "nonproduction: 1", "must be true or false", ""),
    (PLACES, "nonproduction: true", "nonprod: true", "has no field `nonprod`, did you mean `nonproduction`", ""),
    (K8S, "{from: cluster, match: {prod-eu: production, stg-1: staging}}", "{from: cluster}", "lacks `match`", ""),
    (K8S, "match: {prod-eu: production, stg-1: staging}", "match: {}", "`match` must map values", ""),
    (K8S, "{from: cluster, match", "{from: cluster, segment: -1, match", "segments count from 0", ""),
    (K8S, "staging: [stg-1, stg-2]", "stagin: [stg-1, stg-2]", "there is no environment `stagin`", ""),
    (K8S, "stg-1: staging", '"stg**x": staging', "is no pattern", ""),
    (
        K8S,
        "arguments: {cluster: string,",
        "arguments: {cluster: {type: string, optional: true},",
        "must be a required text",
        "",
    ),
    (
        K8S,
        "arguments: {cluster: string,",
        "arguments: {cluster: {type: string, path: true},",
        "must be the whole last",
        "",
    ),
    (K8S, "arguments: {cluster: string,", "arguments: {9cluster: string,", "`9cluster` cannot name an argument", ""),
    (
        K8S,
        "arguments: {cluster: string, namespace: string, deployment: string}",
        "arguments: 5",
        "must be a mapping of names",
        "",
    ),
    (K8S, COUNT, "replicas: {type: integer, enum: []}", "must be a list of values", ""),
    (K8S, COUNT, "replicas: {type: list, of: string, max_length: -1}", "cannot be negative", ""),
    (K8S, "description: look at a deployment", 'description: ""', "between 1 and 2000 characters", ""),
    (K8S, "description: look at a deployment", "description: [look]", "this must be a text", ""),
    (K8S, "  impact: read\n", "  impact: read\n  redeemed_by: nobody\n", "is not one of `agent`, `tool`", ""),
    (K8S, "  impact: write\n", "  impact: write\n  read_because: it is\n", "only a tool with `impact: read`", ""),
    (K8S, '  undo: "scale', '  diff: {before: cluster}\n  undo: "scale', "a diff lacks `after`", ""),
    (K8S, '  undo: "scale', '  diff: {before: cluster, after: clustr}\n  undo: "scale', "no argument", "`cluster`"),
    (K8S, '  undo: "scale', '  diff: {before: cluster, after: cluster}\n  undo: "scale', "the same argument", ""),
    (K8S, '  undo: "scale', '  diff: {patch: replicas}\n  undo: "scale', "`replicas` is no text", ""),
    (K8S, '  undo: "scale', '  diff: {patch: cluster, after: cluster}\n  undo: "scale', "no field `after`", ""),
    (K8S, '  undo: "scale', '  diff: cluster\n  undo: "scale', "a diff must be a mapping of fields", ""),
    (K8S, '  undo: "scale', '  sensitive: [cluster]\n  undo: "scale', "derived from a sensitive argument", ""),
    (ROLE, "reader:\n", "rea der:\n", "`rea der` is no name", ""),
    (ROLE, "owner: dana", "owner: da na", "`da na` is no name", ""),
    (ROLE, 'environments: ["*"], effect: allow', "environments: all, effect: allow", "this must be a list", ""),
    (ROLE, "[staging], when", "[staging, staging], when", "stands twice in this list", ""),
    (ROLE, "when: {replicas: {max: 20}}", "when: {}", "`when` must map arguments", ""),
    (ROLE, "{max: 20}", "{in: 5}", "must be a list of values", ""),
    (ROLE, "{max: 20}", "{equals: [5]}", "this must be a text, a number, true or false", ""),
    (ROLE, "{max: 20}", "{equals: five}", "does not apply to the type `integer`", ""),
    (ROLE, "replicas: {max: 20}", "note: {each: {equals: a}}", "does not apply to the type `string`", ""),
    (ROLE, "replicas: {max: 20}", "note: {each: {each: {equals: a}}}", "takes predicates over the items", ""),
    (ROLE, "replicas: {max: 20}", "note: {length: {max: many}}", "this must be an integer", ""),
    (AGENTS, "bot: {owner: dana,", "bot: {owner: 5,", "this must be a text, quote it", ""),
    (
        AGENTS,
        "viewer: {owner: dana, roles: [reader], expires: 2027-03-31}",
        "viewer: 5",
        "must be a mapping of fields",
        "",
    ),
    (PEOPLE, "dana: {}", "dana: {oidc: {subject: a}}\nhal: {oidc: {subject: a}}", "share the oidc identity", ""),
    (ROUTES, "default: {needs: [{any: 1, of: oncall}]}", "default: {needs: []}", "`needs` must be a list", ""),
    (ROUTES, "any: 2", "any: 11", "more than 10 people", ""),
    (PLACES, "staging: {nonproduction: true}", "[staging]: {}", "a key must be a text", ""),
]


@pytest.mark.requirement("T6")
@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit[3])
def test_a_mistake_is_found_where_it_stands(tmp_path: Path, edit: tuple[str, str, str, str, str]) -> None:
    name, old, new, said, also = edit
    found = findings_of(tmp_path / "p", edited(name, old, new))
    assert any(said in line for line in found), found
    assert any(also in line for line in found), found
    assert all(line.split(": ")[0].count(":") == 2 for line in found)


def test_all_mistakes_are_found_at_once(tmp_path: Path) -> None:
    files = edited(ROLE, "effect: deny\n      reason", "effect: denny\n      reason")
    files[AGENTS] = files[AGENTS].replace("owner: dana", "owner: dan")
    files[ROUTES] = files[ROUTES].replace("console", "konsole")
    assert {line.partition(":")[0] for line in findings_of(tmp_path / "p", files)} == {ROLE, AGENTS, ROUTES}


def test_the_error_names_the_first_and_counts_the_rest(tmp_path: Path) -> None:
    files = edited(ROLE, "effect: deny\n      reason", "effect: denny\n      reason")
    files[ROUTES] = files[ROUTES].replace("console", "konsole")
    with pytest.raises(PolicyInvalid, match=r"refused: roles/deployer.yaml:19:.* \(and 1 more\)"):
        load_files(tmp_path / "p", files)


@pytest.mark.parametrize("name", ["roles/deployer.yaml", "tools/kubernetes.yaml"])
@pytest.mark.requirement("P1")
def test_without_a_rule_or_a_tool_nothing_serves(tmp_path: Path, name: str) -> None:
    files = {key: value for key, value in SAMPLE.items() if key != name}
    assert findings_of(tmp_path / "p", {**files, "agents.yaml": "{}\n"})


def test_a_role_without_rules_cannot_hide_in_a_full_one(tmp_path: Path) -> None:
    found = findings_of(
        tmp_path / "p", {**SAMPLE, "roles/x.yaml": "x: {description: d, owner: dana, rules: no rules}\n"}
    )
    assert any("`rules` must be a list" in line for line in found)


def test_findings_are_bounded(tmp_path: Path) -> None:
    rules = "\n".join(f"    - {{id: r{n}, effect: alow}}" for n in range(300))
    text = f"x:\n  description: d\n  owner: dana\n  rules:\n{rules}\n"
    found = findings_of(tmp_path / "p", {**SAMPLE, "roles/x.yaml": text})
    assert len(found) == 201
    assert found[-1].endswith("more")


def test_a_role_or_tool_in_two_files_is_refused(tmp_path: Path) -> None:
    rule = "{id: x, tools: [k8s.get], environments: [staging], effect: allow}"
    role = f"deployer:\n  description: d\n  owner: dana\n  rules:\n    - {rule}\n"
    tool = SAMPLE[K8S].partition("k8s.scale:")[0]
    found = findings_of(tmp_path / "p", {**SAMPLE, "roles/x.yaml": role, "tools/x.yaml": tool})
    assert any("the role `deployer` stands in two places" in line for line in found)
    assert any("the tool `k8s.get` stands in two files" in line for line in found)
