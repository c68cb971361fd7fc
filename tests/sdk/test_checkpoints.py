"""The log head that every answer carries: the newest is kept, and a log that goes back is not believed."""

import base64
import hashlib

import pytest

from assent import Assent, BrokerUnavailable, UntrustedAnswer
from assent.sdk.checkpoints import CheckpointMemory, parse_checkpoint
from tests.sdk.standin import StandIn


def head(size: int, seed: str = "", origin: str = "assent.example/log") -> str:
    root = base64.b64encode(hashlib.sha256(f"{size}{seed}".encode()).digest()).decode()
    return base64.b64encode(f"{origin}\n{size}\n{root}\n\n— assent.example AAAA\n".encode()).decode()


def test_the_newest_checkpoint_is_kept(broker: Assent, standin: StandIn) -> None:
    seen = [broker.latest_checkpoint]
    for size in (3, 3, 5):
        standin.headers["Assent-Checkpoint"] = head(size)
        broker.tools()
        seen.append(broker.latest_checkpoint)
    assert [note and note.split("\n")[1] for note in seen] == [None, "3", "3", "5"]


@pytest.mark.parametrize("header", [head(2), head(5, "other"), head(9, origin="other.example/log")])
@pytest.mark.requirement("P8", "T16")
def test_an_answer_from_a_rewritten_log_does_not_run_anything(broker: Assent, standin: StandIn, header: str) -> None:
    standin.headers["Assent-Checkpoint"] = head(5)
    broker.tools()
    standin.headers["Assent-Checkpoint"] = header
    with pytest.raises(BrokerUnavailable, match="rewritten") as caught, broker.action("files.read", {"path": "a"}):
        pytest.fail("the body ran")
    assert "audit verify" in (caught.value.hint or "")


def test_what_was_shown_is_named_to_whichever_broker_answers_next(broker: Assent, standin: StandIn) -> None:
    for size in (5, 7):
        standin.headers["Assent-Checkpoint"] = head(size)
        broker.tools()
    assert [request.headers.get("assent-seen") for request in standin.seen] == [None, "5"]


def test_answers_that_overtake_one_another_are_no_rewriting() -> None:
    memory = CheckpointMemory()
    memory.see(head(3), before=None)
    three = memory.newest
    memory.see(head(7), before=three)  # left after 3 was known, came first
    memory.see(head(5), before=three)  # left at the same time, came second
    assert memory.newest is not None
    assert memory.newest.size == 7


@pytest.mark.parametrize("header", ["%%%", "", base64.b64encode(b"a\n1\n").decode(), head(1)[:-8], "A" * 20_000])
@pytest.mark.parametrize("known", [None, head(1)])
def test_a_malformed_checkpoint_is_not_believed(header: str, known: str | None) -> None:
    memory = CheckpointMemory()
    memory.see(known, before=None)
    with pytest.raises(UntrustedAnswer):
        memory.see(base64.b64encode(b"o\n-1\nAAAA\n").decode(), before=memory.newest)
    if header != head(1)[:-8]:
        with pytest.raises(UntrustedAnswer):
            memory.see(header, before=memory.newest)


@pytest.mark.parametrize("size", ["01", "+1", "1 ", "", "x", "٣"])
def test_a_size_that_is_no_plain_number_is_not_believed(size: str) -> None:
    root = base64.b64encode(b"r" * 32).decode()
    with pytest.raises(UntrustedAnswer):
        parse_checkpoint(base64.b64encode(f"origin\n{size}\n{root}\n".encode()).decode())
