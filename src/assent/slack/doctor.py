"""Whether Slack is set up right, one line for each thing: what is wrong and what to do about it, in words.

Nothing is changed in the workspace but by the test card, which says that it is one.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from assent.core.deliveries import DIRECT, ON_DUTY, SLACK
from assent.core.operators import Operator
from assent.ports import Policy
from assent.slack.accounts import Standing, look_at
from assent.slack.heard import Who
from assent.slack.manifest import SCOPES
from assent.slack.on_duty import members_of
from assent.slack.web import SlackFault, SlackWeb

UPDATE_APP: Final = "print the manifest with `assent slack manifest`, update the app with it, install it again"
TEST_TEXT: Final = "This is a test card of Assent. Nobody needs to do anything."


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `wrong` says what is not right with it, `fix` what to do."""

    what: str
    wrong: str = ""
    fix: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong


async def examine(
    web: SlackWeb, policy: Policy, routes: Sequence[str], *, app: SlackWeb | None, test_card: bool
) -> AsyncIterator[Finding]:
    """Yield what was found, each as soon as it is known; what comes later is left out where it could not be asked.

    `routes` are the names of routes whose destinations are looked at; `app` calls with the app-level token.
    """
    try:
        said = await web.call("auth.test")
    except SlackFault as fault:
        yield Finding(
            "bot token", f"Slack does not take it: {fault.said}", fault.hint or "check the connection to Slack"
        )
        return
    team = str(said["team_id"])
    yield Finding(f"bot token, for the workspace {said.get('team')} ({team})")
    yield await _app_token(app)
    yield await _scopes(web)
    for where in sorted(_channels(policy, routes)):
        yield await _channel(web, where, test_card=test_card)
    for tell in sorted(_on_duty(policy, routes)):
        yield await _user_group(web, policy, tell)
    for operator in policy.operators():
        if SLACK in operator.identities:
            yield await _person(web, operator, team)
    yield _reachable(policy, routes)


async def _app_token(app: SlackWeb | None) -> Finding:
    if app is None:
        return Finding("app-level token: none, so clicks come over HTTP")
    try:
        await app.call("apps.connections.open")
    except SlackFault as fault:
        fix = "make an app-level token with `connections:write`, and switch Socket Mode on"
        return Finding("app-level token", f"no socket can be opened: {fault.said}", fix)
    return Finding("app-level token: a socket can be opened")


async def _scopes(web: SlackWeb) -> Finding:
    try:
        granted = await web.granted()
    except SlackFault as fault:
        return Finding("scopes", f"could not be looked up: {fault.said}", "try again")
    if missing := sorted(set(SCOPES) - granted):
        return Finding("scopes", f"missing: {', '.join(missing)}", UPDATE_APP)
    if more := sorted(granted - set(SCOPES)):
        return Finding("scopes", f"more than anything here needs: {', '.join(more)}", UPDATE_APP)
    return Finding(f"scopes: {len(SCOPES)}, none missing and none too many")


def _channels(policy: Policy, routes: Sequence[str]) -> set[str]:
    found = [policy.route(name) for name in routes]
    told = [one for route in found if route is not None for step in route.steps for one in step.tell]
    return {one.partition(":")[2] for one in told if one.startswith(f"{SLACK}:")}


async def _channel(web: SlackWeb, where: str, *, test_card: bool) -> Finding:
    try:
        info: dict[str, Any] = (await web.call("conversations.info", channel=where))["channel"]
    except SlackFault as fault:
        return Finding(f"channel {where}", f"Slack says {fault.said}", fault.hint or "name the channel by its id")
    name = f"channel #{info.get('name')} ({where})"
    if info.get("is_archived"):
        return Finding(name, "it is archived", "name another channel in routes.yaml")
    if info.get("is_ext_shared"):
        return Finding(name, "people of other organisations see what stands there", "use a channel that is not shared")
    if not info.get("is_member"):
        return Finding(name, "the app is not in it", "type `/invite @assent` there")
    return await _test_card(web, where, name) if test_card else Finding(name)


async def _test_card(web: SlackWeb, where: str, name: str) -> Finding:
    try:
        await web.call("chat.postMessage", channel=where, text=TEST_TEXT)
    except SlackFault as fault:
        return Finding(name, f"no card could be posted: {fault.said}", fault.hint or UPDATE_APP)
    return Finding(f"{name}: a test card was posted")


def _on_duty(policy: Policy, routes: Sequence[str]) -> set[tuple[str, str]]:
    """Return every user group that these routes look at, with the group of operators.yaml whose people it chooses."""
    found = [route for name in routes if (route := policy.route(name)) is not None]
    told = [one.split(":") for route in found for step in route.steps for one in step.tell]
    people = [parts[1].partition(ON_DUTY) for parts in told if len(parts) > 1]
    return {(live, group) for group, _, live in people if live}


async def _user_group(web: SlackWeb, policy: Policy, tell: tuple[str, str]) -> Finding:
    live, group = tell
    what = f"user group {live} for {group}"
    try:
        members = await members_of(web, live)
    except SlackFault as fault:
        return Finding(what, f"Slack says {fault.said}", fault.hint or "copy the group's id; until then all are told")
    people = [o for o in policy.operators() if group in o.groups and SLACK in o.identities]
    serving = [o.id for o in people if o.identities[SLACK].rpartition("/")[2] in members]
    if not serving:
        fix = "put one of them into it; until then all are told"
        return Finding(what, f"none of {', '.join(o.id for o in people)} is in it", fix)
    return Finding(f"{what}: {', '.join(serving)}")


async def _person(web: SlackWeb, operator: Operator, team: str) -> Finding:
    home, _, user = operator.identities[SLACK].partition("/")
    looked = await look_at(web, Who(user=user, team=home), team=team)
    what = f"account of {operator.id} ({operator.identities[SLACK]})"
    if looked.standing is Standing.LIVE:
        return Finding(what)
    return Finding(what, f"it {looked.why}", "correct `slack` of this operator in operators.yaml")


def _reachable(policy: Policy, routes: Sequence[str]) -> Finding:
    silent = [name for name in routes if (route := policy.route(name)) is not None and not route.steps]
    if not silent:
        return Finding("every route tells somebody")
    fix = f"add `steps: [{{tell: [{SLACK}:CHANNEL_ID, {DIRECT}:GROUP]}}]` to them in routes.yaml"
    return Finding("routes", f"nobody is told of what {', '.join(silent)} asks", fix)
