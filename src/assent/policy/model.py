"""The Casbin model as it may be loaded: sections, fields, effect and matcher checked before Casbin reads a word of it.

Casbin rewrites text in matchers, ignores sections it does not know and reads an unknown effect as none. So the text is
held to a form in which nothing can be read differently: the known sections once each, our fields, one conjunction of
calls without literals that holds every condition we need and ends by collecting the rule.
"""

import ast
import re
from collections.abc import Collection
from typing import Final

from assent.core.characters import hidden_characters
from assent.policy.files import MODEL
from assent.policy.findings import Findings, Place, did_you_mean, quoted

REQUEST: Final = ("agent", "tool", "environment", "resource", "question")
RULE: Final = ("id", "role", "tools", "environments", "resources", "eft")
EFFECT: Final = "some(where (p.eft == allow)) && !some(where (p.eft == deny))"
LAST: Final = "hit(p_id)"
CONDITIONS: Final = (
    "has_role(r_agent, p_role)",
    "covers_tool(p_tools, r_tool)",
    "covers_environment(p_environments, r_environment)",
    "covers_resource(p_resources, r_resource)",
    "holds(p_id, r_question)",
)
_KEYS: Final = {"request_definition": "r", "policy_definition": "p", "policy_effect": "e", "matchers": "m"}
_VARIABLE = re.compile(r"\b([rp])\.")


def check_model(content: bytes, functions: Collection[str], findings: Findings) -> str:
    """Return the model's text; whatever could be read differently, or lets more through, is a finding."""
    text = content.decode("ascii", errors="replace")
    if not text.isascii() or hidden_characters(text.replace("\n", "")):
        findings.add(Place(MODEL), "the model must be ASCII text without control characters")
        return ""
    values = _values(text, findings)
    for section, key in _KEYS.items():
        if section not in values:
            findings.add(Place(MODEL), f"the section `[{section}]` with `{key} = …` is missing")
    _check_fields(values.get("request_definition"), REQUEST, findings)
    _check_fields(values.get("policy_definition"), RULE, findings)
    effect = values.get("policy_effect")
    if effect is not None and effect[0] != EFFECT:
        findings.add(effect[1], f"the effect must be `{EFFECT}`: an allow is needed and a deny beats it")
    if (matcher := values.get("matchers")) is not None:
        _check_matcher(*matcher, functions, findings)
    return text


def conditions_of(text: str) -> frozenset[str]:
    """Return the conditions that the matcher of a checked model joins, each in one spelling."""
    matcher = _values(text, Findings())["matchers"][0]
    return frozenset(_as_written(ast.unparse(conjunct)) for conjunct in _conjuncts(matcher))


def _conjuncts(matcher: str) -> list[ast.expr]:
    expression = ast.parse(_VARIABLE.sub(r"\1_", matcher).replace("&&", " and ").strip(), mode="eval").body
    return expression.values if isinstance(expression, ast.BoolOp) else [expression]


def _values(text: str, findings: Findings) -> dict[str, tuple[str, Place]]:
    found: dict[str, tuple[str, Place]] = {}
    section = ""
    for number, line in enumerate(text.split("\n"), start=1):
        place, content = Place(MODEL, number), line.strip()
        if not content or content.startswith("#"):
            continue
        if content.startswith("[") and content.endswith("]"):
            section = content[1:-1]
            if section not in _KEYS:
                findings.add(place, f"there is no section {quoted(section)}{did_you_mean(section, _KEYS)}")
            continue
        key, equals, value = (part.strip() for part in content.partition("="))
        if not equals or key != _KEYS.get(section):
            findings.add(place, f"`{_KEYS.get(section, '[section]')} = …` is expected here, on one line")
        elif section in found:
            findings.add(place, f"{quoted(key)} is defined twice")
        else:
            found[section] = value, place
    return found


def _check_fields(value: tuple[str, Place] | None, expected: tuple[str, ...], findings: Findings) -> None:
    if value is not None and tuple(part.strip() for part in value[0].split(",")) != expected:
        findings.add(value[1], f"the fields must be `{', '.join(expected)}`")


def _check_matcher(text: str, place: Place, functions: Collection[str], findings: Findings) -> None:
    if set(text) & set("#\\\"'!|;:"):
        findings.add(place, "the matcher must be calls joined by `&&`: no literals, `!` or `||`")
        return
    try:
        conjuncts = _conjuncts(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        findings.add(place, "the matcher is not an expression")
        return
    for conjunct in conjuncts:
        _check_conjunct(conjunct, place, functions, findings)
    written = [ast.unparse(conjunct) for conjunct in conjuncts]
    for condition in CONDITIONS:
        if condition not in written:
            findings.add(place, f"the matcher lacks `{_as_written(condition)}`: rules would apply where they must not")
    if written[-1] != LAST or written.count(LAST) != 1:
        findings.add(place, f"the matcher must end with `&& {_as_written(LAST)}`, once: it collects what applies")


def _check_conjunct(node: ast.expr, place: Place, functions: Collection[str], findings: Findings) -> None:
    """Allow a call of a known function over fields, or the equality of two fields."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        if node.func.id not in functions:
            findings.add(place, f"there is no function {quoted(node.func.id)}{did_you_mean(node.func.id, functions)}")
        fields = node.args
    elif isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq):
        fields = [node.left, *node.comparators]
    else:
        findings.add(place, f"{quoted(_as_written(ast.unparse(node)))} is neither a call nor an equality of two fields")
        return
    known = {*(f"r_{field}" for field in REQUEST), *(f"p_{field}" for field in RULE)}
    for field in fields:
        if not isinstance(field, ast.Name) or field.id not in known:
            findings.add(place, f"there is no field {quoted(_as_written(ast.unparse(field)))}")


def _as_written(text: str) -> str:
    return re.sub(r"\b([rp])_", r"\1.", text)
