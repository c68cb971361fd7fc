"""What others have stored, signed or agreed on keeps its form: names, digests, claims, leaves, limits.

A value that changes here makes old rows, old records or other people's code mean something else.
"""

import importlib
import json
import pkgutil
from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from typing import Any

import pytest

import assent.core
from assent.core import approvals, breakers, canonical, credentials, operators, records
from assent.core.actions import ENDED, MOVES, ActionState, attempt_of, content_of
from assent.core.approvals import Need, Route
from assent.core.canonical import commitment_of
from assent.core.credentials import PREFIXES, Kind
from assent.core.decisions import Limits, Load
from assent.core.grants import TOKEN_TYPE, GrantId, claims, issue
from assent.core.operators import PERMISSION_SETS, Assurance, Permission
from assent.core.records import Entry, RecordId, RecordKind, record
from tests.core.samples import NOW, an_action


def stored_names() -> Iterator[type[StrEnum]]:
    for found in pkgutil.iter_modules(assent.core.__path__):
        module = importlib.import_module(f"assent.core.{found.name}")
        for one in vars(module).values():
            if isinstance(one, type) and issubclass(one, StrEnum) and one.__module__ == module.__name__:
                yield one


@pytest.mark.parametrize("names", sorted(set(stored_names()), key=str), ids=str)
def test_what_stands_for_a_name_in_the_ledger_is_that_name(names: type[StrEnum]) -> None:
    has_subject = names in {RecordKind, Permission}
    for member in names:
        name = member.name.lower()
        assert member.value == (name.replace("_", ".", 1) if has_subject else name)


def test_assurance_grows_from_a_token_to_a_step_up() -> None:
    assert [(one.name, one.value) for one in Assurance] == [
        ("TOKEN", 1),
        ("SLACK", 2),
        ("LINKED", 3),
        ("CONSOLE", 4),
        ("STEP_UP", 5),
    ]


def test_sets_of_permissions_are_what_the_documentation_says() -> None:
    named = {name: {permission.value for permission in permitted} for name, permitted in PERMISSION_SETS.items()}
    assert named == {
        "approver": {"approvals.read", "approvals.decide", "breakers.trip"},
        "operator": {"approvals.read", "breakers.trip", "breakers.reset", "agents.manage", "audit.read"},
        "security_admin": {permission.value for permission in Permission},
        "auditor": {"approvals.read", "audit.read"},
    }
    assert operators.SECURITY_ADMIN == "security_admin"


def test_a_token_of_each_kind_begins_in_its_own_way() -> None:
    assert PREFIXES == {Kind.AGENT: "asn_", Kind.SERVICE: "ass_", Kind.OPERATOR: "aso_"}


@pytest.mark.requirement("P3")
def test_digests_that_stand_in_old_ledgers_come_out_the_same() -> None:
    content = content_of(agent="bot", tool="k8s.scale", arguments=b'{"replicas":5}', on_behalf_of=("operator:dana",))
    assert content.hex() == "49abfed50a295ed4f0f0b616096ac906760d01347c8b52bf696a8b54b824f84d"
    assert attempt_of("secret").hex() == "29326f68a6b8a71daf0af2f857fe8762783380493bc8c12342ccd6cff4038b59"
    assert an_action().digest == "4ae9f04c5136b89499be593eb2ef7d7b621e4cd446e7aaa00fc5848425211a2b"
    committed = commitment_of("arguments", bytes(32), b'{"a":1}')
    assert committed == "ca85792c31ba671093e58e3fd3a2d1fca70a2313b11b343c56a24b5b26d4a594"


@pytest.mark.requirement("P3")
def test_a_grant_is_signed_with_these_claims() -> None:
    action = an_action(policy_version="v7")
    grant = issue(action, new_id=GrantId("grt_1"), now=NOW, expires_at=NOW + timedelta(minutes=5))
    assert TOKEN_TYPE == "assent-grant+jwt"
    assert claims(grant, action, issuer="https://broker") == {
        "iss": "https://broker",
        "aud": "k8s.scale",
        "sub": "bot",
        "jti": "grt_1",
        "iat": 1_795_428_000,
        "nbf": 1_795_428_000,
        "exp": 1_795_428_300,
        "act": action.digest,
        "nonce": bytes(range(32)).hex(),
        "args": "3cac694ce807947f7f2eec8e7d82b199484d459705d461d416fd0dbbcae09991",
        "res": "prod-eu/payments/deployments/api",
        "env": "production",
        "pol": "v7",
    }


@pytest.mark.requirement("P9")
def test_a_record_that_names_everything_has_this_leaf() -> None:
    named: dict[str, Any] = {
        "agent": "bot",
        "operator": "eve",
        "tool": "k8s.scale",
        "environment": "production",
        "decision": "allow",
        "policy": "v7",
        "action": "act_1",
        "digest": "d",
        "approval": "apr_1",
        "grant": "grt_1",
        "breaker": "brk_1",
    }
    entry = Entry(
        kind=RecordKind.ACTION_DECIDED,
        reasons=("no_rule",),
        rules=("r1", "r2"),
        detail={"state": "ready"},
        payload={"arguments": b"{}"},
        **named,
    )
    made = record(entry, new_id=RecordId("rec_1"), now=NOW, salts=(bytes(32),))
    assert json.loads(made.leaf) == {
        "v": 1,
        "id": "rec_1",
        "time": "2026-11-23T10:00:00.000000Z",
        "kind": "action.decided",
        "reasons": ["no_rule"],
        "rules": ["r1", "r2"],
        "detail": {"state": "ready"},
        "commit": {"arguments": commitment_of("arguments", bytes(32), b"{}")},
        **named,
    }
    assert (made.id, made.time, made.index) == ("rec_1", NOW, None)
    assert made.disclosed == {"arguments": (bytes(32), b"{}")}


def test_what_a_record_does_not_say_is_not_in_its_leaf() -> None:
    made = record(Entry(kind=RecordKind.BROKER_STOPPED), new_id=RecordId("rec_1"), now=NOW, salts=())
    assert set(json.loads(made.leaf)) == {"v", "id", "time", "kind"}


def test_limits_and_waits_are_those_that_are_documented() -> None:
    assert Limits() == Limits(
        open_per_agent=5, open_per_run=2, open_per_route=20, ready_per_agent=100, asks_per_agent_per_hour=20
    )
    assert Load() == Load(
        open_for_agent=0,
        open_for_run=0,
        open_for_fullest_route=0,
        ready_for_agent=0,
        asked_for_agent_in_last_hour=0,
    )
    route = Route(name="r", needs=(Need(count=1, of="g"),))
    assert (route.expires_after, route.pick_up_within) == (timedelta(minutes=15), timedelta(minutes=30))
    assert route.assurance is Assurance.SLACK
    assert timedelta(hours=24) == approvals.NEW_TOKEN_FROM_OWNER_WAITS
    assert timedelta(minutes=15) == breakers.SECOND_PERSON_WITHIN
    assert timedelta(days=90) == credentials.OPERATOR_TOKEN_MAX_AGE
    assert (approvals.MIN_DIGEST_PREFIX, records.MAX_LEAF_BYTES, records.SALT_BYTES) == (8, 65_535, 32)
    assert canonical.SALT_BYTES == 32


@pytest.mark.requirement("T18")
def test_only_unknown_leads_on_from_an_end_and_only_to_knowing() -> None:
    ended = {(state.value, event.value): after.value for (state, event), after in MOVES.items() if state in ENDED}
    assert ended == {("unknown", "succeed"): "succeeded", ("unknown", "fail"): "failed"}
    assert set(ActionState) - ENDED == {ActionState.PENDING, ActionState.READY, ActionState.EXECUTING}
