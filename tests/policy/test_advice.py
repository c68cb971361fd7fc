"""Advice: what is sound and may still not be meant is told where it stands, and keeps nothing from serving."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from assent.policy.checking import Checked, check
from assent.policy.findings import Severity
from tests.policy.directory import NOW, SAMPLE, write
from tests.policy.edits import AGENTS, K8S, PEOPLE, PLACES, ROLE, ROUTES

CASE = """\
- name: c
  agent: bot
  tool: k8s.get
  arguments: {cluster: stg-1, namespace: a, deployment: b}
  expect: {decision: allow}
"""
LINE = "    - {{id: {}, tools: [k8s.scale], environments: [{}], {}effect: {}}}\n"


def found(directory: Path, files: dict[str, str], now: datetime = NOW) -> Checked:
    return check(write(directory, {"tests/x.yaml": CASE, **files}), now)


def advice(directory: Path, files: dict[str, str], now: datetime = NOW) -> list[str]:
    checked = found(directory, files, now)
    assert checked.errors == 0, checked.findings
    return [str(finding) for finding in checked.findings]


def more(*lines: str, role: str = "deployer") -> dict[str, str]:
    """Return the sample with rules added to a role."""
    text = SAMPLE[ROLE]
    at = text.index("reader:\n") if role == "deployer" else len(text)
    return {**SAMPLE, ROLE: text[:at] + "".join(lines) + text[at:]}


def edit(file: str, old: str, new: str) -> dict[str, str]:
    assert old in SAMPLE[file], old
    return {**SAMPLE, file: SAMPLE[file].replace(old, new, 1)}


UNUSED = "t.unused: {description: d, impact: read, resource: x, environment: staging, arguments: {}}\n"
DELETE = "    - {id: del, tools: [k8s.delete], environments: [staging], effect: require_approval}\n"
SOUND = {
    **SAMPLE,
    ROLE: more(DELETE)[ROLE].replace('resources: ["*/web/**"], effect: allow', 'resources: ["*/web/**"], effect: deny'),
    AGENTS: "bot: {owner: dana, roles: [deployer, reader], expires: 2029-03-31, cut_off: revoke it}\n",
}


def test_a_policy_that_is_meant_as_it_stands_gets_no_advice(tmp_path: Path) -> None:
    assert advice(tmp_path / "p", SOUND) == []


PLACE = "{id: placed, tools: [k8s.scale], environments: [staging], resources: ['stg-1/secrets'], effect: allow}"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        # rules that decide nothing
        (
            more(
                LINE.format("x", "staging", "when: {replicas: {max: 5}}, ", "allow"),
                LINE.format("zz", "staging", "", "deny"),
            ),
            f"{ROLE}:21:7: `x` is never reached: `zz` denies all of it",
        ),
        (
            more(LINE.format("x", "staging", "", "allow"), LINE.format("zz", "staging", "", "require_approval")),
            "`x` never allows: `zz` asks for all of it",
        ),
        (
            more(LINE.format("x", "staging", "resources: [stg-1/secrets], ", "allow")),
            "`x` is never reached: the resources of its tools look like `*/*/deployments/*`",
        ),
        (
            more(LINE.format("x", "staging", "when: {replicas: {min: 5, max: 3}}, ", "allow")),
            "`x` is never reached: no `replicas` is both so large and so small",
        ),
        (
            edit(PLACES, "production: {}", "production: {}\ntest: {}")
            | {ROLE: more(LINE.format("x", "test", "", "allow"))[ROLE]},
            "`x` is never reached: none of its tools acts in `test`",
        ),
        (SAMPLE, f"{ROLE}:14:7: `scale-floor` never allows: below the production floor it asks on `default`"),
        (
            more(LINE.format("x", "staging", "until: 2026-01-01, ", "allow")),
            "`x` expired on 2026-01-01 and grants nothing",
        ),
        (more(LINE.format("x", "staging", "until: 2026-01-01, ", "deny")), "`x` goes on denying after 2026-01-01"),
        (
            more(LINE.format("x", "staging", "until: 2027-01-20, ", "allow")),
            f"{ROLE}:21:7: `x` expires on 2027-01-20",
        ),
        # rules that say what another one says
        (
            more(LINE.format("x", "staging", "when: {replicas: {max: 5}}, ", "allow")),
            f"{ROLE}:21:7: `x` adds nothing: `scale-stg` allows all of it",
        ),
        (
            more(
                LINE.format(
                    "x",
                    "production",
                    "resources: ['prod-eu/payments/deployments/a'], route: oncall, ",
                    "require_approval",
                )
            ),
            "`x` adds nothing: `scale-prod` asks for all of it",
        ),
        (
            more(LINE.format("x", "production", "when: {replicas: {equals: 0}}, ", "deny")),
            f"{ROLE}:21:7: `x` adds nothing: `no-zero` denies all of it",
        ),
        # denies that hold for want of an argument
        (
            more(LINE.format("x", "staging", "when: {note: {equals: force}}, ", "deny")),
            "`x` denies `k8s.scale` without `note` as well; add `present: true` if not meant",
        ),
        (
            more(LINE.format("x", "staging", "when: {note: [{equals: a, present: true}, {prefix: b}]}, ", "deny")),
            "`x` denies `k8s.scale` without `note` as well",
        ),
        # exceptions and width
        (
            edit(
                ROLE,
                '["*/web/**"], effect: allow',
                '["*/web/**"], standing: {reason: nightly, until: 2027-02-01, approved_by: eve}, effect: allow',
            ),
            "`scale-floor` is an exception from the production floor until 2027-02-01, approved by `eve`: nightly",
        ),
        (
            edit(
                ROLE,
                '["*/web/**"], effect: allow',
                '["*/web/**"], standing: {reason: nightly, until: 2027-02-01, approved_by: dana}, effect: allow',
            ),
            "`scale-floor` is an exception that `dana` approved, who owns `bot`",
        ),
        (
            edit(
                ROLE,
                '["*/web/**"], effect: allow',
                '["*/web/**"], standing: {reason: nightly, until: 2026-02-01, approved_by: eve}, effect: allow',
            ),
            "`scale-floor` was an exception from the production floor until 2026-02-01",
        ),
        (
            edit(
                ROLE,
                'resources: ["*/web/**"], effect: allow',
                "standing: {reason: nightly, until: 2027-02-01, approved_by: eve}, effect: allow",
            ),
            "`scale-floor` lets everything in production pass without a question",
        ),
        (
            more('    - {id: x, tools: ["k8s.*"], environments: ["*"], effect: require_approval}\n'),
            "`x` reaches production by the pattern `k8s.*`: 2 tools that change something",
        ),
        (
            more(LINE.format("x", "staging", "when: {note: {matches: '(a+)+b'}}, ", "deny")),
            "`x` repeats a repetition in its expression on `note`",
        ),
        # tools
        (edit(K8S, "k8s.get:", UNUSED + "k8s.get:"), f"{K8S}:1:1: no rule is about `t.unused`"),
        (
            edit(
                K8S,
                "stg-1: staging}}\n  arguments: {cluster: string, namespace: string, deployment: string}\n  how_bad",
                '"stg-*": staging}, unsafe_pattern: many of them}\n'
                "  arguments: {cluster: string, namespace: string, deployment: string}\n  how_bad",
            ),
            "`k8s.delete` finds its environment by `stg-*`: many of them",
        ),
        (
            edit(
                K8S,
                "replicas: {type: integer, min: 0, max: 500}",
                "replicas: {type: integer, min: 0, max: 500}\n    pin: {type: string, max_length: 9}",
            )
            | {
                K8S: edit(
                    K8S,
                    "replicas: {type: integer, min: 0, max: 500}",
                    "replicas: {type: integer, min: 0, max: 500}\n    pin: {type: string, max_length: 9}",
                )[K8S].replace('  how_bad: "changes', '  sensitive: [pin]\n  how_bad: "changes')
            },
            "`k8s.scale` takes `pin` in secret",
        ),
        # people
        (
            edit(ROUTES, "default:", "spare: {needs: [{any: 1, of: oncall}]}\ndefault:"),
            f"{ROUTES}:1:1: no rule asks on the route `spare`",
        ),
        (
            edit(PLACES, "production: {}", "production: {}\ntest: {}"),
            f"{PLACES}:2:1: no tool acts in the environment `test`",
        ),
        (
            edit(PEOPLE, "dana: {}", "dana: {groups: [lawyers], may: [approver]}"),
            f"{PEOPLE}:1:1: `dana` may approve and is in no group that a route asks",
        ),
        (
            edit(PEOPLE, "dana: {}", "dana: {single_person: {reason: alone, until: 2027-06-01}}"),
            f"{PEOPLE}:1:1: `dana` may approve what their own agents ask until 2027-06-01: alone",
        ),
        (
            edit(AGENTS, "bot: {owner: dana", "bot: {owner: eve"),
            f"{AGENTS}:1:1: nobody may answer `bot` on `oncall`: its owner `eve` does not count",
        ),
        (SAMPLE, f"{AGENTS}:5:1: `gone` expired on 2026-03-31"),
        (SAMPLE, f"{AGENTS}:2:1: `both` says nothing under `cut_off`"),
        (edit(AGENTS, "expires: 2027-03-31, cut", "expires: 2027-01-20, cut"), "`bot` expires on 2027-01-20"),
        (
            edit(AGENTS, "viewer: {owner: dana, roles: [reader]", "viewer: {owner: dana, roles: [deployer]")
            | {
                ROLE: SAMPLE[ROLE].replace(
                    "reader:\n",
                    "looker:\n  description: d\n  owner: dana\n  rules: [{id: q, tools: [k8s.get], "
                    "environments: [staging], effect: allow}]\nreader:\n",
                )
            },
            "no agent has the role `looker`",
        ),
        (
            edit(ROLE, "review_by: 2027-12-31", "review_by: 2026-12-31"),
            f"{ROLE}:1:1: the role `deployer` was to be reviewed by 2026-12-31",
        ),
    ],
)
def test_what_a_reviewer_should_look_at_is_told(tmp_path: Path, files: dict[str, str], said: str) -> None:
    found = advice(tmp_path / "p", files)
    assert any(said in line for line in found), found


@pytest.mark.parametrize(
    ("files", "word"),
    [
        (
            more(LINE.format("x", "production", "resources: ['prod-eu/payments/deployments/a'], ", "require_approval")),
            "`x` adds nothing",
        ),
        (more(LINE.format("x", "staging", "when: {replicas: {max: 21}}, ", "allow")), "`x` adds nothing"),
        (more(LINE.format("x", "staging", "when: {replicas: {max: 5}}, ", "allow"), role="reader"), "`x` adds nothing"),
        (
            more(
                LINE.format(
                    "x",
                    "production",
                    "resources: [prod-eu/web/deployments/a], "
                    "standing: {reason: r, until: 2027-06-01, approved_by: eve}, ",
                    "allow",
                )
            ),
            "`x` adds nothing",
        ),
        (more(LINE.format("x", "staging", "when: {note: {equals: a, present: true}}, ", "deny")), "`x` denies"),
        (more(LINE.format("x", "staging", "when: {note: {absent: true}}, ", "deny")), "`x` denies"),
        (more(LINE.format("x", "staging", "when: {note: {equals: a}}, ", "allow")), "`x` denies"),
        (more(LINE.format("x", "staging", "when: {replicas: {max: 1}}, ", "deny")), "`x` denies"),
        (more(LINE.format("x", "staging", "until: 2027-03-01, ", "allow")), "`x` expires"),
        (edit(PEOPLE, "dana: {}", "dana: {may: [security_admin]}"), "in no group"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_what_only_looks_so_is_not_told(tmp_path: Path, files: dict[str, str], word: str) -> None:
    assert [line for line in advice(tmp_path / "p", files) if word in line] == []


def test_of_two_rules_that_say_the_same_only_the_later_one_is_told(tmp_path: Path) -> None:
    twice = more(LINE.format("x", "staging", "when: {replicas: {max: 20}}, ", "allow"))
    told = [line for line in advice(tmp_path / "p", twice) if "adds nothing" in line]
    assert told == [f"{ROLE}:21:7: `x` adds nothing: `scale-stg` allows all of it"]


def test_a_policy_without_cases_is_told_so(tmp_path: Path) -> None:
    checked = check(write(tmp_path / "p", SOUND), NOW)
    assert [str(finding) for finding in checked.findings] == [
        "tests:1:1: there is no case: nothing says what this policy must come to"
    ]


def test_errors_and_advice_are_told_apart(tmp_path: Path) -> None:
    bad = found(tmp_path / "p", edit(ROLE, "effect: deny\n      reason", "effect: denny\n      reason"))
    assert (bad.errors, bad.advice, bad.policy) == (1, 0, None)
    assert bad.version is not None
    good = found(tmp_path / "q", SAMPLE)
    assert (good.errors, good.policy is not None) == (0, True)
    assert {finding.severity for finding in good.findings} == {Severity.ADVICE}


def test_a_case_that_gets_more_is_an_error_and_the_advice_stands_beside_it(tmp_path: Path) -> None:
    files = {**SAMPLE, "tests/x.yaml": CASE.replace("decision: allow", "decision: deny")}
    checked = check(write(tmp_path / "p", files), NOW)
    assert checked.errors == 1
    assert checked.advice > 0


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    checked = check(tmp_path / "nowhere", NOW)
    assert (checked.version, checked.errors) == (None, 1)


def test_advice_is_bounded(tmp_path: Path) -> None:
    checked = found(
        tmp_path / "p", more(*(LINE.format(f"x{n}", "staging", "until: 2026-01-01, ", "allow") for n in range(300)))
    )
    assert checked.advice == 200
    assert checked.left_out > 100


def test_dates_follow_the_moment_of_the_check(tmp_path: Path) -> None:
    later = datetime(2030, 1, 1, tzinfo=UTC)
    assert "agents.yaml:1:1: `bot` expired on 2029-03-31" in advice(
        tmp_path / "p", {**SOUND, "tests/x.yaml": "[]\n"}, later
    )


def test_a_route_that_asks_for_a_passkey_says_where_it_is_answered(tmp_path: Path) -> None:
    assert "assurance: console" in SOUND[ROUTES]
    asks = {**SOUND, ROUTES: SOUND[ROUTES].replace("assurance: console", "assurance: step_up", 1)}
    (told,) = advice(tmp_path / "p", asks)
    assert "is answered at the console alone, each time with a passkey: `assent doctor` says who has one" in told
