"""Operators read the policy that serves: its version, what waits, what it makes of a question, its document."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from assent.core.canonical import Json
from assent.core.decisions import Answer
from assent.core.errors import Forbidden, NotFound, Unauthenticated
from assent.core.explanations import Asking, DocumentFormat
from assent.core.privileges import Activation, Direction
from assent.flows.authenticate import TokenCaller
from assent.flows.read_policy import explain_question, read_document, show_policy
from tests.flows.policy_town import Town, with_admin
from tests.policy.directory import write
from tests.policy.edits import NARROWS, WIDENS

MORE, LESS = with_admin(WIDENS[5]), with_admin(NARROWS[5])
IN_PRODUCTION: dict[str, Json] = {"cluster": "prod-eu", "namespace": "payments", "deployment": "d", "replicas": 3}
SCALE = Asking(agent="bot", tool="k8s.scale", arguments=IN_PRODUCTION)


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    made = Town(tmp_path, Activation.CONFIRM)
    await made.start()
    yield made
    await made.close()


async def document(
    town: Town, caller: TokenCaller, kind: DocumentFormat = DocumentFormat.MARKDOWN, agent: str | None = None
) -> str:
    version, text = await read_document(town.broker, caller, kind, agent=agent, role=None)
    assert version == town.holder.current.version
    return text


async def test_what_serves_is_what_lies_there_and_nothing_waits(town: Town) -> None:
    serving = await show_policy(town.broker, await town.operator())
    assert (serving.policy, serving.activation) == (town.holder.current, Activation.CONFIRM)
    assert (serving.files_version, serving.waiting, serving.changes) == (serving.policy.version, None, ())


@pytest.mark.requirement("T23")
async def test_what_waits_is_shown_with_what_it_would_change(town: Town) -> None:
    taken = await town.take_up(MORE)
    serving = await show_policy(town.broker, await town.operator())
    assert serving.waiting is not None
    assert (serving.waiting.version, serving.files_version) == (taken.version, taken.version)
    assert serving.policy.version != taken.version
    assert [change.direction for change in serving.changes] == [Direction.WIDENS]


async def test_files_that_were_not_read_yet_or_cannot_be_are_seen(town: Town) -> None:
    ada = await town.operator()
    write(town.directory, LESS)
    changed = await show_policy(town.broker, ada)
    assert changed.files_version not in {None, changed.policy.version}
    (town.directory / "agents.yaml").unlink()
    town.directory.rename(town.directory.parent / "gone")
    assert (await show_policy(town.broker, ada)).files_version is None


async def test_a_question_is_explained_by_the_version_that_serves(town: Town) -> None:
    explained = await explain_question(town.broker, await town.operator(), SCALE)
    found = explained.explanation
    assert (found.decision, found.policy_version) == (Answer.PENDING, town.holder.current.version)
    assert [rule.id for rule in found.matched] == ["scale-prod"]
    assert explained.files_version == found.policy_version
    no = replace(SCALE, arguments={**IN_PRODUCTION, "replicas": 0})
    write(town.directory, LESS)
    denied = await explain_question(town.broker, await town.operator(), no)
    assert denied.explanation.decision is Answer.DENY
    assert denied.files_version != denied.explanation.policy_version == town.holder.current.version


async def test_explaining_asks_nobody_and_records_nothing(town: Town) -> None:
    ada = await town.operator()
    before = await town.world.kinds()
    await explain_question(town.broker, ada, SCALE)
    assert await town.world.kinds() == before


async def test_the_document_is_whole_or_of_one_agent(town: Town) -> None:
    ada = await town.operator()
    whole, one = await document(town, ada), await document(town, ada, agent="viewer")
    assert "scale-prod" in whole
    assert "scale-prod" not in one
    assert "reader-read" in one
    assert await document(town, ada, DocumentFormat.CASBIN) != whole
    with pytest.raises(NotFound):
        await document(town, ada, agent="nobody")


async def every_way(town: Town, caller: TokenCaller, error: type[Exception]) -> None:
    """Hold that `caller` is refused with `error` on each way to the policy."""
    with pytest.raises(error):
        await show_policy(town.broker, caller)
    with pytest.raises(error):
        await explain_question(town.broker, caller, SCALE)
    with pytest.raises(error):
        await document(town, caller)


@pytest.mark.requirement("P1")
async def test_who_may_not_read_approvals_reads_no_policy(town: Town) -> None:
    await every_way(town, await town.operator("dana"), Forbidden)


async def test_an_expired_token_reads_no_policy(town: Town) -> None:
    ada = await town.operator()
    town.world.clock.forward(days=91)
    await every_way(town, ada, Unauthenticated)


async def test_a_broker_without_policy_files_says_so(town: Town) -> None:
    ada = await town.operator()
    town.broker = replace(town.broker, policies=None)
    await every_way(town, ada, NotFound)
