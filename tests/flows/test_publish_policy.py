"""A version is published with who wrote, reviewed and tested it; it becomes active by the same rules as a directory."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assent.core.canonical import sha256_hex
from assent.core.errors import BadRequest, Forbidden, LedgerUnavailable, NotFound, PolicyInvalid, Stale
from assent.core.privileges import Activation
from assent.core.publications import MAX_BUNDLE_BYTES
from assent.core.telling import tell
from assent.flows.activate_policy import NotWaiting, Uptake, activate_policy, take_up_policy
from assent.flows.publish_policy import publish_policy
from assent.flows.read_policy import show_policy
from assent.ports import Gate
from tests.flows.policy_town import Town, with_admin
from tests.flows.replica_town import CASES, CHANGE, COMMIT, offer_of, published
from tests.flows.test_activate_policy import Full
from tests.policy.directory import write
from tests.policy.edits import NARROWS, WIDENS

pytestmark = pytest.mark.requirement("T23", "P2")

MORE, LESS = with_admin(WIDENS[5]), with_admin(NARROWS[5])


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    made = Town(tmp_path)
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def careful(tmp_path: Path) -> AsyncIterator[Town]:
    (tmp_path / "careful").mkdir()
    made = Town(tmp_path / "careful", Activation.CONFIRM)
    await made.start()
    yield made
    await made.close()


async def test_the_record_says_where_to_look_who_wrote_it_who_reviewed_it_and_what_its_tests_came_to(
    town: Town,
) -> None:
    ada = await town.operator()
    offer = offer_of(write(town.directory, MORE))
    taken = await publish_policy(town.broker, ada, offer)
    (record,) = await town.records("policy.published")
    detail = record["detail"]
    assert (record["operator"], record["policy"]) == ("ada", taken.version)
    assert (detail["commit"], detail["change_url"]) == (COMMIT, CHANGE)
    assert (detail["author"], detail["reviewer"]) == ("gus", "eve")
    assert detail["tests"]["digest"] == sha256_hex(offer.tests.encode())
    assert (detail["tests"]["cases"], detail["tests"]["failed"]) == (1, 0)
    assert detail["bytes"] == sum(map(len, offer.files.values()))
    assert "written by gus, reviewed by eve" in tell(record)
    activated = (await town.records("policy.activated"))[-1]
    assert activated["detail"]["review"]["record"] == record["id"]
    assert activated["detail"]["widens"]
    assert "reviewed by eve and tested" in tell(activated)
    first = (await town.records("policy.activated"))[0]
    assert "nobody said that it was reviewed" in tell(first)


async def test_what_a_directory_brought_is_visible_as_reviewed_by_nobody_until_it_is_published(town: Town) -> None:
    ada = await town.operator()
    await town.take_up({"tests/deployer.yaml": CASES})
    before = await show_policy(town.broker, ada)
    assert (before.published, before.active and before.active.version) == (None, before.policy.version)
    taken = await published(town.broker, ada, town.directory)
    assert (taken.uptake, taken.version, taken.changes) == (Uptake.ACTIVATED, before.policy.version, ())
    after = await show_policy(town.broker, ada)
    assert after.published is not None
    assert after.published.review.commit == COMMIT
    again = await published(town.broker, ada, town.directory)
    assert (again.uptake, len(await town.records("policy.published"))) == (Uptake.UNCHANGED, 1)


async def test_a_published_version_that_widens_waits_to_be_confirmed(careful: Town) -> None:
    ada = await careful.operator()
    taken = await published(careful.broker, ada, write(careful.directory, MORE))
    assert (taken.uptake, taken.publication and taken.publication.version) == (Uptake.WAITING, taken.version)
    assert len(await careful.records("policy.proposed")) == 1
    shown = await show_policy(careful.broker, ada)
    assert (shown.published, shown.published_waiting and shown.published_waiting.version) == (None, taken.version)
    with pytest.raises(NotWaiting):
        await activate_policy(careful.broker, ada, "f" * 64)
    assert (await activate_policy(careful.broker, ada, taken.version)).uptake is Uptake.ACTIVATED
    assert (await show_policy(careful.broker, ada)).published_waiting is None


async def test_a_published_version_that_narrows_is_active_at_once(careful: Town) -> None:
    ada = await careful.operator()
    assert (await published(careful.broker, ada, write(careful.directory, LESS))).uptake is Uptake.ACTIVATED


async def test_a_directory_takes_the_place_of_what_waits_only_while_nothing_was_active_that_was_published(
    careful: Town,
) -> None:
    ada = await careful.operator()
    await published(careful.broker, ada, write(careful.directory, MORE))
    taken = await careful.take_up({**LESS, "tests/deployer.yaml": CASES})
    assert taken.uptake is Uptake.ACTIVATED
    with pytest.raises(NotFound):
        await activate_policy(careful.broker, ada, "f" * 64)
    await published(careful.broker, ada, careful.directory)
    write(careful.directory, {"agents.yaml": LESS["agents.yaml"] + "# a comment\n"})
    with pytest.raises(Stale):
        await take_up_policy(careful.broker, careful.holder.read_again())


UNSOUND: dict[str, tuple[dict[str, Any], str]] = {
    "a part of a commit": ({"commit": "c0ffee1"}, "commit"),
    "no commit": ({"commit": "HEAD"}, "commit"),
    "no URL": ({"change_url": "merge request 7"}, "change_url"),
    "a URL that runs something": ({"change_url": "javascript:alert(1)"}, "change_url"),
    "a URL with a password": ({"change_url": "https://gus:secret@code.example/7"}, "change_url"),
    "a URL with a line break": ({"change_url": "https://code.example/7\n8"}, "change_url"),
    "a host that is none": ({"change_url": "https://[/7"}, "change_url"),
    "nobody": ({"author": " "}, "author"),
    "a name that nobody can read": ({"reviewer": "e\u200bve"}, "reviewer"),
    "one person": ({"reviewer": "gus"}, "same person"),
    "one person in other letters": ({"reviewer": " GUS "}, "same person"),
    "no tests": ({"tests": ""}, "not what"),
    "other JSON": ({"tests": "[]"}, "not what"),
    "a number for the cases": (
        {"tests": '{"version": "a", "cases": 3, "rules": 1, "failed": 0, "unreached": []}'},
        "not what",
    ),
    "tests of another version": (
        {
            "tests": json.dumps(
                {"version": "a" * 64, "cases": [{"differs": []}], "rules": 1, "failed": 0, "unreached": []}
            )
        },
        "about version",
    ),
    "very long tests": ({"tests": " " * (1024 * 1024 + 1)}, "longer than"),
}


@pytest.mark.parametrize(("changes", "said"), UNSOUND.values(), ids=UNSOUND.keys())
async def test_what_was_not_reviewed_or_tested_is_not_published(town: Town, changes: dict[str, Any], said: str) -> None:
    ada = await town.operator()
    with pytest.raises(BadRequest) as refused:
        await published(town.broker, ada, write(town.directory, LESS), **changes)
    assert said in refused.value.message
    assert not await town.records("policy.published")


@pytest.mark.parametrize(
    "hides", [{"failed": 1}, {"cases": [{"name": "n", "differs": ["expected"]}]}, {"cases": []}], ids=str
)
async def test_a_case_that_came_to_something_else_or_none_at_all_keeps_a_version_out(
    town: Town, hides: dict[str, Any]
) -> None:
    ada = await town.operator()
    offer = offer_of(write(town.directory, LESS))
    tests = json.dumps(json.loads(offer.tests) | hides)
    with pytest.raises(BadRequest):
        await publish_policy(town.broker, ada, replace(offer, tests=tests))
    assert not await town.records("policy.published")


async def test_files_that_a_directory_could_not_hold_are_refused_on_record(town: Town) -> None:
    ada = await town.operator()
    offer = offer_of(write(town.directory, LESS))
    odd = {
        "../agents.yaml": b"",
        "secrets/key.pem": b"",
        "tools/.hidden.yaml": b"",
        "release.note": b"",
        "tools/a/b.yaml": b"",
    }
    for name, content in odd.items():
        with pytest.raises(PolicyInvalid) as refused:
            await publish_policy(town.broker, ada, replace(offer, files={**offer.files, name: content}))
        assert name in refused.value.findings[0]
    missing = {name: content for name, content in offer.files.items() if name != "routes.yaml"}
    with pytest.raises(PolicyInvalid):
        await publish_policy(town.broker, ada, replace(offer, files=missing))
    with pytest.raises(PolicyInvalid):
        await publish_policy(town.broker, ada, replace(offer, release=b"n" * 16_385))
    records = await town.records("policy.refused")
    assert (len(records), {record["operator"] for record in records}) == (len(odd) + 2, {"ada"})
    assert not await town.records("policy.published")


async def test_a_version_that_answers_its_own_case_with_more_is_refused(town: Town) -> None:
    ada = await town.operator()
    offer = offer_of(write(town.directory, LESS))
    wider = {
        **offer.files,
        "roles/deployer.yaml": offer.files["roles/deployer.yaml"].replace(b"require_approval", b"deny"),
    }
    more = {**wider, "tests/deployer.yaml": CASES.replace("pending", "deny").encode()}
    again = {**more, "roles/deployer.yaml": offer.files["roles/deployer.yaml"]}
    with pytest.raises(PolicyInvalid):
        await publish_policy(town.broker, ada, replace(offer, files=again))


async def test_too_much_is_not_published(town: Town) -> None:
    ada = await town.operator()
    offer = offer_of(write(town.directory, LESS))
    with pytest.raises(BadRequest, match="larger than"):
        await publish_policy(
            town.broker, ada, replace(offer, files={**offer.files, "README.md": b" " * MAX_BUNDLE_BYTES})
        )


async def test_who_may_not_activate_may_not_publish(town: Town) -> None:
    fay = await town.operator("fay")
    with pytest.raises(Forbidden):
        await published(town.broker, fay, write(town.directory, LESS))


async def test_what_is_not_durable_is_neither_published_nor_active(town: Town) -> None:
    ada = await town.operator()
    before = town.holder.current.version
    full: Any = Full(town.world.ledger)
    for mode in Activation:
        broker = replace(town.broker, ledger=full, activation=mode)
        with pytest.raises(LedgerUnavailable):
            await published(broker, ada, write(town.directory, MORE))
    assert (town.holder.current.version, town.holder.waiting) == (before, None)
    assert not await town.records("policy.published")
    shown = await show_policy(town.broker, ada)
    assert (shown.active and shown.active.version, shown.published) == (before, None)


async def test_all_of_it_is_one_transaction_that_passes_alone(town: Town) -> None:
    gates: list[Gate] = []

    class Counting:
        async def transact(self, work: object, **more: Any) -> object:
            gates.append(more.get("gate", Gate.SHARED))
            return await town.world.ledger.transact(work, **more)  # type: ignore[arg-type]  # handed on as it came

        def __getattr__(self, name: str) -> object:
            return getattr(town.world.ledger, name)

    ada = await town.operator()
    await published(replace(town.broker, ledger=Counting()), ada, write(town.directory, LESS))  # type: ignore[arg-type]  # a ledger that counts
    assert gates.count(Gate.EXCLUSIVE) == 1
    kinds = [kind for kind in await town.world.kinds() if kind.startswith("policy.")]
    assert kinds[-2:] == ["policy.published", "policy.activated"]


async def test_an_older_version_comes_back_by_being_published_again(town: Town) -> None:
    ada = await town.operator()
    first = await published(town.broker, ada, write(town.directory, LESS))
    await published(town.broker, ada, write(town.directory, MORE))
    back = await published(town.broker, ada, write(town.directory, LESS), commit="d0" * 20)
    assert (back.uptake, back.version) == (Uptake.ACTIVATED, first.version)
    assert [record["detail"]["publication"] for record in await town.records("policy.published")] == [
        "pub_00000001",
        "pub_00000002",
        "pub_00000003",
    ]
