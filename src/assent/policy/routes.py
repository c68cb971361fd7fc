"""Routes: who must answer, how many of them, how sure we must be who they are, by when, and how long a no holds.

A route that the declared people could never fill is refused at load; whether they can fill it for one action, with its
owner and driver barred, is decided when it is asked.
"""

from collections.abc import Collection
from datetime import timedelta
from typing import Final

from assent.core.approvals import DEFAULT_COOL_OFF, Need, Route
from assent.core.operators import Assurance, Operator, Permission
from assent.policy.documents import Node, Scalar, Sequence
from assent.policy.fields import Fields, duration, entries, integer, listed, name
from assent.policy.findings import Findings, did_you_mean, quoted

DEFAULT: Final = "default"
MAX_SEATS: Final = 10

_ASSURANCES: Final = {assurance.name.lower(): assurance for assurance in Assurance}


def read_routes(node: Node, findings: Findings, operators: Collection[Operator]) -> dict[str, Route]:
    """Return every route by name; `default` must be among them."""
    routes = {key: _route(key, value, findings, operators) for key, value in entries(node, findings, "routes.yaml")}
    if DEFAULT not in routes:
        findings.add(node.place, "the route `default` is missing: the production floor asks there")
    return routes


def _route(key: str, node: Node, findings: Findings, operators: Collection[Operator]) -> Route:
    fields = Fields(node, findings, f"the route `{key}`")
    route = Route(
        name=key,
        needs=fields.need("needs", _needs, ()),
        assurance=fields.take("assurance", _assurance, Assurance.SLACK),
        expires_after=fields.take("expires_after", duration, timedelta(minutes=15)),
        pick_up_within=fields.take("pick_up_within", duration, timedelta(minutes=30)),
        cool_off=fields.take("cool_off", duration, DEFAULT_COOL_OFF),
    )
    fields.close()
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


def _assurance(node: Node, findings: Findings) -> Assurance:
    word = node.text if isinstance(node, Scalar) else ""
    if word in _ASSURANCES:
        return _ASSURANCES[word]
    findings.add(node.place, f"{quoted(word)} is not one of {listed(_ASSURANCES)}{did_you_mean(word, _ASSURANCES)}")
    return Assurance.STEP_UP
