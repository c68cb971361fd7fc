"""The policies that ship: what they decide is written beside them as data, and all of it must come out."""

from pathlib import Path

import pytest

from assent.policy import LoadedPolicy
from assent.policy.cases import Case
from assent.policy.files import EXAMPLES
from assent.policy.packs import starter
from tests.policy.directory import SAMPLE, decision, findings_of, load_files

ROOT = Path(__file__).parent.parent.parent
POLICIES = ROOT / "policies"


def text_files(directory: Path) -> dict[str, str]:
    """Return the files of a policy by their path inside it, without the whole policies among its examples."""
    found = sorted(path for path in directory.rglob("*") if path.is_file())
    paths = [path for path in found if path.relative_to(directory).parts[0] != EXAMPLES]
    return {str(path.relative_to(directory)): path.read_text() for path in paths}


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> LoadedPolicy:
    # A copy: a checkout may have been made under a mask that lets a group write.
    return load_files(tmp_path_factory.mktemp("p") / "p", text_files(POLICIES))


def test_the_policies_of_the_repository_are_the_starter() -> None:
    assert {name: content.encode() for name, content in text_files(POLICIES).items()} == starter()


def check(policy: LoadedPolicy, case: Case) -> None:
    found = decision(policy, case)
    assert found.answer is case.expect.decision, case.name
    assert case.expect.rules is None or set(found.rules) == set(case.expect.rules), case.name
    assert case.expect.route is None or found.routes == (case.expect.route,), case.name
    assert case.expect.reason is None or [reason.code for reason in found.reasons] == [case.expect.reason], case.name


@pytest.mark.requirement("P1")
def test_every_case_of_the_shipped_policies_comes_out(shipped: LoadedPolicy) -> None:
    assert len(shipped.cases) >= 9
    for case in shipped.cases:
        check(shipped, case)


def test_a_case_names_agents_dates_and_everything_it_expects(tmp_path: Path) -> None:
    cases = """\
- name: two roles, one day
  agent: bot
  tool: k8s.get
  arguments: {cluster: prod-eu, namespace: web, deployment: shop}
  on_behalf_of: ["operator:dana"]
  now: 2027-04-01
  expect: {decision: deny, reason: agent_expired}
"""
    policy = load_files(tmp_path / "p", {**SAMPLE, "tests/x.yaml": cases})
    check(policy, policy.cases[0])
    found = findings_of(tmp_path / "q", {**SAMPLE, "tests/x.yaml": cases.replace("04-01", "03-01")})
    assert found == ("tests/x.yaml:1:3: the case `two roles, one day` must come to `deny`, but comes to `allow`",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\n", "must be a list"),
        ("- {name: n, agent: a, tool: t, arguments: {}, expect: {decision: maybe}}\n", "`maybe` is not one of"),
        ("- {name: n, agent: a, tool: t, arguments: 5, expect: {decision: deny}}\n", "`arguments` must be a mapping"),
        ("- {name: n, agent: a, tool: t, arguments: {}, expect: {decision: deny, reason: nope}}\n", "no reason `nope`"),
        ("- {name: n, agent: a, tool: t, arguments: {}, expects: {decision: deny}}\n", "has no field `expects`"),
    ],
)
def test_a_case_that_says_nothing_is_refused(tmp_path: Path, text: str, said: str) -> None:
    assert any(said in line for line in findings_of(tmp_path / "p", {**SAMPLE, "tests/x.yaml": text}))
