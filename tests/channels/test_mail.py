"""Approvals by e-mail: one when a person is asked, one when it is over, through a mail server that is no stranger."""

import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from assent.channels.mail import MailChannel, MailServer
from assent.config import MailSecurity
from assent.core.actions import ActionState
from assent.core.approvals import ApprovalState
from assent.core.deliveries import DeliveryFault, LockedOut, NobodyKnows, NotNow, Showing, Undeliverable
from tests.channels.receivers import PASSWORD, USER, MailHouse, mail_house
from tests.channels.test_paging import PAGE, decided, showing
from tests.core.samples import NOW, an_action, an_approval, an_operator

EVE = an_operator("eve", "oncall", email="eve@example.com")


@pytest.fixture
def house() -> Iterator[MailHouse]:
    with mail_house() as running:
        yield running


def server(house: MailHouse, security: MailSecurity = MailSecurity.NONE, password: str = PASSWORD) -> MailServer:
    return MailServer(
        host="127.0.0.1",
        port=house.port,
        security=security,
        sender="assent@broker.example",
        user=USER,
        password=password,
    )


def channel(house: MailHouse, **changes: Any) -> MailChannel:
    return MailChannel(server(house, **changes), page=PAGE, now=lambda: NOW)


def asked() -> Showing:
    return replace(showing(), operators=(EVE,))


def over(state: ApprovalState, action: ActionState) -> Showing:
    return replace(decided(state, action), operators=(EVE,))


async def test_a_person_reads_who_asks_for_what_and_where_to_answer(house: MailHouse) -> None:
    told = await channel(house).announce("eve", asked())
    ((to, message),) = house.taken
    assert (to, message["From"], message["To"]) == ("eve@example.com", "assent@broker.example", "eve@example.com")
    assert message["Subject"] == "K7Q-4MX bot: k8s.scale production - approval needed, 13 min left"
    assert (message["Message-ID"], message["Auto-Submitted"]) == ("<apr_1.asked@broker.example>", "auto-generated")
    assert house.signed_in == [True]
    (text,) = house.texts()
    assert text.splitlines()[2:] == [
        f"Answer: {PAGE}apr_1",
        "Agent: bot, of owner",
        "Tool: k8s.scale, a write action",
        "Where: production",
        "Can answer: eve, sam",
        "Until: 2026-11-23 10:15 UTC, then it is denied by itself",
        "",
        "What exactly would run stands there. An answer to this e-mail reaches nobody.",
    ]
    assert (told.place, told.approvable) == ("apr_1/asked", False)
    assert told.seen == sha256(text.encode()).hexdigest()


async def test_they_are_written_to_once_more_when_it_is_over_and_not_when_it_runs(house: MailHouse) -> None:
    mail = channel(house)
    first = await mail.announce("eve", asked())
    partial = await mail.update("eve", first.place, replace(asked(), approval=an_approval(state=ApprovalState.PARTIAL)))
    assert (partial.place, partial.seen) == (first.place, "")
    last = await mail.update("eve", first.place, over(ApprovalState.APPROVED, ActionState.READY))
    runs = await mail.update("eve", last.place, over(ApprovalState.APPROVED, ActionState.EXECUTING))
    assert (runs.place, runs.seen) == (last.place, "")
    subjects = [str(message["Subject"]).partition(" - ")[2] for _, message in house.taken]
    assert subjects == ["approval needed, 13 min left", "approved"]
    assert house.taken[1][1]["In-Reply-To"] == "<apr_1.asked@broker.example>"
    assert await mail.find("eve", asked(), NOW) is None


@pytest.mark.requirement("T13")
async def test_nothing_of_an_approval_becomes_a_header_or_a_letter_of_its_own(house: MailHouse) -> None:
    hostile = "prod\r\nBcc: all@example.com\r\n\r\n.\r\nMAIL FROM:<x@y>"
    shown = replace(
        asked(),
        approval=an_approval(environment=hostile),
        action=an_action(resource=hostile, environment=hostile, resource_is_public=True),
    )
    await channel(house).announce("eve", shown)
    ((to, message),) = house.taken
    assert (to, message["Bcc"], len(house.taken)) == ("eve@example.com", None, 1)
    assert "prod\\u{d}\\u{a}Bcc: all@example.com" in house.texts()[0]


FAULTS: list[tuple[dict[str, str], type[DeliveryFault]]] = [
    ({"EHLO": "hang up"}, NotNow),
    ({"AUTH": "535 no"}, LockedOut),
    ({"AUTH": "454 later"}, LockedOut),
    ({"RCPT": "550 no such box"}, Undeliverable),
    ({"RCPT": "450 busy"}, NotNow),
    ({"MAIL": "550 not from you"}, Undeliverable),
    ({"DATA": "451 later"}, NobodyKnows),
    ({"TAKEN": "hang up"}, NobodyKnows),
    ({"TAKEN": "554 spam"}, Undeliverable),
]


@pytest.mark.requirement("P2")
@pytest.mark.parametrize(("faults", "fault"), FAULTS)
async def test_what_the_mail_server_does_not_take_is_tried_again_where_that_may_help(
    house: MailHouse, faults: dict[str, str], fault: type[DeliveryFault]
) -> None:
    house.faults |= faults
    with pytest.raises(fault):
        await channel(house).announce("eve", asked())


async def test_a_server_that_is_away_or_lets_nobody_in_is_told_apart(house: MailHouse) -> None:
    with pytest.raises(LockedOut, match="535"):
        await channel(house, password="another").announce("eve", asked())
    away = replace(server(house), port=1)
    with pytest.raises(NotNow, match="refused"):
        await MailChannel(away, page=None, now=lambda: NOW).announce("eve", asked())
    assert "password" not in repr(server(house))


async def test_who_has_no_address_any_more_is_not_written_to(house: MailHouse) -> None:
    with pytest.raises(Undeliverable, match="`eve` has no address"):
        await channel(house).announce("eve", replace(asked(), operators=(replace(EVE, email=None),)))
    assert house.taken == []


@pytest.mark.requirement("T13")
@pytest.mark.parametrize("security", [MailSecurity.STARTTLS, MailSecurity.TLS])
async def test_a_mail_server_whom_nobody_vouches_for_hears_neither_password_nor_e_mail(
    tmp_path: Path, security: MailSecurity
) -> None:
    with mail_house(certificate=_own_word(tmp_path)) as house:
        with pytest.raises(NotNow):
            await channel(house, security=security).announce("eve", asked())
        assert (house.taken, house.signed_in) == ([], [])


async def test_a_mail_server_that_offers_no_encryption_is_told_nothing(house: MailHouse) -> None:
    with pytest.raises(NotNow, match="STARTTLS"):
        await channel(house, security=MailSecurity.STARTTLS).announce("eve", asked())
    assert (house.taken, house.signed_in) == ([], [])


def _own_word(folder: Path) -> ssl.SSLContext:
    """Return what speaks TLS with a certificate that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = (
        made.serial_number(1).not_valid_before(NOW - timedelta(days=900)).not_valid_after(NOW + timedelta(days=9_000))
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = folder / "own.pem"
    file.write_bytes(secret + made.sign(key, hashes.SHA256()).public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context
