"""The access-policy document: what an auditor reads says what the judge does."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from assent.core.agents import AgentId
from assent.core.decisions import Effect, Verdict
from assent.policy import LoadedPolicy
from assent.policy.document import Document
from tests.policy.directory import NOW, SAMPLE, ask, edited, load_files, scale


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> LoadedPolicy:
    return load_files(tmp_path_factory.mktemp("p") / "p", SAMPLE)


def test_an_agent_s_document_says_tool_by_tool_what_happens(policy: LoadedPolicy) -> None:
    text = Document(policy.declared, NOW).of_agent(policy.declared.agents["bot"])
    for line in (
        "# Access policy of bot",
        f"Version `{policy.version}`, as of 2027-01-01.",
        "- answers to: `dana`, who may deny and cancel, and never approves",
        "| `k8s.get` | production, staging | allowed | `read` |",
        "| `k8s.scale` | staging | allowed when `replicas` is at most `20` | `scale-stg` |",
        "|  | production: `*/web/**` | **asked** on `default` (production) | `scale-floor` |",
        "|  | production: `*/payments/**` | **asked** on `oncall` | `scale-prod` |",
        "|  | production | **denied** when `replicas` is `0`: never to zero | `no-zero` |",
        "| `oncall` | 2 of `oncall` | `console` or surer | 10 min | `eve`, `fay` |",
        "- `k8s.scale` in staging, when `replicas` is at most `20` (`scale-stg`)",
    ):
        assert f"\n{line}\n" in f"\n{text}", line
    assert "reader" not in text.replace("readers", "")


def test_every_rule_and_every_agent_stands_in_the_whole_document(policy: LoadedPolicy) -> None:
    text = Document(policy.declared, NOW).whole()
    for rule in policy.declared.rules:
        assert f"(`{rule}`)" in text
    for agent in policy.declared.agents:
        assert f"### {agent}\n" in text


def test_a_role_s_document_names_who_has_it(policy: LoadedPolicy) -> None:
    text = Document(policy.declared, NOW).of_role(policy.declared.roles["reader"])
    assert "Looks. Kept by `dana`. Held by `both`, `viewer`." in text
    assert "### bot\n" not in text


def test_exceptions_and_what_is_over_are_told(tmp_path: Path) -> None:
    old = 'resources: ["*/web/**"], effect: allow}'
    standing = "standing: {reason: nightly job, until: 2027-02-01, approved_by: eve}"
    files = edited("roles/deployer.yaml", old, f'resources: ["*/web/**"], {standing}, effect: allow}}')
    text = Document(load_files(tmp_path / "p", files).declared, NOW).whole()
    assert "| `scale-floor` | `k8s.scale` | nightly job | `eve` | 2027-02-01 |" in text
    assert "- until: 2026-03-31 (over)" in text
    assert "|  | production: `*/web/**` | allowed | `scale-floor` |" in text


def test_a_role_s_document_says_what_the_production_floor_makes_of_a_rule(tmp_path: Path) -> None:
    everywhere = "    - {id: wide, tools: [k8s.get, k8s.scale], environments: ['*'], effect: allow}\n"
    both = "    - {id: both, tools: [k8s.scale], environments: [staging, production], effect: allow}\n"
    files = edited("roles/deployer.yaml", "\nreader:\n", f"\n{everywhere}{both}reader:\n")
    declared = load_files(tmp_path / "p", files).declared
    said = Document(declared, NOW).of_role(declared.roles["deployer"])
    free, _, asked = said.partition("**May, when people agree**")
    assert "`k8s.get`, `k8s.scale` everywhere; `k8s.scale` in production asked on `default` (`wide`)" in free
    assert "`k8s.scale` in staging, production; in production asked on `default` (`both`)" in free
    assert "`*/web/**`; asked on `default`, as every change in production (`scale-floor`)" in asked
    assert "scale-floor" not in free.partition("## Roles")[2]


def test_whoever_may_approve_what_their_own_agent_asks_is_told_in_the_open(tmp_path: Path) -> None:
    single = "dana: {groups: [oncall], may: [approver], single_person: {reason: alone at night, until: 2027-06-01}}"
    declared = load_files(tmp_path / "p", edited("operators.yaml", "dana: {}", single)).declared
    said = Document(declared, NOW).of_agent(declared.agents["bot"])
    assert "- answers to: `dana`, who until 2027-06-01 **may approve what it asks** but for what destroys\n" in said
    assert "approver, approve what their own agents ask until 2027-06-01: alone at night |" in said
    over = Document(declared, datetime(2027, 7, 1, tzinfo=UTC)).of_agent(declared.agents["bot"])
    assert "- answers to: `dana`, who may deny and cancel, and never approves\n" in over
    assert "ask until 2027-06-01 (over): alone at night" in over


def test_the_document_of_one_agent_names_who_may_answer_it(tmp_path: Path) -> None:
    owner = edited("operators.yaml", "dana: {}", "dana: {groups: [oncall], may: [approver]}")
    declared = load_files(tmp_path / "p", owner).declared
    line = "| `default` | 1 of `oncall` | `slack` or surer, `console` for what destroys in production | 15 min | {} |"
    assert line.format("`eve`, `fay`") in Document(declared, NOW).of_agent(declared.agents["bot"])
    assert line.format("`dana`, `eve`, `fay`") in Document(declared, NOW).whole()


def test_the_catalogue_says_on_what_and_where_a_tool_acts(policy: LoadedPolicy) -> None:
    text = Document(policy.declared, NOW).whole()
    assert (
        "| `k8s.scale` | write | `{cluster}/{namespace}/deployments/{deployment}` |"
        " by `cluster`: production: `prod-eu`; staging: `stg-1`, `stg-2` | change the replica count"
    ) in text


def test_words_of_an_author_stay_words(tmp_path: Path) -> None:
    files = edited("roles/deployer.yaml", "reason: never to zero", 'reason: "| [x](y) <b> *all*"')
    text = Document(load_files(tmp_path / "p", files).declared, NOW).of_agent(
        load_files(tmp_path / "q", files).declared.agents["bot"]
    )
    assert "<b>" not in text
    assert "\\| \\[x](y) &lt;b> \\*all\\*" in text


def test_what_the_table_says_of_a_rule_is_what_the_judge_does(policy: LoadedPolicy) -> None:
    text = Document(policy.declared, NOW).of_agent(policy.declared.agents["bot"])
    rows = re.findall(r"\| (?:`k8s.scale`)? ?\| (?P<where>[^|]+) \| (?P<what>[^|]+) \| `(?P<rule>[^`]+)` \|", text)
    said = {rule: what for _, what, rule in rows}
    asked = {
        "scale-stg": scale(),
        "scale-floor": scale(cluster="prod-eu"),
        "scale-prod": scale(cluster="prod-eu", namespace="payments"),
        "no-zero": scale(cluster="prod-eu", replicas=0),
    }
    words = {Effect.ALLOW: "allowed", Effect.REQUIRE_APPROVAL: "asked", Effect.DENY: "denied"}
    for rule, arguments in asked.items():
        verdict = ask(policy, AgentId("bot"), "k8s.scale", arguments)
        assert isinstance(verdict, Verdict)
        assert words[verdict.effect] in said[rule]
