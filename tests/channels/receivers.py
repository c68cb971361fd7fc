"""What stands at the other end: a program that takes webhooks and a mail server, real ones, on this machine."""

import base64
import json
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USER, PASSWORD = "assent", "a mail server's password"


@dataclass(frozen=True, slots=True)
class Received:
    """One request: its headers in small letters, and its body."""

    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> Any:  # JSON
        return json.loads(self.body)


@dataclass(slots=True)
class Program:
    """Takes webhooks at `url`; answers with the next of `answers`, else with 202. A status of 0 hangs up."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)


@contextmanager
def program() -> Iterator[Program]:
    """Run one."""
    here = Program()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            here.received.append(Received({name.lower(): value for name, value in self.headers.items()}, body))
            status, headers = here.answers.pop(0) if here.answers else (202, {})
            if status == 0:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in {"content-length": "0", **headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with running(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        here.url = f"http://127.0.0.1:{port}/hook"
        yield here


@contextmanager
def dripping() -> Iterator[str]:
    """Run a program that answers one byte after the other, without an end, until whoever asked is gone."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                while self.request.send(b"H"):
                    gone.wait(0.05)

    gone = threading.Event()
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    with running(server) as port:
        yield f"http://127.0.0.1:{port}/"
        gone.set()


@dataclass(slots=True)
class MailHouse:
    """A mail server: what it took, and what goes wrong with the next e-mails, by the command that it goes wrong at.

    A fault is an answer such as `550 no such box`, or `hang up`.
    """

    port: int = 0
    taken: list[tuple[str, EmailMessage]] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    signed_in: list[bool] = field(default_factory=list)
    certificate: ssl.SSLContext | None = None

    def texts(self) -> list[str]:
        return [str(message.get_content()).replace("\r\n", "\n") for _, message in self.taken]


class _HungUp(Exception):
    """The server goes away."""


class _Conversation(socketserver.StreamRequestHandler):
    """One client of a mail server, command by command."""

    house: MailHouse
    to = ""
    is_let_in = False

    def handle(self) -> None:
        try:
            self.say("220 here")
            while line := self.rfile.readline().decode().strip():
                self.answer(line)
        except (_HungUp, OSError):
            return

    def answer(self, line: str) -> None:
        command, _, rest = line.partition(" ")
        command = command.upper()
        if (fault := self.house.faults.pop(command, None)) is not None:
            self.fail(fault)
        elif command == "EHLO":
            offers = ["STARTTLS"] if self.house.certificate is not None else []
            self.say("\r\n".join(f"250-{one}" for one in ("here", *offers)) + "\r\n250 AUTH PLAIN")
        elif command == "STARTTLS":
            self.secure()
        elif command == "AUTH":
            self.let_in(rest)
        elif command == "DATA":
            self.take()
        elif command == "QUIT":
            self.say("221 bye")
            raise _HungUp
        else:
            if command == "RCPT":
                self.to = rest[rest.index("<") + 1 : rest.index(">")]
            self.say("250 so be it")

    def secure(self) -> None:
        assert self.house.certificate is not None
        self.say("220 go on")
        self.request = self.house.certificate.wrap_socket(self.request, server_side=True)
        self.rfile = self.request.makefile("rb")
        self.wfile = self.request.makefile("wb", buffering=0)

    def let_in(self, rest: str) -> None:
        _, user, password = base64.b64decode(rest.partition(" ")[2]).decode().split("\0")
        self.is_let_in = (user, password) == (USER, PASSWORD)
        self.say("235 come in" if self.is_let_in else "535 who are you")

    def take(self) -> None:
        self.say("354 tell me")
        lines = []
        while (line := self.rfile.readline()) not in {b".\r\n", b""}:
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        message = message_from_bytes(b"".join(lines), policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.house.taken.append((self.to, message))
        self.house.signed_in.append(self.is_let_in)
        if (fault := self.house.faults.pop("TAKEN", None)) is not None:
            self.fail(fault)
        self.say("250 taken")

    def fail(self, fault: str) -> None:
        if fault == "hang up":
            raise _HungUp
        self.say(fault)

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def mail_house(*, certificate: ssl.SSLContext | None = None) -> Iterator[MailHouse]:
    """Run one; with a certificate it speaks STARTTLS."""
    here = MailHouse(certificate=certificate)
    conversation = type("Conversation", (_Conversation,), {"house": here})
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), conversation)
    server.daemon_threads = True
    with running(server) as port:
        here.port = port
        yield here


@contextmanager
def running(server: socketserver.TCPServer) -> Iterator[int]:
    """Run a server in a thread of its own; yield its port."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
