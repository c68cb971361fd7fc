"""What others have stored, signed or agreed on keeps its form: names, digests, claims, leaves, limits.

A value that changes here makes old rows, old records or other people's code mean something else.
"""

import dataclasses
import importlib
import json
import pkgutil
from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any

import pytest

import assent.core
from assent.core import (
    approvals,
    canonical,
    characters,
    credentials,
    deliveries,
    errors,
    operators,
    records,
    second_person,
)
from assent.core.actions import ENDED, MOVES, ActionState, RedeemedBy, attempt_of, content_of
from assent.core.approvals import Approval, ApprovalState, Need, Route
from assent.core.canonical import commitment_of
from assent.core.credentials import PREFIXES, Kind
from assent.core.decisions import Limits, Load
from assent.core.deliveries import Delivery, DeliveryState
from assent.core.grants import TOKEN_TYPE, Grant, GrantId, GrantState, claims, issue
from assent.core.operators import PERMISSION_SETS, Assurance, Permission
from assent.core.records import Entry, RecordId, RecordKind, record
from tests.core.samples import NOW, an_action

INVISIBLE = 143_873
INVISIBLE_SHA256 = "cf2c9088eb1a52645b2112b093f89f4b72be4e2568dc653fca75a4eb837cb654"


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


def test_what_bounds_names_and_numbers_of_credentials() -> None:
    assert credentials.SERVICE_NAME.pattern == r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"
    assert timedelta(days=14) == credentials.OPERATOR_TOKEN_RENEW_BEFORE
    assert credentials.MAX_LIVE_PER_PRINCIPAL == 20


def test_a_token_of_each_kind_begins_in_its_own_way() -> None:
    assert PREFIXES == {
        Kind.AGENT: "asn_",
        Kind.SERVICE: "ass_",
        Kind.OPERATOR: "aso_",
        Kind.LINK: "asl_",
        Kind.SESSION: "asc_",
    }


CODES = {
    "AssentError": "error",
    "LedgerUnavailable": "broker_unavailable",
    "HeldNotDurable": "held_not_durable",
    "Stale": "stale",
    "Forged": "row_forged",
    "IllegalMove": "illegal_move",
    "Unauthenticated": "unauthenticated",
    "Forbidden": "forbidden",
    "NotFound": "not_found",
    "BadRequest": "bad_request",
    "RateLimited": "rate_limited",
    "IdempotencyConflict": "idempotency_conflict",
    "PolicyInvalid": "policy_error",
    "KeysInvalid": "keys_invalid",
    "ConfigInvalid": "config_invalid",
    "VerificationFailed": "verification_failed",
    "ForeignAwait": "foreign_await",
    "DeliveryFault": "delivery_failed",
}


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_an_error_has_the_code_that_others_branch_on(name: str, code: str) -> None:
    assert getattr(deliveries if name == "DeliveryFault" else errors, name).code == code


def test_an_error_says_to_whoever_prints_it_what_it_says_to_a_person() -> None:
    told = (
        errors.AssentError("no", hint="next"),
        errors.RateLimited("no", retry_after_seconds=3, hint="next"),
        errors.PolicyInvalid("no", findings=("f",), hint="next"),
        errors.VerificationFailed("no", index=7, hint="next"),
    )
    assert [(str(one), one.message, one.hint) for one in told] == [("no", "no", "next")] * 4


def classes() -> Iterator[type]:
    for found in pkgutil.iter_modules(assent.core.__path__):
        module = importlib.import_module(f"assent.core.{found.name}")
        for one in vars(module).values():
            if isinstance(one, type) and dataclasses.is_dataclass(one) and one.__module__ == module.__name__:
                yield one


# What is not empty although nobody gave it.
GIVEN = {
    "revision": 1,
    "redeemed_by": RedeemedBy.AGENT,
    "assurance of Route": Assurance.SLACK,
    "assurance of FirstAsk": Assurance.TOKEN,
    "moved": True,
    "asks_the_same": True,
    "expires_after": timedelta(minutes=15),
    "pick_up_within": timedelta(minutes=30),
    "cool_off": timedelta(minutes=30),
    "width": 256,
    "window": timedelta(minutes=5),
    "minimum_calls": 5,
    "wait_in_open": timedelta(seconds=60),
    "probes of BreakerRule": 2,
    "times": 1,
    "term": 1,
    "counters_readable": True,
    **{
        f"state of {one.__name__}": first
        for one, first in (
            (Approval, ApprovalState.PENDING),
            (Grant, GrantState.ISSUED),
            (Delivery, DeliveryState.QUEUED),
        )
    },
}


@pytest.mark.parametrize("one", sorted({one for one in classes() if one is not Limits}, key=str), ids=str)
def test_what_is_not_given_is_empty(one: type) -> None:
    for named in dataclasses.fields(one):
        if named.default is dataclasses.MISSING:
            continue
        expected = GIVEN.get(named.name, GIVEN.get(f"{named.name} of {one.__name__}"))
        assert named.default == expected if expected is not None else not named.default, named.name


def test_what_counts_as_invisible_changes_only_when_somebody_means_it() -> None:
    invisible = "".join(chr(code) for code in range(0x110000) if characters.hidden_characters(chr(code)))
    named = sha256(invisible.encode("utf-8", "surrogatepass")).hexdigest()
    assert (len(invisible), named) == (INVISIBLE, INVISIBLE_SHA256)


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
    assert timedelta(minutes=15) == second_person.SECOND_PERSON_WITHIN
    assert timedelta(days=90) == credentials.OPERATOR_TOKEN_MAX_AGE
    assert (approvals.MIN_DIGEST_PREFIX, records.MAX_LEAF_BYTES, records.SALT_BYTES) == (8, 65_535, 32)
    assert canonical.SALT_BYTES == 32


@pytest.mark.requirement("T18")
def test_only_unknown_leads_on_from_an_end_and_only_to_knowing() -> None:
    ended = {(state.value, event.value): after.value for (state, event), after in MOVES.items() if state in ENDED}
    assert ended == {("unknown", "succeed"): "succeeded", ("unknown", "fail"): "failed"}
    assert set(ActionState) - ENDED == {ActionState.PENDING, ActionState.READY, ActionState.EXECUTING}
