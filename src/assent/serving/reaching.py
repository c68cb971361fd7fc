"""The ways to reach people besides Slack, made from the settings; a secret that others can read stops the start."""

from assent.channels.mail import MailChannel, MailServer
from assent.channels.paging import PagingChannel, Place
from assent.config import Settings, secret_in
from assent.ports import Clock


def paging_of(settings: Settings, *, page: str | None, now: Clock) -> PagingChannel | None:
    """Return what tells approvals to the declared webhooks, or None where there is none.

    Raises:
        ConfigInvalid: a secret cannot be read safely.

    """
    places = {
        name: Place(one.url, one.kind, secret_in(one.secret_file, f"webhooks.{name}.secret_file").encode())
        for name, one in settings.webhooks.items()
    }
    return PagingChannel(places, page=page, now=now) if places else None


def mail_server_of(settings: Settings) -> MailServer | None:
    """Return the mail server, or None where none is set.

    Raises:
        ConfigInvalid: the password cannot be read safely.

    """
    if settings.smtp_host is None or settings.email_from is None:
        return None
    return MailServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        security=settings.smtp_security,
        sender=settings.email_from,
        user=settings.smtp_user,
        password=settings.secret("smtp_password"),
    )


def mail_of(settings: Settings, *, page: str | None, now: Clock) -> MailChannel | None:
    """Return what writes e-mails about approvals, or None where no mail server is set. Raises ConfigInvalid."""
    server = mail_server_of(settings)
    return None if server is None else MailChannel(server, page=page, now=now)
