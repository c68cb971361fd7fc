"""Routes: whose answer is needed, how sure we must be who it is, who is told when, by when, and how long a no holds.

A route that the declared people could never fill is refused at load; whether they can fill it for one action, with its
owner and driver barred, is decided when it is asked.
"""

import re
from collections.abc import Collection
from datetime import timedelta
from typing import Final

from assent.core.approvals import DEFAULT_COOL_OFF, Need, Route, Step
from assent.core.deliveries import DIRECT, EMAIL, ON_DUTY, PRIMARY, SECONDARY, SLACK, WEBHOOK, is_reached
from assent.core.operators import Assurance, Operator, Permission
from assent.core.presence import LEAST_GONE_AFTER
from assent.policy.documents import Node, Scalar, Sequence
from assent.policy.fields import Fields, duration, entries, integer, listed, name, texts
from assent.policy.findings import Findings, did_you_mean, quoted

DEFAULT: Final = "default"
MAX_SEATS: Final = 10
MAX_STEPS: Final = 10
_DESTINATION: Final = re.compile(
    rf"{SLACK}:(?P<channel>#?[A-Za-z0-9_-]{{1,80}})|{WEBHOOK}:[A-Za-z0-9_.-]{{1,64}}"
    rf"|(?P<people>{DIRECT}|{EMAIL}):(?P<group>[A-Za-z0-9_.-]{{1,64}})({ON_DUTY}S[A-Z0-9]{{1,30}})?"
    rf"(:({PRIMARY}|{SECONDARY}))?"
)

_ASSURANCES: Final = {assurance.name.lower(): assurance for assurance in Assurance}


def read_routes(node: Node, findings: Findings, operators: Collection[Operator]) -> dict[str, Route]:
    """Return every route by name; `default` must be among them."""
    routes = {key: _route(key, value, findings, operators) for key, value in entries(node, findings, "routes.yaml")}
    if DEFAULT not in routes:
        findings.add(node.place, "the route `default` is missing: the production floor asks there")
    return routes


def _route(key: str, node: Node, findings: Findings, operators: Collection[Operator]) -> Route:
    fields = Fields(node, findings, f"the route `{key}`")
    said: Assurance | None = fields.take("assurance", _assurance, None)
    route = Route(
        name=key,
        needs=fields.need("needs", _needs, ()),
        assurance=Assurance.SLACK if said is None else said,
        assurance_left_open=said is None,
        expires_after=fields.take("expires_after", duration, timedelta(minutes=15)),
        pick_up_within=fields.take("pick_up_within", duration, timedelta(minutes=30)),
        cool_off=fields.take("cool_off", duration, DEFAULT_COOL_OFF),
        agent_gone_after=fields.take("agent_gone_after", _gone_after, None),
        steps=fields.take("steps", _steps, ()),
    )
    fields.close()
    _check_groups(route, fields, operators)
    for need in route.needs:
        able = [o for o in operators if need.of in o.groups and o.may(Permission.APPROVALS_DECIDE)]
        if len(able) < need.count:
            message = f"{need.count} of {quoted(need.of)} must answer, but {len(able)} who may decide are in that group"
            fields.refuse("needs", message)
    return route


def _needs(node: Node, findings: Findings) -> tuple[Need, ...]:
    if not isinstance(node, Sequence) or not node.items:
        findings.add(node.place, "`needs` must be a list such as [{any: 1, of: oncall}]")
        return ()
    needs = tuple(_need(item, findings) for item in node.items)
    if sum(need.count for need in needs) > MAX_SEATS:
        findings.add(node.place, f"more than {MAX_SEATS} people must answer")
    return needs


def _need(node: Node, findings: Findings) -> Need:
    fields = Fields(node, findings, "a need")
    need = Need(count=fields.need("any", integer, 1), of=fields.need("of", name, ""))
    fields.close()
    if need.count < 1:
        fields.refuse("any", "at least one person must answer")
    return need


def _steps(node: Node, findings: Findings) -> tuple[Step, ...]:
    if not isinstance(node, Sequence) or not node.items:
        findings.add(node.place, "`steps` must be a list such as [{after: 0m, tell: [slack:C0PROD]}]")
        return ()
    if len(node.items) > MAX_STEPS:
        findings.add(node.place, f"more than {MAX_STEPS} steps")
    return tuple(_step(item, findings) for item in node.items)


def _step(node: Node, findings: Findings) -> Step:
    fields = Fields(node, findings, "a step")
    step = Step(after=fields.take("after", _after, timedelta(0)), tell=fields.need("tell", _tell, ()))
    fields.close()
    return step


def _after(node: Node, findings: Findings) -> timedelta:
    if isinstance(node, Scalar) and node.text in {"0s", "0m"}:
        return timedelta(0)
    return duration(node, findings)


def _gone_after(node: Node, findings: Findings) -> timedelta:
    after = duration(node, findings)
    if after < LEAST_GONE_AFTER:
        findings.add(node.place, "`agent_gone_after` is at least 2m: who waits is heard of once a minute")
    return after


def _tell(node: Node, findings: Findings) -> tuple[str, ...]:
    told = texts(node, findings)
    for one in told:
        if (match := _DESTINATION.fullmatch(one)) is None:
            known = f"`slack:CHANNEL`, `dm:GROUP`, `dm:GROUP:{PRIMARY}`, `dm:GROUP@S0ID`, `email:GROUP`, `webhook:NAME`"
            findings.add(node.place, f"{quoted(one)} is none of {known}")
        elif match["channel"] and match["channel"].startswith("#"):
            findings.add(node.place, f"name the channel by its id instead of {quoted(match['channel'])}: names change")
    return told


def _check_groups(route: Route, fields: Fields, operators: Collection[Operator]) -> None:
    told = [_DESTINATION.fullmatch(one) for step in route.steps for one in step.tell]
    for kind, group in ((one["people"], one["group"]) for one in told if one is not None and one["people"]):
        if not any(group in o.groups and is_reached(o, kind) for o in operators):
            what = "an e-mail address" if kind == EMAIL else "a Slack account"
            fields.refuse("steps", f"nobody in {quoted(group)} has {what} in operators.yaml, so nobody is told")


def _assurance(node: Node, findings: Findings) -> Assurance:
    word = node.text if isinstance(node, Scalar) else ""
    if word in _ASSURANCES:
        return _ASSURANCES[word]
    findings.add(node.place, f"{quoted(word)} is not one of {listed(_ASSURANCES)}{did_you_mean(word, _ASSURANCES)}")
    return Assurance.STEP_UP
