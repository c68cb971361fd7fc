"""Over TLS the same holds, and a broker whose certificate nobody vouches for is no broker."""

import asyncio
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from assent import Assent, AsyncAssent, BrokerUnavailable
from tests.sdk.conftest import BRISK
from tests.sdk.standin import KEY, Server, StandIn, serving


def certificate() -> tuple[bytes, bytes]:
    """Return a self-signed certificate for 127.0.0.1 and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(subject_name=name, issuer_name=name, public_key=key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return signed.public_bytes(Encoding.PEM), private


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Path:
    public, private = certificate()
    path = tmp_path_factory.mktemp("tls") / "broker.pem"
    path.write_bytes(private + public)
    return path


@pytest.fixture
def secure(trust: Path) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trust)
    with serving(context) as server:
        yield server


def test_a_sync_agent_speaks_tls_on_one_kept_connection(secure: Server, trust: Path, spool: Path) -> None:
    vouching = ssl.create_default_context(cafile=str(trust))
    with Assent(secure.url, KEY, limits=BRISK, spool=spool, tls=vouching) as broker, broker.run("r"):
        for _ in range(3):
            with broker.action("files.read", {"path": "a"}):
                pass
    assert secure.standin.outcomes() == ["succeeded"] * 3
    assert len({seen.peer for seen in secure.standin.seen}) == 1


async def test_an_async_agent_speaks_tls_too(secure: Server, trust: Path, spool: Path) -> None:
    vouching = await asyncio.to_thread(ssl.create_default_context, cafile=str(trust))
    async with (
        AsyncAssent(secure.url, KEY, limits=BRISK, spool=spool, tls=vouching) as broker,
        broker.action("files.read", {"path": "a"}, run_id="r"),
    ):
        pass
    assert secure.standin.outcomes() == ["succeeded"]


def test_a_certificate_that_nobody_vouches_for_gets_no_key(secure: Server, spool: Path) -> None:
    with (
        Assent(secure.url, KEY, limits=BRISK, spool=spool) as broker,
        broker.run("r"),
        pytest.raises(BrokerUnavailable),
        broker.action("files.read", {"path": "a"}),
    ):
        pytest.fail("the body ran")
    assert secure.standin.seen == []


async def test_an_async_agent_refuses_it_too(secure: Server, spool: Path, standin: StandIn) -> None:
    async with AsyncAssent(secure.url, KEY, limits=BRISK, spool=spool) as broker:
        with broker.run("r"), pytest.raises(BrokerUnavailable):
            async with broker.action("files.read", {"path": "a"}):
                pytest.fail("the body ran")
    assert secure.standin.seen == []
