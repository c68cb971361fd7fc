"""The floor: an ASGI application that reads a body, parses it and answers, and does nothing else.

Nothing that speaks HTTP through the same server can answer sooner. `python -m benchmarks.floor` serves it and prints
its port.
"""

import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from pydantic_core import from_json

Message = MutableMapping[str, Any]

_HEADERS = [(b"content-type", b"application/json")]


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Answer every request with the run id that it carries."""
    if scope["type"] != "http":
        return
    body = await _read(receive)
    parsed = from_json(body) if body else {"run_id": ""}
    answer = b'{"decision":"allow","run_id":"%s"}' % parsed["run_id"].encode()
    headers = [*_HEADERS, (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


async def _read(receive: Callable[[], Awaitable[Message]]) -> bytes:
    message = await receive()
    body: bytes = message["body"]
    while message.get("more_body", False):
        message = await receive()
        body += message["body"]
    return body


def main() -> None:
    """Serve on a free port of this machine until told to stop."""
    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
