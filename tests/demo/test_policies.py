"""The town's policies decide what the story says they do: every case beside them comes out."""

from importlib.resources import files
from pathlib import Path

from assent.demo.setting import set_up
from assent.policy.cases import Case
from tests.policy.directory import decision, load_files


def shipped() -> dict[str, str]:
    root = Path(str(files("assent.demo") / "policies"))
    found = sorted(path for path in root.rglob("*") if path.suffix in {".yaml", ".conf"})
    return {str(path.relative_to(root)): path.read_text() for path in found}


def test_every_case_of_the_town_s_policies_comes_out(tmp_path: Path) -> None:
    policy = load_files(tmp_path / "policies", shipped())
    assert len(policy.cases) >= 7

    def comes_out(case: Case) -> bool:
        found = decision(policy, case)
        expected = case.expect
        return (
            found.answer is expected.decision
            and expected.rules in {None, tuple(found.rules)}
            and expected.route in {None, *found.routes}
            and expected.reason in {None, *(reason.code for reason in found.reasons)}
        )

    assert [case.name for case in policy.cases if not comes_out(case)] == []


def test_every_path_of_the_town_s_policies_is_copied_and_for_its_owner_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    policies = set_up(tmp_path).configuration.parent / "policies"
    copied = {str(path.relative_to(policies)): path for path in policies.rglob("*") if path.is_file()}
    assert set(copied) == set(shipped())
    assert all(path.stat().st_mode & 0o077 == 0 for path in copied.values())
