"""The questions as requests: what the SDK would send, prepared so that only the counter changes."""

from collections.abc import Mapping, Sequence

from benchmarks.load import Requests, in_turn, post
from benchmarks.questions import Answer, Question

ATTEMPT_PREFIX = "bench-attempt-of-128-bits-"


def of_questions(asked: Sequence[Question], right: Sequence[Answer], keys: Mapping[str, str]) -> Requests:
    """Return `asked` as POST /v1/actions with the keys of the agents; the path ends in the counter."""
    parts = [_ask(question, keys[question.agent]) for question in asked]
    must = [b'"decision":"%s"' % answer.encode() for answer in right]
    return in_turn(parts, must, [answer.value for answer in right], "broker")


def _ask(question: Question, key: str) -> tuple[bytes, bytes, bytes]:
    stem = question.path.removesuffix(".txt")
    attempt = ATTEMPT_PREFIX + "0" * 16
    before = (
        f'{{"tool":"{question.tool}","run_id":"nightly-7","attempt":"{attempt}","arguments":{{"path":"{stem}-'.encode()
    )
    return post("/v1/actions", key, before, b'.txt"}}')


def of_the_floor(asked: Sequence[Question]) -> Requests:
    """Return requests of the same size for the floor, which repeats the run id."""
    parts = []
    for question in asked:
        head, between, after = _ask(question, "asn_" + "0" * 60)
        padding = len(between) + len(after) - len(b'\r\n\r\n{"run_id":"run-') - len(b'","pad":""}')
        tail = b'","pad":"' + b"x" * padding + b'"}'
        parts.append((head, b'\r\n\r\n{"run_id":"run-', tail))
    return in_turn(parts, [b'"allow"'] * len(parts), ["allow"] * len(parts), "floor")
