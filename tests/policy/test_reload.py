"""Reloading: a new version is swapped in whole; a directory that is refused changes nothing."""

import os
import random
import threading
import time
from pathlib import Path

import pytest

from assent.core.actions import Proposal
from assent.core.agents import AgentId
from assent.core.decisions import Effect
from assent.core.errors import PolicyInvalid
from assent.policy.current import PolicyHolder
from tests.policy.directory import NOW, SAMPLE, edited, scale, write

SECONDS = float(os.environ.get("PROOF_SECONDS", "5"))
DENYING = edited("roles/deployer.yaml", "when: {replicas: {max: 20}}, effect: allow", "effect: deny")


@pytest.fixture
def holder(tmp_path: Path) -> PolicyHolder:
    return PolicyHolder(write(tmp_path / "p", SAMPLE), lambda: NOW)


def effect(holder: PolicyHolder) -> Effect:
    policy = holder.current
    proposal = policy.propose("k8s.scale", scale())
    assert isinstance(proposal, Proposal)
    return policy.verdict(proposal, AgentId("bot"), ()).effect


def reload(holder: PolicyHolder) -> str:
    """Read the directory and let it serve, as the process does once that is on record; return the version."""
    holder.serve(holder.read_again())
    return holder.current.version


def test_reloading_unchanged_files_says_so(holder: PolicyHolder) -> None:
    assert reload(holder) == holder.current.version


def test_a_changed_file_serves_after_a_reload_and_not_before(holder: PolicyHolder, tmp_path: Path) -> None:
    write(tmp_path / "p", DENYING)
    assert effect(holder) is Effect.ALLOW
    before = holder.current.version
    assert reload(holder) != before
    assert effect(holder) is Effect.DENY


@pytest.mark.requirement("T6")
@pytest.mark.parametrize("name", sorted(SAMPLE))
@pytest.mark.parametrize("share", [0, 3, 7])
def test_a_truncated_file_is_refused_or_narrows_and_the_last_good_version_serves(
    holder: PolicyHolder, tmp_path: Path, name: str, share: int
) -> None:
    write(tmp_path / "p", {name: SAMPLE[name][: len(SAMPLE[name]) * share // 10]})
    before = holder.current
    with pytest.raises(PolicyInvalid) as refused:
        reload(holder)
    assert refused.value.findings
    assert holder.current is before


def test_a_comment_changes_the_version_and_no_verdict(holder: PolicyHolder, tmp_path: Path) -> None:
    definition = holder.current.definition("k8s.scale")
    write(tmp_path / "p", {"tools/kubernetes.yaml": SAMPLE["tools/kubernetes.yaml"] + "# 03:00\n"})
    before = holder.current.version
    assert reload(holder) != before
    assert holder.current.definition("k8s.scale") == definition


@pytest.mark.hammer
@pytest.mark.requirement("T6")
def test_decisions_during_reloads_follow_the_version_they_began_with(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    versions = {"allow": SAMPLE, "deny": DENYING, "broken": edited("agents.yaml", "owner: dana", "owner: dan")}
    holder = PolicyHolder(write(tmp_path / "p", SAMPLE), lambda: NOW)
    allowing = holder.current.version
    stop = threading.Event()
    reloads = threading.Thread(target=_reload, args=(holder, tmp_path / "p", versions, random.Random(seed), stop))
    reloads.start()
    decisions, wrong, ends = 0, 0, time.monotonic() + SECONDS
    try:
        while time.monotonic() < ends:
            policy = holder.current
            proposal = policy.propose("k8s.scale", scale())
            assert isinstance(proposal, Proposal)
            allowed = policy.verdict(proposal, AgentId("bot"), ()).effect is Effect.ALLOW
            wrong += allowed is not (policy.version == allowing)
            decisions += 1
    finally:
        stop.set()
        reloads.join(30)
    print(f"{decisions} decisions")
    assert wrong == 0
    assert decisions > 100


def _reload(
    holder: PolicyHolder,
    directory: Path,
    versions: dict[str, dict[str, str]],
    chance: random.Random,
    stop: threading.Event,
) -> None:
    while not stop.is_set():
        write(directory, versions[chance.choice(sorted(versions))])
        try:
            reload(holder)
        except PolicyInvalid:
            continue
