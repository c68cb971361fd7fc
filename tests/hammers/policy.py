"""The policy that hammers work under: notes anybody may read, staging is free, production asks, deleting is denied."""

import shutil
from pathlib import Path
from typing import Final

AGENT: Final = "hammer-agent"
OTHER_AGENT: Final = "other-agent"
OWNER: Final = "nora"
EVE: Final = "eve"
OMAR: Final = "omar"
SERVICE: Final = "hammer-service"
MODEL: Final = Path(__file__).parents[2] / "policies" / "model.conf"

_PLACE: Final = "{from: path, segment: 0, match: {prod: production, stg: staging}}"
_SHAPE: Final = """  arguments:
    path: {type: string, max_length: 1000}
    count: {type: integer, min: 0, max: 1000000}
    ratio: {type: number}
    careful: {type: boolean}
    note: {type: string, nullable: true, max_length: 10000}
    tags: {type: list, of: {type: string, max_length: 100}}
    window:
      type: object
      fields: {start: {type: string}, minutes: {type: integer}, days: {type: list, of: {type: integer}}}
"""

FILES: Final = {
    "environments.yaml": "production: {}\nstaging: {nonproduction: true}\n",
    "operators.yaml": (
        f"{OWNER}: {{}}\n"
        f"{EVE}: {{groups: [approvers], may: [approver, operator]}}\n"
        f"{OMAR}: {{groups: [approvers], may: [approver, operator, security_admin]}}\n"
    ),
    "routes.yaml": (
        "default:\n  needs: [{any: 1, of: approvers}]\n  assurance: token\n  expires_after: 1h\n  pick_up_within: 1h\n"
        "  steps: [{tell: ['webhook:nobody']}]\n"  # not set up: what is handed over is put off, and dies on the way
    ),
    "agents.yaml": (
        f"{AGENT}: {{owner: {OWNER}, roles: [hammerer], expires: 2099-01-01}}\n"
        f"{OTHER_AGENT}: {{owner: {OWNER}, roles: [hammerer], expires: 2099-01-01}}\n"
    ),
    "tools/notes.yaml": f"""notes.read:
  description: read a note
  impact: read
  resource: "{{path}}"
  environment: {_PLACE}
  arguments: {{path: {{type: string, max_length: 1000}}}}
notes.write:
  description: write a note
  impact: write
  resource: "{{path}}"
  environment: {_PLACE}
  arguments: {{path: {{type: string, max_length: 1000}}, content: {{type: string, max_length: 100000}}}}
  how_bad: "replaces {{path}}"
  undo: "write {{path}} again"
notes.delete:
  description: delete a note
  impact: destructive
  resource: "{{path}}"
  environment: {_PLACE}
  arguments: {{path: {{type: string, max_length: 1000}}}}
  how_bad: "removes {{path}}"
  undo: "none"
shape.apply:
  description: takes arguments of every type, redeemed by the agent
  impact: write
  resource: "{{path}}"
  environment: {_PLACE}
{_SHAPE}  how_bad: "changes {{path}}"
  undo: "none"
shape.serve:
  description: the same, redeemed by its own service
  impact: write
  redeemed_by: tool
  resource: "{{path}}"
  environment: {_PLACE}
{_SHAPE}  how_bad: "changes {{path}}"
  undo: "none"
""",
    "roles/hammerer.yaml": f"""hammerer:
  description: does everything that hammers need
  owner: {OWNER}
  rules:
    - {{id: read, tools: [notes.read], environments: ["*"], effect: allow}}
    - {{id: staging, tools: [notes.write, "shape.*"], environments: [staging], effect: allow}}
    - id: production
      tools: [notes.write, "shape.*"]
      environments: [production]
      effect: require_approval
      route: default
    - {{id: never, tools: [notes.delete], environments: ["*"], effect: deny}}
""",
}


def write(directory: Path) -> None:
    """Write the policy into a fresh `directory`, as only its owner may."""
    for name, text in FILES.items():
        file = directory / name
        file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o644)
    shutil.copyfile(MODEL, directory / "model.conf")
