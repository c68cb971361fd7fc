"""The model and the rules as Casbin reads them: `model.conf` as loaded, and one CSV row for each rule.

A stock enforcer with the functions of `judge.functions` reaches the same verdicts over every row; a test does that.
What a row cannot hold stands in a comment above it: conditions and dates, which `holds` looks up by the rule's id, and
routes and exceptions, which core reads off the rules that apply.
"""

from collections.abc import Iterator

from assent.core.decisions import Effect
from assent.policy.declared import Declared
from assent.policy.files import MODEL
from assent.policy.rules import Rule

CSV = "policy.csv"


def as_casbin(declared: Declared) -> str:
    """Return model and CSV in one text, for a person to read."""
    return f"# {MODEL}\n{declared.model.rstrip()}\n\n# {CSV}\n{as_csv(declared)}"


def as_csv(declared: Declared) -> str:
    """Return every rule and every agent's role as a row: `p, id, role, tools, environments, resources, eft`."""
    lines = [f"# version {declared.version}", "# p, id, role, tools, environments, resources, eft"]
    for rule in declared.rules.values():
        lines += [*_comments(rule), ", ".join(("p", *rule.row))]
    lines.append("# g, agent, role")
    lines += [f"g, {agent.id}, {role}" for _, agent in sorted(declared.agents.items()) for role in agent.roles]
    return "\n".join(lines) + "\n"


def _comments(rule: Rule) -> Iterator[str]:
    for field in rule.condition:
        yield f"#   when {field.argument}: {field.written}"
    if rule.until is not None:
        yield f"#   until {rule.until.isoformat()}"
    if rule.effect is Effect.REQUIRE_APPROVAL:
        yield f"#   route {rule.route}"
    if rule.standing is not None:
        yield f"#   standing until {rule.standing.until.isoformat()}, approved by {rule.standing.approved_by}"
