"""Over HTTP nothing is heard that Slack did not sign now, and nothing twice."""

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.demo.workspace.delivering import signature
from assent.slack.hearing import Hearing
from assent.slack.receiving import Receiver
from assent.slack.view import Heeded
from assent.stores.signals_local import LocalSignals

SECRET = b"secret"
NOW = 1_772_366_400
FORM = b"application/x-www-form-urlencoded"


class Ear(Hearing):
    """Remembers what was heard."""

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.heeds = Heeded()

    async def hear(self, kind: str, payload: object) -> Heeded:
        del payload
        self.kinds.append(kind)
        return self.heeds


def receiver(ear: Ear, now: float = NOW) -> Receiver:
    return Receiver(ear, LocalSignals(), secrets=[SECRET], now_seconds=lambda: now)


async def send(to: Receiver, body: bytes, media: bytes = FORM, *, at: int = NOW, signed: bytes | None = None) -> int:
    sign = signed or signature(SECRET.decode(), at, body).encode()
    received = await to.receive(body, timestamp=str(at).encode(), signature=sign, media_type=media)
    return int(received.status)


@pytest.mark.requirement("T8")
async def test_what_slack_signed_is_heard_once() -> None:
    ear = Ear()
    to = receiver(ear)
    body = urlencode({"payload": "{}"}).encode()

    assert [await send(to, body) for _ in range(3)] == [200, 401, 401]
    assert await send(to, body, at=NOW + 1) == 200
    assert ear.kinds == ["interactive", "interactive"]


class Unsure(LocalSignals):
    """Cannot tell what was claimed."""

    async def claim(self, name: str, *, seconds: int) -> bool | None:
        return None


@pytest.mark.requirement("T8")
async def test_where_nobody_can_tell_whether_it_was_heard_before_it_is_not_heard() -> None:
    ear = Ear()
    to = Receiver(ear, Unsure(), secrets=[SECRET], now_seconds=lambda: NOW)
    body = urlencode({"payload": "{}"}).encode()
    assert [await send(to, body), await send(to, body, signed=b"v0=" + b"0" * 64)] == [503, 401]
    assert ear.kinds == []


@pytest.mark.requirement("T8")
async def test_nothing_else_is_heard() -> None:
    ear = Ear()
    to = receiver(ear)
    body = urlencode({"payload": "{}"}).encode()

    assert await send(to, body, signed=b"v0=" + b"0" * 64) == 401
    assert await send(to, body, at=NOW - 301) == 401
    assert await send(to, body, at=NOW + 301) == 401
    assert ear.kinds == []


@pytest.mark.parametrize(
    ("body", "media", "status"),
    [
        (b"command=%2Fassent&text=x", FORM, 200),
        (b'{"type":"event_callback"}', b"application/json; charset=utf-8", 200),
        (b"payload=%7B", FORM, 400),
        (b"payload=%ff", FORM, 400),
        (b"", FORM, 400),
        (b"a=1&" * 60, FORM, 400),
        (b"[]", b"application/json", 400),
        (b"hello", b"text/plain", 400),
    ],
)
async def test_each_form_has_its_answer(body: bytes, media: bytes, status: int) -> None:
    assert await send(receiver(Ear()), body, media) == status


async def test_slack_is_told_when_something_was_not_stored() -> None:
    ear = Ear()
    ear.heeds = Heeded(taken=False)
    assert await send(receiver(ear), b"payload=%7B%7D") == 503


async def test_the_address_is_confirmed() -> None:
    body = b'{"type":"url_verification","challenge":"abc"}'
    sign = signature(SECRET.decode(), NOW, body).encode()
    received = await receiver(Ear()).receive(
        body, timestamp=str(NOW).encode(), signature=sign, media_type=b"application/json"
    )
    assert (int(received.status), received.payload) == (200, {"challenge": "abc"})


@given(st.binary(max_size=300), st.sampled_from([FORM, b"application/json", b"", b"x"]))
async def test_signed_garbage_is_never_more_than_refused(body: bytes, media: bytes) -> None:
    assert await send(receiver(Ear()), body, media) in {200, 400}
