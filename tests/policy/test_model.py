"""The Casbin model: it decides, it may be narrowed, and no edit of it lets more through."""

from pathlib import Path

import pytest

from assent.core.decisions import Effect, Verdict
from tests.policy.directory import SAMPLE, ask, findings_of, load_files, scale

MODEL = SAMPLE["model.conf"]
MATCHER = MODEL[MODEL.index("m = ") :].strip()


def with_model(old: str, new: str) -> dict[str, str]:
    assert old in MODEL
    return {**SAMPLE, "model.conf": MODEL.replace(old, new, 1)}


def effect(directory: Path, files: dict[str, str], **changes: str) -> Effect:
    answer = ask(load_files(directory, files), "bot", "k8s.scale", scale(**changes))
    assert isinstance(answer, Verdict)
    return answer.effect


def test_a_condition_added_to_the_loaded_model_changes_verdicts(tmp_path: Path) -> None:
    assert effect(tmp_path / "p", SAMPLE) is Effect.ALLOW
    assert effect(tmp_path / "q", with_model("m = ", "m = r.tool == p.tools && ")) is Effect.ALLOW
    assert effect(tmp_path / "r", with_model("m = ", "m = r.environment == p.role && ")) is Effect.DENY
    assert effect(tmp_path / "s", with_model("m = ", "m = covers_tool(p.tools, r.environment) && ")) is Effect.DENY


def test_the_order_of_conditions_is_free(tmp_path: Path) -> None:
    first, second = "has_role(r.agent, p.role)", "covers_tool(p.tools, r.tool)"
    assert effect(tmp_path / "p", with_model(f"{first} && {second}", f"{second} && {first}")) is Effect.ALLOW


CONDITIONS = MATCHER.removeprefix("m = ").split(" && ")


@pytest.mark.requirement("T6")
@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_that_is_left_out_is_found(tmp_path: Path, condition: str) -> None:
    kept = " && ".join(c for c in CONDITIONS if c != condition)
    assert findings_of(tmp_path / "p", with_model(MATCHER, f"m = {kept}"))


@pytest.mark.requirement("T6")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (MATCHER, "m = true"),
        (MATCHER, "m = 1"),
        (MATCHER, "m = "),
        (MATCHER, MATCHER.replace(" && ", " || ", 1)),
        (MATCHER, MATCHER.replace("&&", "or", 1)),
        (MATCHER, MATCHER.replace("has_role", "!has_role")),
        (MATCHER, MATCHER.replace("has_role(r.agent, p.role)", "(has_role(r.agent, p.role) or true)")),
        (MATCHER, MATCHER.replace("m = ", 'm = r.tool == "k8s.get" && ')),
        (MATCHER, MATCHER.replace("m = ", "m = eval(p.id) && ")),
        (MATCHER, MATCHER.replace("m = ", "m = keyMatch(r.tool, p.tools) && ")),
        (MATCHER, MATCHER.replace("m = ", "m = regexMatch(r.tool, p.tools) && ")),
        (MATCHER, MATCHER.replace("m = ", "m = r.question.arguments && ")),
        (MATCHER, MATCHER.replace("m = ", "m = r.tool && ")),
        (MATCHER, MATCHER.replace("m = ", "m = r.tool != p.tools && ")),
        (MATCHER, MATCHER.replace("m = ", "m = r.tool == p.tools == p.id && ")),
        (MATCHER, MATCHER.replace("m = ", "m = hit(p.id) && ")),
        (MATCHER, MATCHER + " && has_role(r.agent, p.role)"),
        (MATCHER, MATCHER + "\nm2 = hit(p.id)"),
        (MATCHER, MATCHER + "\n" + MATCHER),
        (MATCHER, MATCHER + " # all"),
        (MATCHER, MATCHER + " \\"),
        (MATCHER, MATCHER.replace("(p.id)", "(p.id", 1)),
        (MATCHER, "m = " + "(" * 3000 + ")" * 3000),
        (MATCHER, MATCHER + "\n[role_definition]\ng = _, _"),
        ("[matchers]", "[Matchers]"),
        ("[matchers]", "[matchers]\n[matchers]\nm = hit(p.id)"),
        ("[request_definition]", "[request_definition]\nr2 = a, b"),
        ("r = agent, tool", "r = tool, agent"),
        ("p = id, role", "p = role, id"),
        (", eft", ""),
        ("e = some(where (p.eft == allow)) && !some(where (p.eft == deny))", "e = !some(where (p.eft == deny))"),
        ("e = some(where (p.eft == allow)) && !some(where (p.eft == deny))", "e = some(where (p.eft == allow))"),
        ("e = some(where (p.eft == allow)) && ", "e = some(where (p.eft == Allow)) && "),
        ("e = ", "e := "),
        ("[policy_effect]", ""),
        ("# How Casbin", "\x0c# How Casbin"),
        ("# How Casbin", "# Hów Casbin"),
    ],
)
def test_an_edit_that_could_let_more_through_is_found(tmp_path: Path, old: str, new: str) -> None:
    found = findings_of(tmp_path / "p", with_model(old, new))
    assert found
    assert all(line.startswith("model.conf:") for line in found)
