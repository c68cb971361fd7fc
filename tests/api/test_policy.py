"""The policy over HTTP: which version serves, what waits, explanations, documents; confirmed by who may."""

from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from assent.core.credentials import Kind
from assent.core.privileges import Activation
from assent.core.publications import MAX_OFFER_BYTES
from assent.flows import manage_principals
from assent.policy.current import PolicyHolder
from tests.api.town import Town as Api
from tests.flows.policy_town import Town, with_admin
from tests.flows.replica_town import offer_of
from tests.policy.directory import NOW, scale, write
from tests.policy.edits import WIDENS

MORE = with_admin(WIDENS[5])


class Place:
    """A careful town behind the real application."""

    def __init__(self, folder: Path) -> None:
        self.town = Town(folder, Activation.CONFIRM)
        self.town.world.broker = self.town.broker
        self.api = Api(self.town.world)

    async def token(self, name: str = "ada") -> str:
        return (await manage_principals.issue_credential(self.town.broker, Kind.OPERATOR, name, issued_by="init")).token

    async def explain(self, token: str, **changes: Any) -> Any:
        body = {"agent": "bot", "tool": "k8s.scale", "arguments": scale(), **changes}
        return await self.api.post(token, "/v1/policy/explain", body)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    made = Place(tmp_path)
    await made.town.start()
    yield made
    await made.town.close()


async def test_the_version_that_serves_is_shown_and_whether_its_files_changed(place: Place) -> None:
    token, version = await place.token(), place.town.holder.current.version
    shown = (await place.api.get(token, "/v1/policy")).json
    assert shown == {
        "version": version,
        "activation": "confirm",
        "files_version": version,
        "files_differ": False,
        "active_version": version,
        "source": "directory",
    }
    write(place.town.directory, {"agents.yaml": "# late\n" + MORE["agents.yaml"]})
    assert (await place.api.get(token, "/v1/policy")).json["files_differ"]
    (place.town.directory / "agents.yaml").chmod(0o666)
    shown = (await place.api.get(token, "/v1/policy")).json
    assert (shown.get("files_version"), shown["files_differ"]) == (None, True)


@pytest.mark.requirement("T23")
async def test_what_waits_is_shown_with_its_changes_and_confirmed_by_its_digest(place: Place) -> None:
    taken = await place.town.take_up(MORE)
    token = await place.token()
    waiting = (await place.api.get(token, "/v1/policy")).json["waiting"]
    assert waiting["version"] == taken.version
    (change,) = waiting["changes"]
    assert (change["direction"], change["about"]) == ("widens", "rule scale-stg")
    refused = await place.api.post(token, "/v1/policy/activate", {"digest": "0" * 64})
    assert (refused.status, refused.json["code"]) == (409, "digest_changed")
    heard = await place.api.post(token, "/v1/policy/activate", {"digest": taken.version[:8]})
    assert (heard.status, heard.json["uptake"], heard.json["ended"]) == (200, "activated", 0)
    assert (await place.api.get(token, "/v1/policy")).json["version"] == taken.version


@pytest.mark.requirement("T23")
async def test_who_may_not_activate_is_refused_and_so_is_an_agent(place: Place) -> None:
    taken = await place.town.take_up(MORE)
    refused = await place.api.post(await place.token("fay"), "/v1/policy/activate", {"digest": taken.version})
    assert (refused.status, refused.json["code"]) == (403, "forbidden")
    key = (await manage_principals.issue_credential(place.town.broker, Kind.AGENT, "bot", issued_by="init")).token
    for target in ("/v1/policy", "/v1/policy/document"):
        assert (await place.api.get(key, target)).status == 401
    assert (await place.api.post(key, "/v1/policy/activate", {"digest": taken.version})).status == 401
    assert (await place.explain(key)).status == 401


@pytest.mark.parametrize("digest", ["", "abc", "zzzzzzzz", "a" * 65, 5])
async def test_a_digest_that_is_none_is_refused(place: Place, digest: Any) -> None:
    heard = await place.api.post(await place.token(), "/v1/policy/activate", {"digest": digest})
    assert heard.status == 400


async def test_who_may_do_nothing_reads_no_policy(place: Place) -> None:
    token = await place.token("dana")
    assert (await place.api.get(token, "/v1/policy")).status == 403
    assert (await place.explain(token)).status == 403


async def test_a_question_is_explained_and_asks_nobody(place: Place) -> None:
    arguments = scale(cluster="prod-eu", namespace="payments")
    heard = await place.explain(await place.token("eve"), arguments=arguments)
    assert heard.status == 200
    said = heard.json
    assert (said["decision"], said["environment"], said["files_differ"]) == ("pending", "production", False)
    assert [rule["id"] for rule in said["matched"]] == ["scale-prod"]
    assert said["asked"][0]["who"] == ["eve", "fay"]
    assert said["asked"][0]["expires_after_seconds"] == 600
    assert await place.town.records("approval.asked") == []
    assert await place.town.records("action.decided") == []


async def test_a_denial_is_explained_with_what_nearly_matched(place: Place) -> None:
    said = (await place.explain(await place.token(), arguments=scale(replicas=30))).json
    assert said["reasons"] == [{"code": "no_rule", "message": "no rule allows this action"}]
    assert said["nearly"][0]["failed"] == ["`replicas` is `30`, and it must be at most `20`"]


async def test_documents_are_read_whole_by_agent_by_role_and_for_casbin(place: Place) -> None:
    token = await place.token()
    version = place.town.holder.current.version

    async def text(query: str) -> str:
        heard = await place.api.get(token, f"/v1/policy/document{query}")
        assert heard.status == 200
        assert heard.json["policy_version"] == version
        return str(heard.json["text"])

    assert f"as of {NOW:%Y-%m-%d}" in await text("")
    assert (await text("?agent=bot")).startswith("# Access policy of bot\n")
    assert (await text("?role=reader")).startswith("# Access policy of the role reader\n")
    assert "p, scale-stg, deployer, k8s.scale, staging, **, allow" in await text("?format=casbin")


@pytest.mark.parametrize("query", ["?agent=bott", "?role=readr"])
async def test_a_document_of_nobody_is_not_found_and_suggests(place: Place, query: str) -> None:
    heard = await place.api.get(await place.token(), f"/v1/policy/document{query}")
    assert heard.status == 404
    assert "did you mean" in heard.json["detail"]


async def test_a_format_that_does_not_exist_is_refused(place: Place) -> None:
    assert (await place.api.get(await place.token(), "/v1/policy/document?format=pdf")).status == 400


def sent(directory: Path, **changes: Any) -> dict[str, Any]:
    """Return the body that publishes a directory, as the command sends it."""
    offer = offer_of(directory)
    return {
        "files": {name: b64encode(content).decode() for name, content in offer.files.items()},
        "commit": offer.commit,
        "change_url": offer.change_url,
        "author": offer.author,
        "reviewer": offer.reviewer,
        "tests": offer.tests,
        **changes,
    }


@pytest.mark.requirement("T23")
async def test_a_version_is_published_waits_and_is_confirmed_with_its_review_in_view(place: Place) -> None:
    token, before = await place.token(), place.town.holder.current.version
    heard = await place.api.post(token, "/v1/policy/publish", sent(write(place.town.directory, MORE)))
    assert (heard.status, heard.json["uptake"], heard.json["serving"]) == (200, "waiting", before)
    review = heard.json["review"]
    assert (review["author"], review["reviewer"], review["cases"], review["published_by"]) == ("gus", "eve", 1, "ada")
    shown = (await place.api.get(token, "/v1/policy")).json
    assert (shown["source"], shown["waiting"]["review"]) == ("directory", review)
    version = heard.json["version"]
    assert (await place.api.post(token, "/v1/policy/activate", {"digest": version})).json["uptake"] == "activated"
    shown = (await place.api.get(token, "/v1/policy")).json
    assert (shown["source"], shown["active_version"], shown["review"]) == ("ledger", version, review)
    assert "behind" not in shown
    refused = await place.api.post(token, "/v1/policy/reload", {})
    assert (refused.status, refused.json["code"]) == (409, "illegal_move")
    assert "policy publish" in refused.json["hint"]


@pytest.mark.requirement("T23")
@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"reviewer": "gus"}, 400),
        ({"commit": "main"}, 400),
        ({"tests": "{}"}, 400),
        ({"files": {}}, 400),
        ({"files": {"agents.yaml": "not base64!"}}, 400),
        ({"release": "é"}, 400),
        ({"nothing": 1}, 400),
        ({"files": {"agents.yaml": ""}}, 422),
    ],
    ids=str,
)
async def test_what_is_not_reviewed_tested_or_sound_is_not_published(
    place: Place, changes: dict[str, Any], status: int
) -> None:
    heard = await place.api.post(
        await place.token(), "/v1/policy/publish", sent(write(place.town.directory, MORE), **changes)
    )
    assert heard.status == status
    assert not await place.town.records("policy.published")


async def test_more_than_a_policy_may_be_is_not_read(place: Place) -> None:
    body = sent(write(place.town.directory, MORE), tests=" " * MAX_OFFER_BYTES)
    heard = await place.api.post(await place.token(), "/v1/policy/publish", body)
    assert (heard.status, heard.json["code"]) == (413, "payload_too_large")


@pytest.mark.requirement("T23", "P1")
async def test_a_broker_with_another_policy_says_so_and_when_to_ask_again(place: Place, tmp_path: Path) -> None:
    key = (await manage_principals.issue_credential(place.town.broker, Kind.AGENT, "bot", issued_by="init")).token
    mine = place.town.holder.current
    await place.town.let_serve(PolicyHolder(write(tmp_path / "other", MORE), lambda: NOW).current)
    place.town.holder.serve(mine)
    asked = {"tool": "k8s.scale", "arguments": scale(), "attempt": "a" * 22}
    heard = await place.api.post(key, "/v1/actions", asked)
    assert (heard.status, heard.json["code"], heard.json["retry_after"]) == (503, "broker_unavailable", 1)
    assert "another policy" in heard.json["detail"]
    token = await place.token()
    shown = (await place.api.get(token, "/v1/policy")).json
    assert shown["active_version"] != shown["version"]
    assert "is being loaded" in shown["behind"]


@pytest.mark.requirement("T14")
async def test_who_may_publish_nothing_is_told_so_before_a_large_body_is_read(place: Place) -> None:
    heard = await place.api.post(await place.token("fay"), "/v1/policy/publish", {"files": " " * MAX_OFFER_BYTES})
    assert (heard.status, heard.json["code"]) == (403, "forbidden")
