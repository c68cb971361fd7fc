"""A policy under which people are asked: as many agents, rooms and approvers as are wanted, all in production."""

import shutil
from pathlib import Path
from typing import Final

from assent.demo.workspace.people import TEAM, Channel, Person
from benchmarks.policy_files import MODEL, OPERATOR, OWNER

TOOL: Final = "svc.change{number:02d}"
# As many as anybody wants to wait at once; what keeps people from being flooded is not what is measured.
UNLIMITED: Final = """open_per_agent = 1000
open_per_run = 1000
open_per_route = 10000
asks_per_agent_per_hour = 100000
max_connections = 15000
max_connections_per_address = 15000
"""
_TOOL: Final = """{name}:
  description: changes one file
  impact: write
  resource: "{{path}}"
  environment: {{from: path, segment: 0, match: {{prod: production, stg: staging}}}}
  arguments: {{path: {{type: string, max_length: 1000}}}}
  how_bad: "changes {{path}}"
  undo: "write the former content of {{path}} again"
"""


def agent(number: int) -> str:
    """Return how an agent is called."""
    return f"asker-{number:02d}"


def tool(number: int) -> str:
    """Return the tool that is asked about in one room."""
    return TOOL.format(number=number)


def person(number: int) -> Person:
    """Return an approver's account."""
    return Person(id=f"U0PERSON{number:02d}", name=f"person-{number:02d}")


def room(number: int) -> Channel:
    """Return the channel of one route."""
    return Channel(id=f"C0ROOM{number:02d}", name=f"room-{number:02d}")


def write(directory: Path, *, agents: int, rooms: int, assurance: str = "slack") -> None:
    """Write a policy with a tool, a route, a channel and an approver for every room."""
    shutil.rmtree(directory, ignore_errors=True)
    numbers = range(rooms)
    files = {
        "environments.yaml": "production: {}\nstaging: {nonproduction: true}\n",
        "operators.yaml": f"{OWNER}: {{}}\n{OPERATOR}: {{groups: [approvers], may: [approver, operator]}}\n"
        + "".join(map(_approver, numbers)),
        "routes.yaml": "default: {needs: [{any: 1, of: approvers}], assurance: token}\n"
        + "".join(_route(number, assurance) for number in numbers),
        "agents.yaml": "".join(
            f"{agent(number)}: {{owner: {OWNER}, roles: [asker], expires: 2099-01-01}}\n" for number in range(agents)
        ),
        "tools/svc.yaml": "".join(_TOOL.format(name=tool(number)) for number in numbers),
        "roles/asker.yaml": f"asker:\n  description: asks\n  owner: {OWNER}\n  rules:\n" + "".join(map(_rule, numbers)),
    }
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        path.write_text(text)
        path.chmod(0o644)
    shutil.copyfile(MODEL, directory / "model.conf")


def _approver(number: int) -> str:
    account = f"slack: {{team: {TEAM}, user: {person(number).id}}}"
    return f"{person(number).name}: {{groups: [approvers], may: [approver], {account}}}\n"


def _route(number: int, assurance: str) -> str:
    tell = f"steps: [{{tell: [slack:{room(number).id}]}}]"
    needs = f"needs: [{{any: 1, of: approvers}}], assurance: {assurance}"
    return f"room-{number:02d}: {{{needs}, expires_after: 1d, {tell}}}\n"


def _rule(number: int) -> str:
    return (
        f"    - {{id: ask-{number:02d}, tools: [{tool(number)}], environments: [production],"
        f' resources: ["prod/**"], effect: require_approval, route: room-{number:02d}}}\n'
    )
