"""The town over HTTP: the world of the flows' stories behind the real application, with people and agents."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from assent.api import ApiSettings, InFront, Readiness, create_app
from assent.api.given import SlackInbox
from assent.core.canonical import Json
from assent.core.credentials import Kind
from assent.core.records import RecordId
from assent.core.tiles import Tile
from assent.metrics import Measured
from tests.api.client import JSON_TYPE, Headers, Heard, bearer, call
from tests.flows.world import World

ATTEMPT = "a" * 22
OTHER_ATTEMPT = "b" * 22
NOTE = b"log.example/town\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n\xe2\x80\x94 log.example/town AAAA\n"
KEY_SET: Mapping[str, Json] = {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "eA", "kid": "k1"}]}


@dataclass(slots=True)
class PublishedLog:
    """What the town's log has published so far."""

    note: bytes | None = NOTE
    tiles: dict[str, bytes] = field(default_factory=lambda: {"tile/0/000.p/1": b"h" * 32, "tile/entries/000.p/1": b"e"})
    proofs: dict[str, bytes] = field(default_factory=dict)
    signed_elsewhere: bytes | None = None
    asked_for: list[int] = field(default_factory=list)

    def newest_checkpoint(self) -> bytes | None:
        return self.note

    async def reach(self, size: int) -> None:
        self.asked_for.append(size)
        if size and self.signed_elsewhere is not None:
            self.note = self.signed_elsewhere

    async def tile(self, tile: Tile) -> bytes | None:
        return self.tiles.get(tile.path)

    async def proof(self, record: RecordId) -> bytes | None:
        return self.proofs.get(record)


class Town:
    """One broker over HTTP. `agent`, `service` and `operator` make callers; `get` and `post` call for one of them."""

    def __init__(self, world: World, settings: ApiSettings | None = None) -> None:
        self.world = world
        self.log = PublishedLog()
        self.closing = asyncio.Event()
        self.state = Readiness(ledger_writable=True, policy_loaded=True)
        self.measured = Measured(ready=True)
        self._settings = settings
        self.app = self.with_slack(None)

    def with_slack(self, slack: SlackInbox | None) -> InFront:
        """Return the application with this Slack beside it."""
        return create_app(
            self.world.broker,
            readiness=self._readiness,
            log=self.log,
            key_set=lambda: KEY_SET,
            measure=self._measure,
            slack=slack,
            closing=self.closing,
            settings=self._settings,
        )

    async def _readiness(self) -> Readiness:
        return self.state

    async def _measure(self) -> Measured:
        return self.measured

    async def agent(self, name: str = "bot") -> str:
        return await self.world.token(Kind.AGENT, name)

    async def service(self, name: str = "db", tools: tuple[str, ...] = ("db.*",)) -> str:
        return await self.world.token(Kind.SERVICE, name, tools=tools)

    async def operator(self, name: str = "eve") -> str:
        return await self.world.token(Kind.OPERATOR, name)

    async def get(self, token: str | None, target: str, *extra: tuple[bytes, bytes]) -> Heard:
        return await call(self.app, "GET", target, headers=[*_credential(token), *extra])

    async def post(self, token: str | None, target: str, body: Any, *extra: tuple[bytes, bytes]) -> Heard:
        return await self.post_raw(token, target, json.dumps(body).encode(), *extra)

    async def delete(self, token: str | None, target: str) -> Heard:
        return await call(self.app, "DELETE", target, headers=_credential(token))

    async def post_raw(self, token: str | None, target: str, body: bytes, *extra: tuple[bytes, bytes]) -> Heard:
        headers = [JSON_TYPE, *_credential(token), *extra]
        return await call(self.app, "POST", target, headers=headers, chunks=[body])

    async def ask(self, token: str, tool: str = "files.write", env: str = "production", **more: Any) -> Any:
        """Return the answer to an ask, which must be a decision."""
        heard = await self.post(token, "/v1/actions", {"tool": tool, "arguments": {"env": env, "path": "a"}} | more)
        assert heard.status == 200, heard.body
        return heard.json

    async def approved(self, token: str, tool: str = "files.write", **more: Any) -> Any:
        """Return an action that a human has approved, as its agent sees it then."""
        asked = await self.ask(token, tool, **more)
        path = f"/v1/approvals/{asked['approval']['id']}/approve"
        heard = await self.post(await self.operator(), path, {"digest_prefix": asked["digest"][:8]})
        assert heard.status == 200, heard.body
        return (await self.get(token, f"/v1/actions/{asked['action_id']}")).json


def _credential(token: str | None) -> Headers:
    return [] if token is None else [bearer(token)]
