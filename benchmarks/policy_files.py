"""A world of rules written as a policy directory, the way a person would write it."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.questions import EVERY_TOOL, PLACES, TOOLS, Rule, World, agent_name, place_of, tool_name

OWNER: Final = "demo-owner"
OPERATOR: Final = "you"
MODEL: Final = Path(__file__).parent.parent / "policies" / "model.conf"

_TOOL: Final = """{name}:
  description: works on one file
  impact: {impact}
  resource: "{{path}}"
  environment: {{from: path, segment: 0, match: {{prod: production, stg: staging}}}}
  arguments: {{path: {{type: string, max_length: 1000}}}}
"""
_WRITES: Final = """  how_bad: "changes {path}"
  undo: "write the former content of {path} again"
"""


def write(of: World, directory: Path) -> None:
    """Write `of` as a policy into `directory`, in place of what was there."""
    shutil.rmtree(directory, ignore_errors=True)
    for folder in ("tools", "roles"):
        (directory / folder).mkdir(parents=True, mode=0o755)
    shutil.copyfile(MODEL, directory / "model.conf")
    _put(directory / "environments.yaml", "production: {}\nstaging: {nonproduction: true}\n")
    _put(directory / "operators.yaml", f"{OWNER}: {{}}\n{OPERATOR}: {{groups: [approvers], may: {_MAY}}}\n")
    _put(directory / "routes.yaml", "default: {needs: [{any: 1, of: approvers}], assurance: token}\n")
    _put(directory / "agents.yaml", "".join(_agents(of)))
    _put(directory / "tools" / "svc.yaml", "".join(_tool(tool_name(number)) for number in range(TOOLS)))
    _write_roles(of, directory / "roles")


_MAY: Final = "[approver, operator, security_admin]"


def _put(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o644)


def _agents(of: World) -> Iterator[str]:
    for number in range(of.agents):
        yield f"{agent_name(number)}: {{owner: {OWNER}, roles: [{of.role_of(number)}], expires: 2099-01-01}}\n"


def _tool(name: str) -> str:
    writes = place_of(name) == "stg"
    return _TOOL.format(name=name, impact="write" if writes else "read") + (_WRITES if writes else "")


def _write_roles(of: World, folder: Path) -> None:
    lines: dict[str, list[str]] = {role: [] for role in of.roles}
    for rule in of.rules:
        lines[rule.role].append(_rule(rule))
    for role, rules in lines.items():
        head = f"{role}:\n  description: one of many\n  owner: {OWNER}\n  rules:\n"
        _put(folder / f"{role}.yaml", head + "".join(rules))


def _rule(rule: Rule) -> str:
    tool = f'"{EVERY_TOOL}"' if rule.tool == EVERY_TOOL else rule.tool
    return (
        f"    - {{id: {rule.id}, tools: [{tool}], environments: [{PLACES[rule.place]}],"
        f' resources: ["{rule.place}/{rule.area}/**"], effect: {rule.effect}}}\n'
    )
