"""Plain HTTP to a broker, blocking and not: no retries, no reading between the lines, an answer or an exception."""

import asyncio
import http.client
import json
from dataclasses import dataclass
from typing import Any, Final

ANSWER_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and the JSON that came with it."""

    status: int
    body: dict[str, Any]

    @property
    def code(self) -> str:
        """The stable code of a problem, or nothing."""
        return str(self.body.get("code", ""))


class Caller:
    """One kept-alive connection with one credential; a broken one is made anew at the next call."""

    def __init__(self, port: int, key: str, *, seconds: float = ANSWER_SECONDS) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
        self._headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}

    def post(self, path: str, body: object, **headers: str) -> Answer:
        """Post `body` as JSON. Raises OSError or http.client.HTTPException when no answer came."""
        return self.send("POST", path, json.dumps(body).encode(), **headers)

    def get(self, path: str) -> Answer:
        """Get `path`. Raises as `post`."""
        return self.send("GET", path, None)

    def text(self, path: str) -> str:
        """Get `path` as text. Raises as `post`."""
        self._connection.request("GET", path, headers=self._headers)
        return self._connection.getresponse().read().decode()

    def send(self, method: str, path: str, body: bytes | None, **headers: str) -> Answer:
        """Send bytes as they are. Raises as `post`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            self._connection.request(method, path, body, {**self._headers, **named})
            response = self._connection.getresponse()
            return Answer(response.status, _parsed(response.read()))
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class AsyncCaller:
    """The same without blocking, for many at once in one process."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._head = f"host: 127.0.0.1\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: object) -> Answer:
        """Post `body` as JSON. Raises OSError, EOFError or TimeoutError when no answer came."""
        content = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\n{self._head}content-length: {len(content)}\r\n\r\n"
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._exchange(head.encode() + content)
        except BaseException:
            self.close()
            raise

    async def _exchange(self, request: bytes) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        body = await reader.readexactly(length)
        return Answer(int(head[9:12]), _parsed(body))

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def _parsed(body: bytes) -> dict[str, Any]:
    parsed = json.loads(body) if body else {}
    return parsed if isinstance(parsed, dict) else {"value": parsed}
