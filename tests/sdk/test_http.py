"""HTTP without a socket: however the bytes are cut, one meaning; what has two meanings has none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.core.credentials import Kind
from assent.sdk.endpoint import endpoint
from assent.sdk.http import AnswerReader, BadAnswer, Request, Response, encode
from assent.sdk.messages import Ask, build_ask, build_look
from tests.sdk.standin import KEY

LIMIT = 100_000


def feed(raw: bytes, cuts: list[int]) -> tuple[Response | None, bool]:
    reader, start = AnswerReader(LIMIT), 0
    for end in [*sorted(cut % (len(raw) + 1) for cut in cuts), len(raw)]:
        response = reader.feed(raw[start:end]) if end > start else None
        start = max(start, end)
        if response is not None:
            return response, reader.reusable and start == len(raw)
    return None, False


def chunked(body: bytes, sizes: list[int]) -> bytes:
    raw, start = b"", 0
    for size in [*sizes, len(body)]:
        piece = body[start : start + size]
        start += size
        raw += b"%x;note=1\r\n%b\r\n" % (len(piece), piece) if piece else b""
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + raw + b"0\r\ntrailer: x\r\n\r\n"


@given(st.binary(max_size=300), st.lists(st.integers(0, 2_000), max_size=8))
def test_an_answer_means_the_same_however_it_is_cut(body: bytes, cuts: list[int]) -> None:
    raw = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX-A: 1\r\nx-a:2\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )
    response, reusable = feed(raw, cuts)
    assert response == Response(status=200, headers={"x-a": "1, 2", "content-length": str(len(body))}, body=body)
    assert reusable


@given(st.binary(max_size=300), st.lists(st.integers(1, 50), max_size=5), st.lists(st.integers(0, 2_000), max_size=8))
def test_chunks_mean_the_same_however_they_are_cut(body: bytes, sizes: list[int], cuts: list[int]) -> None:
    response, reusable = feed(chunked(body, sizes), cuts)
    assert response is not None
    assert response.body == body
    assert reusable


@given(st.binary(min_size=1, max_size=400))
def test_random_bytes_are_refused_or_incomplete_and_nothing_else(raw: bytes) -> None:
    try:
        response, _ = feed(raw, [])
    except BadAnswer:
        return
    assert response is None or response.status >= 200


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/2 200 OK\r\ncontent-length: 0",
        b"HTTP/1.1 99 OK\r\ncontent-length: 0",
        b"HTTP/1.1 200 OK\r\ncontent-length: +1",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1, 1",
        b"HTTP/1.1 200 OK\r\ncontent-length : 1",
        b"HTTP/1.1 200 OK\r\n folded\r\ncontent-length: 0",
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\ntransfer-encoding: chunked",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 0",
        b"HTTP/1.1 200 OK\ncontent-length: 0",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 200 OK\r\ncontent-length: 200000",
    ],
)
def test_a_head_with_no_or_two_meanings_is_refused(head: bytes) -> None:
    with pytest.raises(BadAnswer):
        AnswerReader(LIMIT).feed(head + b"\r\n\r\n")


@pytest.mark.parametrize("chunk", [b"-1\r\n", b"0x1\r\n", b"fffffffff\r\n", b"1\r\nab\r\n", b"\r\n", b"2\r\nabcd"])
def test_a_malformed_chunk_is_refused(chunk: bytes) -> None:
    with pytest.raises(BadAnswer):
        AnswerReader(LIMIT).feed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunk)


def test_an_answer_that_stops_in_the_middle_is_refused() -> None:
    reader = AnswerReader(LIMIT)
    assert reader.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc") is None
    with pytest.raises(BadAnswer, match="closed before"):
        reader.feed(b"")


def test_chunks_that_never_end_are_refused_at_the_limit() -> None:
    reader = AnswerReader(1_000)
    assert reader.feed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n") is None
    for _ in range(99):
        assert reader.feed(b"a\r\n0123456789\r\n") is None
    with pytest.raises(BadAnswer, match="larger than"):
        reader.feed(b"a\r\n0123456789\r\n")


@pytest.mark.parametrize("more", [b"HTTP/1.1 200 OK\r\n", b"x"])
def test_bytes_behind_an_answer_end_the_connection(more: bytes) -> None:
    reader = AnswerReader(LIMIT)
    assert reader.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}" + more) is not None
    assert not reader.reusable


@pytest.mark.parametrize("head", [b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 200 OK\r\nconnection: Close\r\n"])
def test_a_peer_that_closes_is_believed(head: bytes) -> None:
    reader = AnswerReader(LIMIT)
    assert reader.feed(head + b"content-length: 0\r\n\r\n") is not None
    assert not reader.reusable


def test_a_request_says_who_and_where_and_how_long_it_is() -> None:
    where = endpoint("http://[::1]:81/broker/", KEY, kind=Kind.AGENT)
    raw = encode(Request(method="POST", path="/v1/x", body=b"{}", idempotency_key="k"), where)
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /broker/v1/x HTTP/1.1"
    assert b"host: [::1]:81" in lines
    assert b"authorization: Bearer " + KEY.encode() in lines
    assert b"idempotency-key: k" in lines
    assert b"content-length: 2" in lines
    assert body == b"{}"


def test_an_ask_carries_the_frozen_bytes_and_leaves_out_what_is_not_said() -> None:
    ask = Ask(tool="t", arguments=b'{"b":1}', idempotency_key="k", reason="why\r\nx: y")
    request = build_ask(ask)
    assert request.body.startswith(b'{"arguments":{"b":1},')
    assert json.loads(request.body) == {"tool": "t", "arguments": {"b": 1}, "reason": "why\r\nx: y"}


def test_an_id_cannot_leave_its_place_in_the_path() -> None:
    assert build_look("../me?x", wait_seconds=1, after=2).path == "/v1/actions/..%2Fme%3Fx?wait=1&after=2"
