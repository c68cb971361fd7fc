"""The guard: every route of the console, enumerated from the application, for whoever has no business there."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from starlette.routing import Mount, Route

from tests.api.client import Headers, call
from tests.api.town import Town
from tests.console.town import FORM, HOST, ConsoleTown

# Everything else needs a session.
PUBLIC = {
    ("GET", "/"),
    ("GET", "/console"),
    ("GET", "/console/sign-in"),
    ("POST", "/console/sign-in"),
    ("GET", "/console/sign-in/oidc"),
    ("GET", "/console/sign-in/oidc/back"),
    ("POST", "/console/sign-in/passkey"),
    ("POST", "/console/sign-in/passkey/ask"),
}


def routes(town: ConsoleTown) -> Iterator[tuple[str, str]]:
    """Yield method and path of every route, with a name in place of each parameter."""
    for route in town.app.routes:
        if isinstance(route, Mount):
            assert route.path == "/console/static"
            continue
        assert isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}:
            yield method, route.path.replace("{", "").replace("}", "")


def guarded(town: ConsoleTown, method: str) -> list[str]:
    return [path for one, path in routes(town) if one == method and (one, path) not in PUBLIC]


@pytest.mark.requirement("T17", "P1")
async def test_every_form_refuses_whoever_is_not_signed_in(town: ConsoleTown) -> None:
    forms = guarded(town, "POST")
    assert forms
    for path in forms:
        heard = await town.browser().post(path)
        assert heard.status == 401, (path, heard.body)


@pytest.mark.requirement("T17", "P1")
async def test_every_page_sends_whoever_is_not_signed_in_to_the_door(town: ConsoleTown) -> None:
    for path in guarded(town, "GET"):
        heard = await town.browser().get(path)
        assert heard.status in {303, 401}, (path, heard.body)
        assert not heard.body


@pytest.mark.requirement("T17")
@pytest.mark.parametrize("csrf", ["", "0" * 64, "é"])
async def test_every_form_refuses_a_session_without_its_own_token(town: ConsoleTown, csrf: str) -> None:
    eve = await town.by_link()
    before = await town.world.kinds()
    for path in guarded(town, "POST"):
        heard = await eve.post(path, csrf=csrf)
        assert heard.status == 403, (path, heard.body)
    assert await town.world.kinds() == before


@pytest.mark.requirement("T17")
async def test_the_token_of_another_session_is_refused(town: ConsoleTown) -> None:
    eve, sam = await town.by_link(), await town.by_link("sam")
    for path in guarded(town, "POST"):
        assert (await eve.post(path, csrf=sam.csrf)).status == 403, path


@pytest.mark.requirement("T17")
@pytest.mark.parametrize(
    "header",
    [
        (b"origin", b"https://evil.example"),
        (b"origin", b"null"),
        (b"origin", b"https://console.test"),
        (b"origin", b"http://console.test:81"),
        (b"sec-fetch-site", b"cross-site"),
        (b"sec-fetch-site", b"same-site"),
    ],
)
async def test_a_form_from_elsewhere_is_refused_also_where_nobody_is_signed_in(
    town: ConsoleTown, header: tuple[bytes, bytes]
) -> None:
    eve = await town.by_link()
    for method, path in routes(town):
        if method == "POST":
            assert (await eve.post(path, header)).status == 403, path


async def test_a_form_from_our_own_page_is_taken(town: ConsoleTown) -> None:
    eve = await town.by_link()
    own = [(b"origin", f"http://{HOST}".encode()), (b"sec-fetch-site", b"same-origin")]
    assert (await eve.post("/console/sign-out", *own)).status == 303


@pytest.mark.requirement("T17")
@pytest.mark.parametrize(
    "hosts", [[], [b"evil.example"], [b"console.test.evil.example"], [b"console.test", b"console.test"], [b""]]
)
async def test_another_name_is_not_answered(town: ConsoleTown, hosts: list[bytes]) -> None:
    eve = await town.by_link()
    assert eve.cookie is not None
    headers: Headers = [(b"host", host) for host in hosts]
    for method, path in routes(town):
        heard = await call(town.app, method, path, headers=[*headers, (b"cookie", eve.cookie.encode()), FORM])
        assert heard.status == 421, (method, path)


@pytest.mark.requirement("T17")
async def test_every_answer_forbids_frames_foreign_origins_and_inline_script(town: ConsoleTown) -> None:
    eve = await town.by_link()
    heard = [await eve.get(path) for _, path in routes(town) if path != "/console/live"]
    heard += [
        await eve.get("/console/static/console.css"),
        await eve.get("/console/no-such"),
        await eve.post("/console/x"),
    ]
    for one in heard:
        policy = {part.split()[0]: part.split()[1:] for part in one.headers["content-security-policy"].split(";")}
        assert policy["default-src"] == ["'none'"]
        assert policy["script-src"] == policy["style-src"] == policy["form-action"] == ["'self'"]
        assert policy["frame-ancestors"] == policy["base-uri"] == ["'none'"]
        assert one.headers["x-frame-options"] == "DENY"
        assert one.headers["x-content-type-options"] == "nosniff"
        assert one.headers["referrer-policy"] == "same-origin"
        assert one.headers["cache-control"] in {"no-store", "no-cache"}


@pytest.mark.parametrize(
    ("body", "media"),
    [
        ("csrf=a&csrf=b", b"application/x-www-form-urlencoded"),
        ("{}", b"application/json"),
        ("a=%ff", b"application/x-www-form-urlencoded"),
        ("&".join(f"f{n}=1" for n in range(30)), b"application/x-www-form-urlencoded"),
        ("a=" + "x" * 70_000, b"application/x-www-form-urlencoded"),
        ("a=\u20ac", b"application/x-www-form-urlencoded"),
    ],
)
async def test_what_is_no_form_is_refused(town: ConsoleTown, body: str, media: bytes) -> None:
    eve = await town.by_link()
    headers = [header for header in (await_headers(eve)) if header[0] != b"content-type"]
    heard = await call(
        town.app, "POST", "/console/sign-out", headers=[*headers, (b"content-type", media)], chunks=[body.encode()]
    )
    assert heard.status == 400, heard.body


def await_headers(browser: object) -> Headers:
    cookie = getattr(browser, "cookie", None)
    assert isinstance(cookie, str)
    return [(b"host", HOST.encode()), (b"cookie", cookie.encode())]


async def test_a_link_from_another_site_comes_once_more_from_our_own_page(town: ConsoleTown) -> None:
    heard = await town.browser().get("/console/account?x=1", (b"sec-fetch-site", b"cross-site"))
    assert heard.status == 200
    assert b'content="0; url=/console/account?x=1"' in heard.body


@pytest.mark.requirement("P2")
async def test_a_ledger_that_is_away_is_told_as_that_and_nothing_more(town: ConsoleTown) -> None:
    eve = await town.by_link()
    await town.world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has
    heard = await eve.post("/console/sign-out")
    assert heard.status == 503
    assert b"sqlite" not in heard.body.lower()


async def test_the_application_answers_the_console_beside_the_api(town: ConsoleTown) -> None:
    from assent.api import create_app

    api = Town(town.world)
    app = create_app(
        town.world.broker,
        readiness=api._readiness,  # noqa: SLF001  # the town's own
        log=api.log,
        key_set=dict,
        measure=api._measure,  # noqa: SLF001  # the town's own
        console=replace(town.app.state.console.settings),
    )
    host = [(b"host", HOST.encode())]
    assert (await call(app, "GET", "/console/sign-in", headers=host)).status == 200
    assert (await call(app, "GET", "/", headers=host)).status == 307
    assert (await call(app, "GET", "/console/sign-in")).status == 421
    assert (await call(app, "GET", "/healthz")).status == 200
    assert (await call(app, "GET", "/consoles", headers=host)).code == "not_found"
    assert (await call(api.app, "GET", "/console/sign-in", headers=host)).code == "not_found"
