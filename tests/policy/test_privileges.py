"""The diff of privileges: every way to widen is told, what narrows is told apart, and words are only words."""

from pathlib import Path

import pytest

from assent.core.decisions import Effect
from assent.core.privileges import Change, Direction, widening
from assent.policy import LoadedPolicy
from tests.hammers import widening as hammer
from tests.hammers.budget import Disproved, short_budget
from tests.policy.directory import SAMPLE, load_files
from tests.policy.edits import NARROWS, REWORDS, WIDENS, Edit


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> LoadedPolicy:
    return load_files(tmp_path_factory.mktemp("p") / "p", SAMPLE)


def changes(directory: Path, sample: LoadedPolicy, edit: Edit) -> tuple[Change, ...]:
    return tuple(load_files(directory, edit.files()).changes_since(sample))


@pytest.mark.requirement("T23")
@pytest.mark.parametrize("edit", WIDENS, ids=lambda edit: edit.said)
def test_what_widens_is_told_as_widening(tmp_path: Path, sample: LoadedPolicy, edit: Edit) -> None:
    told = widening(changes(tmp_path / "p", sample, edit))
    assert any(edit.said in str(change) for change in told), told


@pytest.mark.parametrize("edit", NARROWS, ids=lambda edit: edit.new)
def test_what_only_narrows_is_not_told_as_widening(tmp_path: Path, sample: LoadedPolicy, edit: Edit) -> None:
    found = changes(tmp_path / "p", sample, edit)
    assert widening(found) == () or not edit.said, found
    assert not edit.said or any(
        edit.said in str(change) and change.direction is Direction.NARROWS for change in found
    ), found


@pytest.mark.parametrize("edit", REWORDS, ids=lambda edit: edit.said)
def test_what_is_only_worded_otherwise_is_told_as_such(tmp_path: Path, sample: LoadedPolicy, edit: Edit) -> None:
    found = changes(tmp_path / "p", sample, edit)
    assert {change.direction for change in found} == {Direction.REWORDS}, found
    assert any(edit.said in str(change) for change in found), found


@pytest.mark.parametrize("name", sorted(SAMPLE))
def test_a_comment_or_an_empty_line_changes_nothing(tmp_path: Path, sample: LoadedPolicy, name: str) -> None:
    files = {**SAMPLE, name: f"# at 03:00\n\n{SAMPLE[name]}\n# and again\n"}
    found = load_files(tmp_path / "p", files)
    assert found.version != sample.version
    assert found.changes_since(sample) == ()


def test_the_same_version_has_no_changes(tmp_path: Path, sample: LoadedPolicy) -> None:
    assert load_files(tmp_path / "p", SAMPLE).changes_since(sample) == ()


@pytest.mark.requirement("T23")
@pytest.mark.parametrize("edit", NARROWS, ids=lambda edit: edit.new)
def test_taking_back_what_narrowed_widens(tmp_path: Path, sample: LoadedPolicy, edit: Edit) -> None:
    if edit.said:
        assert widening(sample.changes_since(load_files(tmp_path / "p", edit.files())))


@pytest.mark.requirement("T23")
def test_a_rule_that_moves_to_another_role_widens(tmp_path: Path, sample: LoadedPolicy) -> None:
    role = SAMPLE["roles/deployer.yaml"]
    line = '    - {id: read, tools: ["k8s.get*"], environments: ["*"], effect: allow}\n'
    files = {**SAMPLE, "roles/deployer.yaml": role.replace(line, "") + line}
    told = widening(load_files(tmp_path / "p", files).changes_since(sample))
    assert [change.about for change in told] == ["rule read"]


@pytest.mark.requirement("T23")
def test_a_spelling_that_is_demanded_no_more_widens(tmp_path: Path) -> None:
    rule = "    - {id: noted, tools: [k8s.scale], environments: [staging], when: {note: {prefix: ok}}, effect: allow}\n"
    role = SAMPLE["roles/deployer.yaml"]
    with_rule = load_files(
        tmp_path / "p", {**SAMPLE, "roles/deployer.yaml": role.replace("reader:\n", f"{rule}reader:\n")}
    )
    without = load_files(tmp_path / "q", SAMPLE)
    told = widening(without.changes_since(with_rule))
    assert [str(change) for change in told] == ["tool k8s.scale: `note` may be spelled in ways that were refused"]


@pytest.mark.hammer
@pytest.mark.requirement("T6", "T23")
def test_no_change_to_files_widens_an_answer_untold(tmp_path: Path) -> None:
    print(hammer.run(tmp_path, short_budget()))


def test_the_hammer_notices_an_answer_that_widened_untold(tmp_path: Path) -> None:
    before = hammer.answers(load_files(tmp_path / "p", SAMPLE))
    after = hammer.answers(load_files(tmp_path / "q", WIDENS[1].files()))
    with pytest.raises(Disproved, match="scale"):
        hammer.check(before, after, told=(), files="")
    hammer.check(after, before, told=(), files="")


def test_the_hammer_notices_a_question_that_asks_fewer(tmp_path: Path) -> None:
    before = hammer.answers(load_files(tmp_path / "p", SAMPLE))
    fewer = Edit("routes.yaml", "any: 2", "any: 1", "").files()
    after = hammer.answers(load_files(tmp_path / "q", fewer))
    assert {effect for effect, _ in after.values()} == set(Effect)
    with pytest.raises(Disproved):
        hammer.check(before, after, told=(), files="")


FAY = "fay: {groups: [oncall, security], may: [approver, operator], oidc: {subject: f}}\n"
ROUTES = "default: {needs: [{any: 1, of: oncall}]}\noncall: {needs: [{any: 1, of: oncall}], assurance: console}\n"


@pytest.mark.requirement("T23", "T26")
@pytest.mark.parametrize(
    ("fay", "said"),
    [
        (FAY.replace(", oidc: {subject: f}", ""), ["operator fay", "permission breakers.reset", "route default"]),
        (FAY.replace("[oncall, security]", "[security]"), ["route default"]),
        (FAY.replace("[approver, operator]", "[operator]"), ["route default"]),
        (FAY.replace("[approver, operator]", "[approver]"), ["permission agents.manage", "permission breakers.reset"]),
        ("", ["permission agents.manage", "permission breakers.reset", "route default"]),
        (FAY.replace("[oncall, security]", "[oncall]"), []),
    ],
    ids=["identity", "group", "deciding", "resetting", "gone", "another group"],
)
def test_taking_the_last_one_from_the_console_widens(tmp_path: Path, fay: str, said: list[str]) -> None:
    others = "dana: {}\neve: {groups: [oncall], may: [approver]}\n"
    before = load_files(tmp_path / "a", {**SAMPLE, "routes.yaml": ROUTES, "operators.yaml": others + FAY})
    after = load_files(tmp_path / "b", {**SAMPLE, "routes.yaml": ROUTES, "operators.yaml": others + fay})
    told = {change.about for change in widening(tuple(after.changes_since(before)))}
    assert (set(said) <= told, bool(told)) == (True, bool(said)), told
