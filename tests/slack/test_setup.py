"""Setting Slack up: the app asks for what the code uses and no more, and the doctor names the step that is missing."""

import ast
import json
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from assent.core.approvals import Need, Route, Step
from assent.demo.workspace.methods import METHODS
from assent.demo.workspace.people import Channel, Person
from assent.demo.workspace.server import StandIn, serving
from assent.demo.workspace.state import Fault, Workspace
from assent.slack.doctor import Finding, examine
from assent.slack.manifest import SCOPES, WITHOUT_A_SCOPE, manifest
from assent.slack.web import SlackWeb
from tests.flows.world import TownPolicy

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/assent/slack"
PROD = Channel(id="C0PROD", name="prod")
EVE = Person(id="U0EVE", name="eve")


def methods_called() -> set[str]:
    """Return every method that the code names in a call of Slack, also the one that opens sockets inside the client."""
    found = {"apps.connections.open"}
    for path in SOURCE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                names = [a.value for a in node.args[:1] if isinstance(a, ast.Constant) and isinstance(a.value, str)]
                found.update(name for name in names if node.func.attr in {"call", "_sent", "_paced", "_told"})
    return found


def test_every_scope_is_needed_by_a_method_that_is_called_and_every_method_has_its_scope() -> None:
    called = methods_called()
    assert {"chat.postMessage", "chat.update", "users.info", "views.open"} <= called
    needed = {method for methods in SCOPES.values() for method in methods}
    assert needed == called - WITHOUT_A_SCOPE
    assert [scope for scope, methods in SCOPES.items() if not methods] == ["commands"]


def test_the_stand_in_wants_the_scopes_that_the_manifest_names() -> None:
    for scope, methods in SCOPES.items():
        for method in methods:
            assert scope in METHODS[method].scopes | {"commands"}, (scope, method)
    assert {method for method in methods_called() if method not in METHODS} == set()


def test_the_manifests_that_are_shipped_are_those_that_are_printed() -> None:
    shipped = {path.name: json.loads(path.read_text()) for path in (ROOT / "deploy/slack").glob("*.json")}
    assert shipped == {
        "manifest.socket.json": manifest(),
        "manifest.http.json": manifest(public_url="https://assent.example.com"),
    }
    assert shipped["manifest.socket.json"]["settings"]["socket_mode_enabled"] is True
    assert "request_url" not in json.dumps(shipped["manifest.socket.json"])
    http = shipped["manifest.http.json"]["settings"]["interactivity"]["request_url"]
    assert http == "https://assent.example.com/slack/interactions"


def test_the_manifest_is_printed_on_the_command_line() -> None:
    made = subprocess.run([sys.executable, "-m", "assent", "slack", "manifest"], capture_output=True, check=True)
    assert json.loads(made.stdout) == manifest()
    refused = subprocess.run(
        [sys.executable, "-m", "assent", "slack", "manifest", "--url", "http://x"], capture_output=True, check=False
    )
    assert refused.returncode == 2
    assert b"https addresses only" in refused.stderr


def policy(*tell: str, user: str = "U0EVE") -> TownPolicy:
    people = tuple(
        replace(p, identities={"slack": f"T0TOWN/{user}"}) if p.id == "eve" else p for p in TownPolicy().people
    )
    steps = (Step(after=timedelta(0), tell=tell),) if tell else ()
    route = Route(name="default", needs=(Need(count=1, of="oncall"),), steps=steps)
    return TownPolicy(people=people, routes={"default": route})


async def examined(slack: StandIn, of: TownPolicy, *, test_card: bool = False) -> list[Finding]:
    web = SlackWeb("xoxb-stand-in", base_url=slack.api, timeout_seconds=1)
    app = SlackWeb("xapp-stand-in", base_url=slack.api, timeout_seconds=1)
    found = [f async for f in examine(web, of, ["default"], app=app, test_card=test_card)]
    await web.close()
    await app.close()
    return found


def a_workspace(**changes: Any) -> Workspace:
    return Workspace(**{"people": [EVE], "channels": [PROD], "scopes": SCOPES, **changes})


async def test_where_everything_is_right_every_line_says_so() -> None:
    async with serving(a_workspace()) as slack:
        found = await examined(slack, policy("slack:C0PROD"), test_card=True)

        assert [finding.wrong for finding in found] == [""] * len(found)
        told = " | ".join(finding.what for finding in found)
        for said in (
            "Town (T0TOWN)",
            "a socket can be opened",
            "none too many",
            "test card was posted",
            "eve",
            "tells",
        ):
            assert said in told
        assert len(slack.slack.messages) == 1


AT_PROD = policy("slack:C0PROD")


@pytest.mark.parametrize(
    ("changes", "of", "wrong", "fix"),
    [
        (
            {"bot_token": "xoxb-other"},
            policy("slack:C0PROD"),
            "does not take it: invalid_auth",
            "copy the bot token again",
        ),
        ({"app_token": "xapp-other"}, AT_PROD, "no socket can be opened", "connections:write"),
        ({"scopes": ["chat:write"]}, AT_PROD, "missing: channels:history", "assent slack manifest"),
        (
            {"scopes": [*SCOPES, "admin"]},
            policy("slack:C0PROD"),
            "more than anything here needs: admin",
            "update the app",
        ),
        ({"channels": []}, AT_PROD, "channel_not_found", "invite the app"),
        ({"channels": [replace(PROD, is_archived=True)]}, AT_PROD, "it is archived", "another channel"),
        ({"channels": [replace(PROD, is_shared=True)]}, AT_PROD, "other organisations", "not shared"),
        (
            {"channels": [replace(PROD, has_bot=False)]},
            policy("slack:C0PROD"),
            "the app is not in it",
            "/invite @assent",
        ),
        ({"people": [replace(EVE, is_deleted=True)]}, AT_PROD, "it is deactivated", "operators.yaml"),
        ({}, policy("slack:C0PROD", user="U0NOBODY"), "is not known to Slack", "operators.yaml"),
        ({}, policy("slack:C0PROD", "dm:oncall@S0DUTY"), "Slack says no_such_subteam", "until then all are told"),
        (
            {"groups": {"S0DUTY": ("U0SAM",)}},
            policy("slack:C0PROD", "dm:oncall@S0DUTY:primary"),
            "none of eve is in it",
            "until then all are told",
        ),
        ({}, policy(), "nobody is told of what default asks", "routes.yaml"),
    ],
)
async def test_each_missing_step_is_named_with_its_remedy(
    changes: dict[str, Any], of: TownPolicy, wrong: str, fix: str
) -> None:
    async with serving(a_workspace(**changes)) as slack:
        found = [finding for finding in await examined(slack, of) if not finding.ok]

    assert wrong in " | ".join(finding.wrong for finding in found)
    assert fix in " | ".join(finding.fix for finding in found)


async def test_a_card_that_cannot_be_posted_is_a_finding() -> None:
    async with serving(a_workspace()) as slack:
        slack.slack.faults.append(Fault(method="chat.postMessage", how="restricted_action"))
        found = await examined(slack, policy("slack:C0PROD"), test_card=True)

    assert "no card could be posted: restricted_action" in " | ".join(finding.wrong for finding in found)
