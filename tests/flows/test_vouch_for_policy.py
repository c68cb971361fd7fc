"""A release key vouches for a version that widens: once, here, in time, and for the step that was signed."""

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from assent.core.alerts import Alert
from assent.core.errors import PolicyInvalid, Stale
from assent.core.notes import sign_note
from assent.core.privileges import Activation
from assent.core.releases import Release, sign_release
from assent.flows.activate_policy import TakenUp, Uptake, activate_policy, take_up_policy
from assent.flows.raise_alerts import begin_alerts, raise_alerts
from assent.flows.read_policy import show_policy
from assent.flows.vouch_for_policy import LOOKED_AT_ONCE, MOST_LOOKS
from assent.policy.files import RELEASE
from assent.ports import Gate, Ledger
from tests.core.test_notes import private, public, verifier
from tests.flows.policy_town import ADMIN, Town, with_admin
from tests.policy.directory import NOW, write
from tests.policy.edits import NARROWS, WIDENS

pytestmark = pytest.mark.requirement("T23")

LOG = "assent/example"
MORE, MORE_STILL, LESS = with_admin(WIDENS[5]), with_admin(WIDENS[6]), with_admin(NARROWS[5])
UNTIL = NOW + timedelta(days=1)


class Careful(Town):
    """A town where what widens waits for a person, or for the key with the seed 1."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, Activation.CONFIRM)
        self.trust()

    def trust(self) -> None:
        self.broker = replace(self.broker, release_keys=(verifier(1), verifier(3)), log_name=LOG)

    def restart(self) -> None:
        super().restart()
        self.trust()

    def version(self, files: dict[str, str]) -> str:
        write(self.directory, files)
        found = self.holder.version_on_disk()
        assert found is not None
        return found

    def note(self, release: Release | bytes, *, seed: int = 1) -> None:
        signed = release if isinstance(release, bytes) else sign_release(release, public(seed), private(seed).sign)
        (self.directory / RELEASE).write_bytes(signed)

    def step(self, files: dict[str, str]) -> Release:
        """Return a release that counts for `files`, which lie there from now on."""
        return Release(log=LOG, policy=self.version(files), replaces=self.holder.current.version, until=UNTIL)

    async def look(self) -> TakenUp:
        return await take_up_policy(self.broker, self.holder.read_again())

    async def signed(self, files: dict[str, str], *, seed: int = 1) -> TakenUp:
        self.note(self.step(files), seed=seed)
        return await self.look()


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Careful]:
    made = Careful(tmp_path)
    await made.start()
    yield made
    await made.close()


async def test_a_signed_version_serves_and_the_record_names_the_key(town: Careful) -> None:
    taken = await town.signed(MORE)
    assert (taken.uptake, town.holder.current.version) == (Uptake.ACTIVATED, taken.version)
    assert await town.records("policy.proposed") == []
    record = (await town.records("policy.activated"))[-1]
    assert "operator" not in record
    assert taken.vouched is not None
    assert record["detail"]["release"] == {
        "keys": [f"{public(1).name}+{public(1).key_id.hex()}"],
        "digest": taken.vouched.release.digest,
        "until": "2027-01-02T12:00:00.000000Z",
    }
    assert record["detail"]["widens"], "what it widens stands there all the same"


async def test_the_note_is_no_part_of_the_version(town: Careful) -> None:
    before = town.version(ADMIN)
    town.note(b"anything")
    assert town.holder.version_on_disk() == before == town.holder.current.version
    assert (await town.look()).uptake is Uptake.UNCHANGED


async def test_a_version_that_waits_serves_once_its_note_arrives(town: Careful) -> None:
    assert (await town.take_up(MORE)).uptake is Uptake.WAITING
    taken = await town.signed(MORE)
    assert (taken.uptake, town.holder.waiting) == (Uptake.ACTIVATED, None)
    assert len(await town.records("policy.proposed")) == 1


async def refused(town: Careful, taken: TakenUp, why: str) -> None:
    assert taken.uptake is Uptake.WAITING
    assert town.holder.current.version != taken.version
    assert taken.unvouched is not None
    assert why in taken.unvouched
    assert (await town.records("policy.proposed"))[-1]["detail"]["unvouched"] == taken.unvouched
    assert all("release" not in record.get("detail", {}) for record in (await town.records("policy.activated"))[-1:])


async def test_a_note_by_a_key_that_nobody_configured_counts_for_nothing(town: Careful) -> None:
    await refused(town, await town.signed(MORE, seed=2), "no known key signed this note")


async def test_without_configured_keys_nothing_vouches(town: Careful) -> None:
    town.broker = replace(town.broker, release_keys=())
    await refused(town, await town.signed(MORE), "names no key")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"log": "assent/other"}, "is for the log `assent/other`"),
        ({"policy": "0" * 64}, "is for the version `000000000000`"),
        ({"replaces": "0" * 64}, "lets the version replace `000000000000`"),
        ({"until": NOW}, "was good until"),
        ({"until": NOW + timedelta(days=32)}, "at most 31 days"),
    ],
    ids=["another log", "another version", "another step", "too late", "for too long"],
)
async def test_a_good_signature_under_something_else_counts_for_nothing(
    town: Careful, change: dict[str, str], why: str
) -> None:
    town.note(replace(town.step(MORE), **change))  # type: ignore[arg-type]  # a field by its name
    await refused(town, await town.look(), why)


@pytest.mark.parametrize("damage", ["truncated", "empty", "changed", "no release", "not text"])
async def test_a_damaged_note_counts_for_nothing(town: Careful, damage: str) -> None:
    release = town.step(MORE)
    raw = sign_release(release, public(1), private(1).sign)
    other = sign_note("another text\n", public(1).name, public(1).key_id, private(1).sign)
    town.note(
        {
            "truncated": raw[:-20],
            "empty": b"",
            "changed": raw.replace(b"2027-01-02", b"2027-01-03"),
            "no release": other,
            "not text": b"\xff" * 100,
        }[damage]
    )
    await refused(town, await town.look(), "")


@pytest.mark.parametrize("fault", ["link", "open", "large", "folder", "pipe"])
async def test_a_note_that_anybody_could_have_put_there_refuses_the_directory(
    town: Careful, tmp_path: Path, fault: str
) -> None:
    town.note(town.step(MORE))
    file = town.directory / RELEASE
    serving = town.holder.current
    if fault == "open":
        file.chmod(0o666)
    elif fault == "large":
        file.write_bytes(file.read_bytes() + bytes(16_384))
    else:
        file.rename(tmp_path / RELEASE)
        if fault == "link":
            file.symlink_to(tmp_path / RELEASE)
        elif fault == "folder":
            file.mkdir()
        else:
            os.mkfifo(file)
    with pytest.raises(PolicyInvalid) as raised:
        town.holder.read_again()
    assert raised.value.findings[0].startswith(f"{RELEASE}:1:1: ")
    assert town.holder.current is serving


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
async def test_a_note_that_cannot_be_read_refuses_the_directory(town: Careful) -> None:
    town.note(town.step(MORE))
    (town.directory / RELEASE).chmod(0)
    with pytest.raises(PolicyInvalid, match="cannot be read"):
        town.holder.read_again()


# --- putting something back ---


async def test_an_older_version_with_its_old_note_is_not_put_back(town: Careful) -> None:
    first = town.step(MORE)
    town.note(first)
    await town.look()
    assert (await town.signed(MORE_STILL)).uptake is Uptake.ACTIVATED
    assert (await town.take_up(LESS)).uptake is Uptake.ACTIVATED, "at three in the morning somebody narrows"
    town.version(MORE)
    town.note(first)
    taken = await town.look()
    await refused(town, taken, "lets the version replace")


async def test_a_note_counts_once_even_where_the_same_step_would_be_taken_again(town: Careful) -> None:
    begun = town.holder.current.version
    first = town.step(MORE)
    town.note(first)
    await town.look()
    (town.directory / RELEASE).unlink()
    assert (await town.take_up(ADMIN)).uptake is Uptake.ACTIVATED, "taken back, which narrows"
    assert town.holder.current.version == begun == first.replaces
    town.version(MORE)
    for seed in (1, 3):  # signed by another trusted key it is the same release
        town.note(first, seed=seed)
        await refused(town, await town.look(), "was used before")
    town.restart()
    taken = await town.start()
    assert (taken.uptake, taken.unvouched) == (Uptake.WAITING, "it was used before, and counts once")
    town.note(replace(first, until=UNTIL - timedelta(hours=1)))
    assert (await town.look()).uptake is Uptake.ACTIVATED, "signed anew it is another release"


async def test_among_very_many_activations_an_old_use_is_found_or_the_note_refused(town: Careful) -> None:
    first = town.step(MORE)
    town.note(first)
    await town.look()
    (town.directory / RELEASE).unlink()
    await town.take_up(ADMIN)
    for more, why in ((LOOKED_AT_ONCE, "was used before"), (LOOKED_AT_ONCE * MOST_LOOKS, "so many versions")):
        await town.let_serve(town.holder.current, times=more)
        town.version(MORE)
        town.note(first)
        taken = await town.look()
        assert (taken.uptake, why in str(taken.unvouched)) == (Uptake.WAITING, True)


class Meanwhile:
    """A ledger in front of which time passes, after a release was looked at and before it is used."""

    def __init__(self, town: Careful) -> None:
        self._ledger: Ledger = town.world.ledger
        self._town = town

    async def transact(self, work: object, **more: object) -> object:
        if more.get("gate") is Gate.EXCLUSIVE:
            self._town.world.clock.now = UNTIL
        return await self._ledger.transact(work, **more)  # type: ignore[arg-type]  # handed on as it came

    def __getattr__(self, name: str) -> object:
        return getattr(self._ledger, name)


async def test_a_note_that_ends_between_look_and_use_is_not_used(town: Careful) -> None:
    serving = town.holder.current
    town.note(town.step(MORE))
    town.broker = replace(town.broker, ledger=Meanwhile(town))  # type: ignore[arg-type]  # the rest is handed on
    with pytest.raises(Stale):
        await town.look()
    assert town.holder.current is serving
    await refused(town, await town.look(), "was good until")


# --- beside everything else ---


async def test_files_that_were_signed_while_nobody_served_serve_from_the_start(town: Careful) -> None:
    town.note(town.step(MORE))
    town.restart()
    taken = await town.start()
    assert (taken.uptake, town.holder.current.version, town.holder.waiting) == (Uptake.ACTIVATED, taken.version, None)
    assert (await town.records("broker.started"))[-1]["policy"] == taken.version
    assert "release" in (await town.records("policy.activated"))[-1]["detail"]


async def test_files_with_a_bad_note_wait_at_the_start(town: Careful) -> None:
    served = town.holder.current.version
    town.note(town.step(MORE), seed=2)
    town.restart()
    taken = await town.start()
    assert (taken.uptake, town.holder.current.version) == (Uptake.WAITING, served)
    assert (await town.records("broker.started"))[-1]["policy"] == served


async def test_who_asks_what_waits_hears_why_its_note_does_not_count(town: Careful) -> None:
    ada = await town.operator()
    assert (await show_policy(town.broker, ada)).unvouched is None
    await town.signed(MORE, seed=2)
    assert "no known key" in str((await show_policy(town.broker, ada)).unvouched)
    town.note(town.step(MORE))
    town.holder.hold(town.holder.read_again())
    assert "read the directory again" in str((await show_policy(town.broker, ada)).unvouched)


async def test_a_person_confirms_what_no_note_vouches_for(town: Careful) -> None:
    ada, taken = await town.operator(), await town.signed(MORE, seed=2)
    assert (await activate_policy(town.broker, ada, taken.version)).uptake is Uptake.ACTIVATED
    assert "release" not in (await town.records("policy.activated"))[-1]["detail"]


async def test_another_note_beside_what_waits_is_on_record_and_the_same_one_is_not_again(town: Careful) -> None:
    await town.signed(MORE, seed=2)
    await town.look()
    assert len(await town.records("policy.proposed")) == 1
    town.note(b"something else")
    await town.look()
    assert len(await town.records("policy.proposed")) == 2


async def test_where_every_sound_version_serves_no_note_is_looked_at(town: Careful) -> None:
    town.broker = replace(town.broker, activation=Activation.AUTO)
    taken = await town.signed(MORE, seed=2)
    assert (taken.uptake, taken.vouched) == (Uptake.ACTIVATED, None)


class Listener:
    """A destination that keeps what it is told."""

    name = "listener"

    def __init__(self) -> None:
        self.heard: list[Alert] = []

    async def alert(self, alert: Alert) -> bool:
        self.heard.append(alert)
        return True


async def test_people_are_told_what_widens_and_what_waits_and_of_nothing_else(town: Careful) -> None:
    listener = Listener()
    await begin_alerts(town.broker, listener)
    waits = await town.take_up(MORE)
    served = await town.signed(MORE)
    (town.directory / RELEASE).unlink()
    await town.take_up(LESS)
    raised = await raise_alerts(town.broker, listener)
    assert [(one.event, one.policy) for one in listener.heard] == [
        ("policy.proposed", waits.version),
        ("policy.activated", served.version),
    ]
    assert listener.heard[1].by.startswith("the release key log.example/assent+")
    assert (len(raised.told), raised.failed, raised.more) == (2, False, False)
    assert (await raise_alerts(town.broker, listener)).told == ()
