"""The page on policy shows a whole one: its examples load and decide what it says."""

import re
from pathlib import Path

from assent.core.decisions import Effect, Verdict
from assent.policy.packs import starter
from tests.policy.directory import ask, load_files

PAGE = Path(__file__).parent.parent.parent / "docs" / "policy.md"
BLOCK = re.compile(r"```yaml\n# (?P<name>\S+)\n(?P<text>.*?)```", re.DOTALL)


def test_the_examples_of_the_page_are_a_policy(tmp_path: Path) -> None:
    files = {block["name"]: block["text"] for block in BLOCK.finditer(PAGE.read_text())}
    policy = load_files(tmp_path / "p", {**files, "model.conf": starter()["model.conf"].decode()})
    arguments = {"cluster": "prod-eu", "namespace": "payments", "deployment": "api"}
    asked, denied = (ask(policy, "deploy-bot", "k8s.scale", {**arguments, "replicas": count}) for count in (5, 0))
    assert asked == Verdict(effect=Effect.REQUIRE_APPROVAL, rules=("scale-payments",), routes=("payments-oncall",))
    assert isinstance(denied, Verdict)
    assert denied.rules == ("never-to-zero", "scale-payments")
