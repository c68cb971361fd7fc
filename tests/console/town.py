"""The console of the flows' small world, visited without a browser: pages by path, forms with what stands on them."""

import asyncio
import re
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import urlencode

from assent.console.app import create_console
from assent.console.given import ConsoleSettings
from assent.core.credentials import Kind
from tests.api.client import Headers, Heard, call
from tests.flows.world import World

HOST = "console.test"
FORM = (b"content-type", b"application/x-www-form-urlencoded")
CSRF = re.compile(r'name="csrf" value="([0-9a-f]+)"')


@dataclass(slots=True)
class Browser:
    """One person's browser: it keeps a cookie and knows the CSRF token of its session."""

    town: "ConsoleTown"
    cookie: str | None = None
    csrf: str = ""
    more: Headers = field(default_factory=list)

    async def get(self, path: str, *extra: tuple[bytes, bytes]) -> Heard:
        return await call(self.town.app, "GET", path, headers=[*self._headers(), *extra])

    async def post(self, path: str, *extra: tuple[bytes, bytes], **fields: str) -> Heard:
        return await self.post_raw(path, urlencode({"csrf": self.csrf} | fields), *extra)

    async def post_raw(self, path: str, body: str, *extra: tuple[bytes, bytes]) -> Heard:
        return await call(self.town.app, "POST", path, headers=[*self._headers(), FORM, *extra], chunks=[body.encode()])

    async def sign_in(self, secret: str) -> "Browser":
        """Sign in, which must succeed, and learn the token that stands in the forms."""
        heard = await self.post("/console/sign-in", secret=secret)
        assert heard.status == 303, heard.body
        self.cookie = heard.headers["set-cookie"].partition(";")[0]
        page = await self.get("/console/account")
        assert page.status == 200, page.body
        found = CSRF.search(page.body.decode())
        assert found is not None
        self.csrf = found[1]
        return self

    def _headers(self) -> Headers:
        cookie = [] if self.cookie is None else [(b"cookie", self.cookie.encode())]
        return [(b"host", HOST.encode()), *cookie, *self.more]


class ConsoleTown:
    """One console, and the world behind it."""

    def __init__(self, world: World, settings: ConsoleSettings | None = None) -> None:
        self.world = world
        self.closing = asyncio.Event()
        self.app = create_console(world.broker, settings or ConsoleSettings(hosts=frozenset({HOST})), self.closing)

    def browser(self) -> Browser:
        return Browser(self)

    async def by_token(self, name: str = "eve") -> Browser:
        return await self.browser().sign_in(await self.world.token(Kind.OPERATOR, name))

    async def by_link(self, name: str = "eve") -> Browser:
        return await self.browser().sign_in(await self.world.token(Kind.LINK, name, issued_by="assent serve"))


def text_of(heard: Heard) -> str:
    """Return what stands on a page, without its tags, on one line."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", heard.body.decode())).split())
