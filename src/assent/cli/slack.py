"""`assent slack`: make the app with the least scopes, and see whether everything about it is right."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from assent.cli import output
from assent.cli.exits import Exit
from assent.cli.output import AsJson
from assent.config import Settings, find_file, load_settings
from assent.core.characters import visible
from assent.core.errors import ConfigInvalid

app = output.group("Set up approvals in Slack, and find out what is wrong with them.")

Config = Annotated[Path | None, typer.Option("--config", help="The broker's settings; ./assent.toml by default.")]


@app.command()
def manifest(
    *,
    url: Annotated[
        str | None, typer.Option("--url", help="Clicks come over HTTP to this address; without it over a socket.")
    ] = None,
) -> None:
    """Print the app's manifest, to be pasted at api.slack.com/apps under "From an app manifest"."""
    from assent.slack.manifest import manifest as made  # only with the extra

    if url is not None and not url.startswith("https://"):
        raise ConfigInvalid("Slack calls https addresses only", hint="give the broker's public address")
    print(json.dumps(made(public_url=url), indent=2))


@app.command()
def doctor(
    *,
    config: Config = None,
    test_card: Annotated[bool, typer.Option("--test-card", help="Post a test card to every channel.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look at tokens, scopes, channels and accounts, one line each: ok, or what is wrong and how to mend it."""
    settings = load_settings(find_file(config, Path.cwd()))
    found = asyncio.run(_examined(settings, test_card=test_card))
    if as_json:
        rows = [{"what": what, "ok": not wrong, "wrong": wrong, "fix": fix} for what, wrong, fix in found]
        print(json.dumps({"findings": rows}))
    else:
        for what, wrong, fix in found:
            typer.echo(f"ok     {visible(what)}" if not wrong else f"wrong  {visible(what)}: {visible(wrong)}")
            if fix:
                typer.echo(f"       next: {visible(fix)}")
    if any(wrong for _, wrong, _ in found):
        raise typer.Exit(Exit.FINDINGS)


async def _examined(settings: Settings, *, test_card: bool) -> list[tuple[str, str, str]]:
    from assent.policy import load  # only this command needs them
    from assent.slack.doctor import examine
    from assent.slack.web import SlackWeb
    from assent.wiring.assembly import now

    bot, app_token = settings.secret("slack_bot_token"), settings.secret("slack_app_token")
    if bot is None:
        raise ConfigInvalid("no bot token is set", hint="set `ASSENT_SLACK_BOT_TOKEN`, or `slack_bot_token_file`")
    policy = load(settings.policy_directory, now)
    web = SlackWeb(bot, base_url=settings.slack_api_url)
    second = None if app_token is None else SlackWeb(app_token, base_url=settings.slack_api_url)
    try:
        found = examine(web, policy, policy.route_names, app=second, test_card=test_card)
        return [(finding.what, finding.wrong, finding.fix) async for finding in found]
    finally:
        await web.close()
        if second is not None:
            await second.close()
