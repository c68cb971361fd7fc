"""JSON Schemas of every policy file, so that an editor completes and checks while somebody types.

They are made from the same names, bounds and words as the readers, and a test holds both to each other: what the loader
takes the schema takes, and what is malformed for the loader is malformed for the schema. What refers to another file is
the loader's alone to find.
"""

import json
from collections.abc import Collection, Mapping
from enum import Enum
from typing import Any, Final

from assent.core.actions import Impact, RedeemedBy
from assent.core.breaker_rules import Sign
from assent.core.breakers import AGENTS_TO_CLOSE
from assent.core.decisions import Answer, Effect
from assent.core.operators import PERMISSION_SETS, Assurance, Permission
from assent.core.refusals import REFUSALS
from assent.policy.bounds import MAX_ALTERNATIVES, MAX_OPERANDS
from assent.policy.breakers import MAX_LIMIT, MAX_PROBES, MAX_RULES, Mode
from assent.policy.catalogue import ARGV
from assent.policy.fields import MAX_TEXT
from assent.policy.files import SCHEMAS
from assent.policy.people import Identity
from assent.policy.predicates import MAX_EXPRESSION
from assent.policy.routes import MAX_STEPS
from assent.policy.schema import Case, Kind

Schema = dict[str, Any]

_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"
_TOOL: Final = r"^(?=.{1,100}$)[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*$"
_TOOLS: Final = r"^[A-Za-z0-9_*-]+(\.[A-Za-z0-9_*-]+)*$"
_MOMENT: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2}))?$"
_DURATION: Final = r"^[0-9]{1,6}[smhd]$"
_ARGUMENT: Final = r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$"
_SCALARS: Final = ("string", "number", "boolean")


def written() -> dict[str, bytes]:
    """Return every schema as a file of a policy directory, by its path there."""
    return {
        f"{SCHEMAS}/{name}.json": (json.dumps(schema, indent=1, ensure_ascii=False) + "\n").encode()
        for name, schema in schemas().items()
    }


def schemas() -> dict[str, Schema]:
    """Return the schema of every kind of file, by its name."""
    return {
        "tools": _file("Tools: what each is and what its arguments mean", _map(_tool(), _TOOL), _arguments()),
        "roles": _file("Roles: what their agents may do, must ask for, must never do", _map(_role()), _predicates()),
        "agents": _file("Agents: who may ask", _map(_agent())),
        "operators": _file("Operators: the people", _map(_operator())),
        "routes": _file("Routes: who answers when a human is asked", _map(_route()) | {"required": ["default"]}),
        "environments": _file("Environments: where things happen", _map(_environment_mark())),
        "breakers": _file("Breakers: what counts, over which scope, and what is too much", _breakers()),
        "tests": _file("Cases: questions and the decisions they must get", _list_of(_case())),
    }


def _file(title: str, schema: Schema, definitions: Schema | None = None) -> Schema:
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": title}
    return {**head, **schema, **({"definitions": definitions} if definitions else {})}


def _arguments() -> Schema:
    return {"argument": _argument(), **{f"{kind.value}Argument": _argument_of(kind) for kind in Kind}}


def _predicates() -> Schema:
    return {"predicate": _predicate(nested=True), "itemPredicate": _predicate(nested=False)}


# --- words of all files ---


def _object(
    properties: Mapping[str, Schema], *required: str, about: str = "", more: Mapping[str, Any] | None = None
) -> Schema:
    found: Schema = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    if required:
        found["required"] = list(required)
    return {**found, **(more or {}), **({"description": about} if about else {})}


def _map(values: Schema, names: str = _NAME) -> Schema:
    return {"type": "object", "propertyNames": {"pattern": names}, "additionalProperties": values}


def _list_of(items: Schema, **more: Any) -> Schema:  # noqa: ANN401  # members of a schema
    return {"type": "array", "items": items, **more}


def _text(about: str = "", *, longest: int = MAX_TEXT) -> Schema:
    return _said({"type": "string", "pattern": r"\S", "maxLength": longest}, about)


def _name(about: str = "") -> Schema:
    return _said({"type": "string", "pattern": _NAME}, about)


def _one_of(kind: type[Enum] | Collection[str], about: str = "") -> Schema:
    words = [member.value for member in kind] if isinstance(kind, type) else list(kind)
    return _said({"type": "string", "enum": words}, about)


def _flag(about: str) -> Schema:
    return _said({"type": "boolean"}, about)


def _moment(about: str) -> Schema:
    return _said({"type": "string", "pattern": _MOMENT}, f"{about}; a date means its first moment in UTC")


def _duration(about: str) -> Schema:
    return _said({"type": "string", "pattern": _DURATION}, f"{about}: from 10s to 30d, such as 15m")


def _names(about: str) -> Schema:
    return _said(_list_of(_name(), uniqueItems=True), about)


def _said(schema: Schema, about: str) -> Schema:
    return {**schema, "description": about} if about else schema


# --- tools ---


def _tool() -> Schema:
    words = {"how_bad": "what it changes, for whoever is asked; may hold {argument}", "undo": "how to take it back"}
    return _object(
        {
            "description": _text("what the tool does, in a few words"),
            "impact": _one_of(Impact, "read, write, or destructive: what it does to the world"),
            "resource": _text("what it acts on, as a path; `{argument}` fills one segment"),
            "environment": _environment(),
            "arguments": _said(
                {
                    "type": "object",
                    "propertyNames": {"pattern": _ARGUMENT},
                    "additionalProperties": {"$ref": "#/definitions/argument"},
                },
                "what it takes, exactly: an unknown or missing argument is refused",
            ),
            "sensitive": _names("arguments whose values reach no list, log or card"),
            **{name: _text(about) for name, about in words.items()},
            "redeemed_by": _one_of(RedeemedBy, "who redeems the grant: the agent, or the tool's own service"),
            "resource_is_public": _flag("whether the resource may stand in public records"),
            "command": _said(
                {"oneOf": [_list_of(_text(), minItems=1), {"const": ARGV}]},
                "the argument vector that `assent action run` executes; `argv`: the argument of that name is it",
            ),
            "diff": _diff(),
            "read_because": _text("why a tool that takes a command, query, URL or body only reads"),
        },
        "description", "impact", "resource", "environment", "arguments",
        more={
            "if": {"properties": {"impact": {"const": Impact.READ.value}}},
            "then": {},
            "else": {"required": ["how_bad", "undo"], "properties": {"read_because": False}},
        },
    )  # fmt: skip


def _diff() -> Schema:
    argument = {"type": "string", "pattern": _ARGUMENT}
    sides = {name: _said(argument, f"the argument that holds the text {name}") for name in ("before", "after")}
    patch = _said(argument, "the argument that holds a unified diff")
    about = "which arguments people read as a diff at the console: two texts, or a patch"
    return _said({"oneOf": [_object(sides, *sides), _object({"patch": patch}, "patch")]}, about)


def _environment() -> Schema:
    table = {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {"anyOf": [_name(), _list_of(_text(), uniqueItems=True)]},
        "description": "`value: environment`, or `environment: [value, …]`",
    }
    lookup = _object(
        {
            "from": _text("the argument that tells the environment"),
            "segment": {"type": "integer", "minimum": 0, "description": "which segment of a path, from 0"},
            "match": table,
            "unsafe_pattern": _text("why a tool that changes something finds its environment by a pattern"),
        },
        "from", "match",
    )  # fmt: skip
    return {"anyOf": [_name("one environment, whatever the arguments"), lookup]}


def _argument() -> Schema:
    scalars = [kind.value for kind in Kind if kind not in {Kind.LIST, Kind.OBJECT}]
    cases = [
        {
            "if": {"type": "object", "required": ["type"], "properties": {"type": {"const": kind.value}}},
            "then": {"$ref": f"#/definitions/{kind.value}Argument"},
        }
        for kind in Kind
    ]
    whole: Schema = {"type": "object", "required": ["type"], "properties": {"type": _one_of(Kind)}}
    return {"anyOf": [{"type": "string", "enum": scalars}, whole], "allOf": cases}


def _argument_of(kind: Kind) -> Schema:
    properties: dict[str, Schema] = {
        "type": {"const": kind.value},
        "optional": _flag("may be left out"),
        "nullable": _flag("may be null"),
        "opaque": {"const": False},
    }
    if kind in {Kind.STRING, Kind.LIST}:
        properties["max_length"] = {"type": "integer", "minimum": 0, "description": "characters, or items"}
    more, required = _of_kind(kind)
    found = _object({**properties, **more}, "type", *required)
    if kind is Kind.STRING:
        found["if"] = {"required": ["opaque"], "properties": {"opaque": {"const": True}}}
        found["then"] = {"required": ["max_length"]}
    return found


def _of_kind(kind: Kind) -> tuple[dict[str, Schema], tuple[str, ...]]:
    """Return what an argument of one type may say besides, and what it must."""
    if kind is Kind.STRING:
        return {
            "enum": _list_of({"type": "string"}, minItems=1),
            "path": _flag("may hold several segments"),
            "unicode": _flag("may hold other characters than ASCII"),
            "case": _one_of(Case, "`lower` where the system behind folds case"),
            "opaque": _flag("cannot change what happens, so it is approved without being seen; must be sensitive"),
        }, ()
    if kind is Kind.LIST:
        return {"of": {"$ref": "#/definitions/argument"}}, ("of",)
    if kind is Kind.OBJECT:
        inner = {
            "type": "object",
            "propertyNames": {"pattern": _ARGUMENT},
            "additionalProperties": {"$ref": "#/definitions/argument"},
        }
        return {"fields": inner}, ("fields",)
    if kind is Kind.BOOLEAN:
        return {"enum": _list_of({"type": "boolean"}, minItems=1)}, ()
    bound = {"type": "number"}
    return {"enum": _list_of({"type": kind.value}, minItems=1), "min": bound, "max": bound}, ()


# --- roles ---


def _role() -> Schema:
    return _object(
        {
            "description": _text("what agents of the role do"),
            "owner": _name("the operator who keeps the role"),
            "review_by": _moment("when somebody should look at it again"),
            "rules": _list_of(_rule()),
        },
        "description", "owner", "rules",
    )  # fmt: skip


def _rule() -> Schema:
    standing = _object(
        {
            "reason": _text("why no human is asked in production"),
            "until": _moment("the first moment without it"),
            "approved_by": _name("the operator who agreed"),
        },
        "reason", "until", "approved_by",
        about="an open, dated exception from the production floor",
    )  # fmt: skip
    some: Schema = {"minItems": 1, "maxItems": MAX_ALTERNATIVES, "uniqueItems": True}
    return _object(
        {
            "id": _name("its name in decisions and records; no other rule has it"),
            "tools": _said(
                _list_of({"type": "string", "pattern": _TOOLS}, **some),
                "names or patterns: `*` within a segment, `**` across",
            ),
            "environments": _said(_list_of(_text(), **some), "names, or `*` alone for all"),
            "resources": _said(_list_of(_text(), **some), "patterns of paths: `*` within a segment, `**` across"),
            "effect": _one_of(Effect, "deny beats require_approval beats allow beats nothing, which denies"),
            "route": _name("whom require_approval asks; without one `default`"),
            "when": _when(),
            "standing": standing,
            "until": _moment("when it ends; an expired deny still denies"),
            "reason": _text("why, for operators; agents never see it"),
            "description": _text("what it is for"),
        },
        "id", "tools", "environments", "effect",
        more={
            "allOf": [
                _only(Effect.REQUIRE_APPROVAL, "route"),
                _only(Effect.ALLOW, "standing"),
            ]
        },
    )  # fmt: skip


def _only(effect: Effect, field: str) -> Schema:
    """Return what lets a field stand with one effect alone."""
    is_it = {"properties": {"effect": {"const": effect.value}}, "required": ["effect"]}
    return {"if": is_it, "then": {}, "else": {"properties": {field: False}}}


def _when() -> Schema:
    return {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": _any_of("predicate"),
        "description": "by argument: a predicate all of which must hold, or a list any of which must",
    }


def _any_of(definition: str) -> Schema:
    one = {"$ref": f"#/definitions/{definition}"}
    return {"anyOf": [one, _list_of(one, minItems=1, maxItems=MAX_ALTERNATIVES)]}


def _predicate(*, nested: bool) -> Schema:
    value = {"type": list(_SCALARS)}
    length = _object(
        {"min": {"type": "integer", "minimum": 0}, "max": {"type": "integer", "minimum": 0}}, more={"minProperties": 1}
    )
    properties: dict[str, Schema] = {
        "equals": _said(value, "is this value"),
        "in": _said(_list_of(value, minItems=1, maxItems=MAX_OPERANDS), "is one of these"),
        "not_in": _said(_list_of(value, minItems=1, maxItems=MAX_OPERANDS), "is none of these"),
        "min": _said({"type": "number"}, "at least"),
        "max": _said({"type": "number"}, "at most"),
        "prefix": _text("begins so"),
        "under": _text("a path that is this one or below it"),
        "domain": _text("a host or address at this domain or below it, in lower case"),
        "length": _said(length, "characters or items"),
        "matches": _text("an RE2 expression against the whole text", longest=MAX_EXPRESSION),
        "present": _said({"const": True}, "there is a value"),
        "absent": _said({"const": True}, "there is none; null counts as none"),
    }
    if nested:
        properties["each"] = _said(_any_of("itemPredicate"), "every item of the list; an empty list passes")
    return _object(properties, more={"minProperties": 1})


# --- people, routes, places, cases ---


def _agent() -> Schema:
    return _object(
        {
            "owner": _name("the one operator who answers for it; never approves"),
            "roles": _said(_list_of(_name(), uniqueItems=True, minItems=1), "its roles"),
            "expires": _moment("when it may ask no more"),
            "interactive": _flag("acts for a person, and must name them"),
            "identity": _one_of(Identity, "how it proves who it is"),
            "cut_off": _text("how its own credentials outside the broker are revoked"),
            "description": _text("what it does"),
        },
        "owner", "roles", "expires",
    )  # fmt: skip


def _operator() -> Schema:
    grantable = [*PERMISSION_SETS, *(permission.value for permission in Permission)]
    may = _list_of(_one_of(grantable), uniqueItems=True)
    return _object(
        {
            "groups": _names("groups, the primary one first"),
            "may": _said(may, "permissions, or sets of them"),
            "away": _flag("not asked for now"),
            "single_person": _object(
                {"reason": _text("why"), "until": _moment("the first moment without it")},
                "reason", "until",
                about="the open exception: may approve what their own agents ask",
            ),
            "slack": _object({"team": _name(), "user": _name()}, "team", "user"),
            "oidc": _object({"subject": _text()}, "subject"),
            "email": _text("where to write to them; nobody is recognised by it"),
        }
    )  # fmt: skip


def _route() -> Schema:
    need = _object({"any": {"type": "integer", "minimum": 1}, "of": _name("a group")}, "any", "of")
    after = {"anyOf": [{"enum": ["0s", "0m"]}, _duration("so long after the question")]}
    step = _object({"after": after, "tell": _list_of(_text(), uniqueItems=True)}, "tell")
    return _object(
        {
            "needs": _said(_list_of(need, minItems=1), "how many different people of which groups"),
            "assurance": _one_of([one.name.lower() for one in Assurance], "how sure we must be who answered"),
            "expires_after": _duration("how long a question stays open"),
            "pick_up_within": _duration("how long a yes waits to be picked up"),
            "cool_off": _duration("how long a no holds before the same is asked again"),
            "agent_gone_after": _duration("nobody is asked any more when an agent that waits was not seen for so long"),
            "steps": _said(_list_of(step, minItems=1, maxItems=MAX_STEPS), "who is told when"),
        },
        "needs",
    )


def _environment_mark() -> Schema:
    return _object({"nonproduction": _flag("whether changes here need no human by themselves")})


def _breakers() -> Schema:
    timing = {
        "minimum_calls": _count("outcomes before a rate says anything"),
        "wait_in_open": _span("how long nothing passes before probes may", "1s", "1d"),
        "probes": _count("actions that are let through to see", AGENTS_TO_CLOSE, MAX_PROBES),
    }
    rule = _object(
        {
            "id": _name("its name in trips, alerts and records; no other rule has it"),
            "scope": _breaker_scope(),
            "trip_on": _trip_on(),
            "mode": _one_of(Mode, "`watch` tells and stops nothing"),
            **timing,
        },
        "id", "scope", "trip_on",
    )  # fmt: skip
    usual = {**timing, "sliding_window": _span("how far back a rule without `window` looks", "10s", "1d")}
    return _object(
        {
            "defaults": _object(usual, about="for rules that say nothing else"),
            "rules": _list_of(rule, maxItems=MAX_RULES),
        },
        "rules",
    )


def _breaker_scope() -> Schema:
    return _object(
        {
            "agent": _text("an agent, or `*`: each agent by itself"),
            "tool": _text("a tool, a pattern of tools, or `*`: each tool by itself"),
            "environment": _text("an environment, or `*`: each by itself"),
        },
        about="what trips",
    )


def _trip_on() -> Schema:
    rate = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
    slow = _object({"over": _span("at least so long", "1s", "1d"), "rate": rate}, "over", "rate")
    alone: Schema = {"properties": {"definition_changed": True, "window": True}, "additionalProperties": False}
    said = {sign.value: _count(f"so many {sign.value.replace('_', ' ')} within the window") for sign in Sign}
    conditions = {
        **said,
        "failure_rate": _said(rate, "this share of outcomes failed"),
        "slow_rate": _said(slow, "this share of runs took too long"),
        "sum_of": _text("the numeric argument whose sizes are added up"),
        "over": {"type": "number", "minimum": 0, "description": "what they may come to within the window"},
        "definition_changed": _said({"const": True}, "the tool's entry in the catalogue became another"),
    }
    return _object(
        {**conditions, "window": _span("how far back it looks", "10s", "1d; a budget up to 30d")},
        about="what is too much",
        more={
            "anyOf": [{"required": [one]} for one in conditions],
            "dependencies": {"sum_of": ["over"], "over": ["sum_of"]},
            "if": {"required": ["definition_changed"]},
            "then": alone,
        },
    )


def _count(about: str, least: int = 1, most: int = MAX_LIMIT) -> Schema:
    return _said({"type": "integer", "minimum": least, "maximum": most}, about)


def _span(about: str, shortest: str, longest: str) -> Schema:
    return _said({"type": "string", "pattern": _DURATION}, f"{about}: from {shortest} to {longest}")


def _case() -> Schema:
    expect = _object(
        {
            "decision": _one_of(Answer),
            "rules": _names("exactly the rules that match"),
            "route": _name("the route that is asked"),
            "routes": _names("the routes that are asked, where there are several"),
            "reason": _one_of(sorted(REFUSALS), "why it is denied"),
        },
        "decision",
        more={"not": {"required": ["route", "routes"]}},
    )
    return _object(
        {
            "name": _text("what must hold, as a sentence"),
            "agent": _text("who asks"),
            "tool": _text("for which tool"),
            "arguments": {"type": "object"},
            "expect": expect,
            "on_behalf_of": _said(_list_of(_text(), uniqueItems=True), "`operator:ID` or `agent:ID`"),
            "now": _moment("when, where a date matters"),
        },
        "name", "agent", "tool", "arguments", "expect",
    )  # fmt: skip
