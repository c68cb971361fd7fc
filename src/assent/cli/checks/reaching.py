"""How people are reached: whether what the routes name is set up and answers, and whether Slack may fail alone."""

import smtplib
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from assent.cli.checks.findings import Finding, State
from assent.core.deliveries import DIRECT, EMAIL, SLACK, WEBHOOK

if TYPE_CHECKING:
    from assent.config import Settings
    from assent.core.approvals import Route

ANSWER_SECONDS: Final = 4.0
_PORTS: Final = {"https": 443, "http": 80}


def routes(settings: "Settings") -> Iterator[Finding]:
    """Look at whom each route tells, and with what."""
    found = _routes(settings)
    for route in found:
        yield from _missing(route, settings)
        if _ends_in_slack(route):
            said = f"route `{route.name}`: its last step tells people in Slack alone, which may be away"
            fix = "end it with `webhook:NAME` or `email:GROUP`"
            yield Finding("reaching people", State.WRONG, said, fix)
    told = sorted({where for route in found for where in _told(route)})
    if told and settings.is_loopback and settings.public_url is None:
        said = "what is told carries no link: no other machine reaches this broker"
        yield Finding("reaching people", State.NOTE, said)
    if not told:
        said = "no route tells anybody: people look by themselves, with `assent approvals watch` or at the console"
        yield Finding("reaching people", State.NOTE, said)


def webhooks(settings: "Settings") -> Iterator[Finding]:
    """Look whether somebody answers at each webhook's address; nothing is told there."""
    from assent.config import secret_in

    for name, webhook in settings.webhooks.items():
        secret_in(webhook.secret_file, f"webhooks.{name}.secret_file")
        parts = urlsplit(webhook.url)
        place = f"`{name}`: {parts.hostname}"
        try:
            _connect(parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme])
        except OSError as fault:
            said = f"{place} cannot be reached: {_why(fault)}"
            yield Finding("webhook", State.WRONG, said, "see to the address, the network and its certificate")
        else:
            yield Finding("webhook", State.OK, f"{place} can be reached; whether it believes us shows when it is told")


def mail(settings: "Settings") -> Iterator[Finding]:
    """Look whether the mail server lets us in; nothing is sent."""
    from assent.serving.reaching import mail_server_of

    server = mail_server_of(settings)
    if server is None:
        return
    try:
        server.connect().quit()
    except (OSError, smtplib.SMTPException) as fault:
        fix = "see to `smtp_host`, `smtp_port`, `smtp_security`, `smtp_user` and its password"
        yield Finding("e-mail", State.WRONG, f"{server.host} port {server.port}: {_why(fault)}", fix)
    else:
        yield Finding("e-mail", State.OK, f"{server.host} port {server.port} would take e-mails from {server.sender}")


def issuer(settings: "Settings") -> Iterator[Finding]:
    """Look whether the issuer of single sign-on says of itself what was set."""
    if settings.oidc_issuer is None:
        return
    from assent.console.issuer import NotVouchedFor, discovered

    settings.secret("oidc_client_secret")
    try:
        discovered(settings.oidc_issuer)
    except NotVouchedFor as fault:
        fix = "see to `oidc_issuer`: it must be written as the issuer names itself"
        yield Finding("single sign-on", State.WRONG, f"{settings.oidc_issuer}: {fault.message}", fix)
    else:
        yield Finding("single sign-on", State.OK, f"{settings.oidc_issuer} answers")


def _connect(scheme: str, host: str, port: int) -> None:
    with socket.create_connection((host, port), timeout=ANSWER_SECONDS) as plain:
        if scheme == "https":
            ssl.create_default_context().wrap_socket(plain, server_hostname=host).close()


def _why(fault: Exception) -> str:
    return (getattr(fault, "strerror", None) or str(fault)).lower()


def _routes(settings: "Settings") -> "list[Route]":
    from assent.policy import load

    policy = load(settings.policy_directory, lambda: datetime.now(UTC))
    return [route for name in policy.route_names if (route := policy.route(name)) is not None]


def _told(route: "Route") -> list[str]:
    return [where for step in route.steps for where in step.tell]


def _ends_in_slack(route: "Route") -> bool:
    if not route.steps:
        return False
    last = max(route.steps, key=lambda step: step.after)
    return all(where.partition(":")[0] in {SLACK, DIRECT} for where in last.tell)


def _missing(route: "Route", settings: "Settings") -> Iterator[Finding]:
    """Yield what a route names that this broker has not set up."""
    has_slack = settings.slack_bot_token is not None or settings.slack_bot_token_file is not None
    for where in _told(route):
        kind, _, name = where.partition(":")
        fix = ""
        if kind == WEBHOOK and name not in settings.webhooks:
            fix = f"set up `[webhooks.{name}]`"
        elif kind == EMAIL and settings.smtp_host is None:
            fix = "set `smtp_host` and `email_from`"
        elif kind in {SLACK, DIRECT} and not has_slack:
            fix = "set `slack_bot_token_file`, see docs/slack.md"
        if fix:
            said = f"route `{route.name}` tells `{where}`, and nothing is set up to tell it"
            yield Finding("reaching people", State.WRONG, said, f"{fix}, or take it out of routes.yaml")
