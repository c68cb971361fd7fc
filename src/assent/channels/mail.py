"""Approvals by e-mail: one when a person is asked, one when it is over; plain text, over SMTP.

Nothing can be answered by e-mail: it says where to. What nobody knows to have arrived is sent again, under the same
Message-ID, because one e-mail too many is better than one too few.
"""

import asyncio
import smtplib
import ssl
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from hashlib import sha256
from typing import Final

from assent.channels import told
from assent.channels.paging import not_now
from assent.channels.posting import hung_up_after
from assent.config import MailSecurity
from assent.core.approvals import OPEN
from assent.core.deliveries import LockedOut, NobodyKnows, Showing, Told, Undeliverable
from assent.core.operators import OperatorId

TIMEOUT_SECONDS: Final = 4.0
ALL_OF_IT_SECONDS: Final = 8.0
MOST_AT_ONCE: Final = 4
_PERMANENT: Final = range(500, 600)
_MAX_SUBJECT: Final = 200
_ASKED: Final = "asked"
_OVER: Final = "over"


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Where e-mails are handed over, and in whose name."""

    host: str
    port: int
    security: MailSecurity
    sender: str
    user: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        """Tell no password."""
        return f"MailServer({self.host}:{self.port})"

    def connect(self) -> smtplib.SMTP:
        """Return a connection that may send.

        Raises:
            OSError, smtplib.SMTPException: there is none, or it lets nobody of that name in.

        """
        if self.security is MailSecurity.TLS:
            verified = ssl.create_default_context()
            server: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, timeout=TIMEOUT_SECONDS, context=verified)
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_SECONDS)
        try:
            with hung_up_after(ALL_OF_IT_SECONDS, lambda: server.sock):
                self._secure(server)
        except BaseException:
            server.close()
            raise
        return server

    def _secure(self, server: smtplib.SMTP) -> None:
        if self.security is MailSecurity.STARTTLS:
            server.starttls(context=ssl.create_default_context())
        if self.user is not None:
            server.login(self.user, self.password or "")


class MailChannel:
    """A `Channel` to people: `where` is an operator's id, and their declared address is looked up when it is sent."""

    def __init__(self, server: MailServer, *, page: str | None, now: Callable[[], datetime]) -> None:
        self._server = server
        self._page = page
        self._now = now
        self._threads = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="e-mail")

    async def announce(self, where: str, showing: Showing) -> Told:
        """Write to a person that they are asked."""
        return await self._in_thread(where, showing, _ASKED)

    async def update(self, where: str, place: str, showing: Showing) -> Told:
        """Write once that it is over; what moves before or after that is no reason to write."""
        if showing.approval.state in OPEN or place.endswith(_OVER):
            return Told(place=place, seen="", approvable=False)
        return await self._in_thread(where, showing, _OVER)

    async def find(self, where: str, showing: Showing, since: datetime) -> str | None:
        """Return None: nobody can look into other people's mail, so it is sent again."""
        del where, showing, since
        return None

    async def _in_thread(self, where: str, showing: Showing, part: str) -> Told:
        # Threads of its own: a mail server that answers slowly keeps nothing else of the process waiting.
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._send, where, showing, part)

    def _send(self, where: str, showing: Showing, part: str) -> Told:
        address = _address(showing, where)
        message = self._message(showing, address, part)
        self._hand_over(message, address)
        place = f"{showing.approval.id}/{part}"
        return Told(place=place, seen=sha256(message.get_content().encode()).hexdigest(), approvable=False)

    def _message(self, showing: Showing, address: str, part: str) -> EmailMessage:
        approval, domain = showing.approval, self._server.sender.rpartition("@")[2]
        message = EmailMessage()
        message["From"] = self._server.sender
        message["To"] = address
        message["Subject"] = told.headline(showing)[:_MAX_SUBJECT]
        message["Date"] = format_datetime(self._now())
        message["Message-ID"] = f"<{approval.id}.{part}@{domain}>"
        if part == _OVER:
            message["In-Reply-To"] = message["References"] = f"<{approval.id}.{_ASKED}@{domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text_of(told.headline(showing), told.facts(showing, self._page)))
        return message

    def _hand_over(self, message: EmailMessage, address: str) -> None:
        try:
            server = self._server.connect()
        except smtplib.SMTPAuthenticationError as fault:
            raise LockedOut(_said(fault), hint="see to `smtp_user` and its password") from None
        except (OSError, smtplib.SMTPException) as fault:
            raise not_now(_said(fault), None) from None
        try:
            with hung_up_after(ALL_OF_IT_SECONDS, lambda: server.sock):
                server.send_message(message, from_addr=self._server.sender, to_addrs=[address])
        except smtplib.SMTPRecipientsRefused as fault:
            raise self._refused(fault.recipients, address) from None
        except smtplib.SMTPResponseException as fault:
            raise (Undeliverable if fault.smtp_code in _PERMANENT else NobodyKnows)(_said(fault)) from None
        except (OSError, smtplib.SMTPException) as fault:
            raise NobodyKnows(_said(fault)) from None
        finally:
            with suppress(OSError, smtplib.SMTPException):
                server.quit()

    def _refused(self, recipients: Mapping[str, tuple[int, bytes]], address: str) -> Exception:
        code, said = recipients.get(address, (0, b""))
        why = f"the mail server refused the address: {code} {said.decode(errors='replace')}"[:_MAX_SUBJECT]
        return Undeliverable(why) if code in _PERMANENT else not_now(why, None)


def text_of(headline: str, facts: Mapping[str, str]) -> str:
    """Return the text of an e-mail."""
    lines = [headline, "", *(f"{name}: {value}" for name, value in facts.items()), ""]
    return "\n".join([*lines, "What exactly would run stands there. An answer to this e-mail reaches nobody.", ""])


def _address(showing: Showing, where: str) -> str:
    for operator in showing.operators:
        if operator.id == OperatorId(where) and operator.email is not None:
            return operator.email
    raise Undeliverable(f"`{where}` has no address in operators.yaml any more")


def _said(fault: Exception) -> str:
    return f"the mail server: {fault}"[:_MAX_SUBJECT]
