"""`assent serve`: a broker in this process until it is asked to stop.

Without a configuration it serves `./policies` with its state under `./.assent`, which it makes once and says so.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assent.cli.output import AsJson

if TYPE_CHECKING:
    from assent.config import Settings
    from assent.serving import SignIn

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def serve(
    *,
    config: Annotated[Path | None, typer.Option(help="The configuration; by default ./assent.toml.")] = None,
    host: Annotated[str | None, typer.Option(help="Listen here instead.")] = None,
    port: Annotated[int | None, typer.Option(help="Listen on this port instead; 0 takes a free one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run a broker on this machine until SIGTERM or Ctrl-C; SIGHUP reloads its policies."""
    from assent.cli import place

    if config is None and place.is_clone_without_state():
        _make_state(as_json=as_json)
    given: dict[str, str | int | None] = {"host": host, "port": port}
    settings = place.settings_here(config, **{key: value for key, value in given.items() if value is not None})

    from assent.serving import serve as serve_until_stopped

    sign_in = _sign_in(settings) if sys.stdout.isatty() and not as_json else None
    serve_until_stopped(settings, on_ready=lambda url: _say_ready(url, settings, as_json=as_json), sign_in=sign_in)


def _sign_in(settings: "Settings") -> "SignIn | None":
    """Return who is shown a link to sign in with: the first operator, on a terminal of the machine that serves."""
    from assent.cli import starting
    from assent.serving import SignIn

    # Elsewhere the link would name another machine, and nobody knows who looks at that screen.
    return SignIn(starting.OPERATOR, _show_link) if settings.is_loopback else None


def _show_link(link: str) -> None:
    print(f"sign in at the console, once and within 2 minutes:\n  {link}", flush=True)


def _make_state(*, as_json: bool) -> None:
    from assent.cli import place, starting

    shown = sys.stdout.isatty() and not as_json
    operator_token, agent_key = starting.make_state(place.STATE, keep=not shown)
    if not shown:
        kept = place.STATE / starting.CREDENTIALS
        print(f"made keys and a ledger in {place.STATE}/, credentials in {kept}", file=sys.stderr)
        return
    print(f"made keys and a ledger in {place.STATE}/; shown once, keep them apart:")
    print(f"  export ASSENT_OPERATOR_TOKEN={operator_token}   # yours: approve and stop")
    print(f"  export ASSENT_AGENT_KEY={agent_key}   # {starting.AGENT}'s\n")


def _say_ready(url: str, settings: "Settings", *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"url": url, "ledger": settings.ledger_name}), flush=True)
        return
    print(f"assent serves {url}, ledger {settings.ledger_name}, policies {settings.policy_directory}", flush=True)
