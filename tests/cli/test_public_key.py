"""The public key beside a ledger: only its owner may change it, and it is never written through a link."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from assent.cli.place import settings_here
from assent.wiring import Assembly, assemble, publish_key
from tests.serving.broker_process import Home

pytestmark = pytest.mark.requirement("P8")


@pytest.fixture
async def assembly(made: Home, tmp_path: Path) -> AsyncIterator[Assembly]:
    home = made.copied(tmp_path / "broker")
    (home.directory / "ledger.db.pub").unlink()
    assembly = assemble(settings_here(home.config), issuer="http://127.0.0.1")
    yield assembly
    await assembly.ledger.close()


@pytest.fixture
def open_to_all() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_to_all")
def test_nobody_else_may_change_it_whatever_the_umask(assembly: Assembly) -> None:
    file = publish_key(assembly)
    text = file.read_text()
    assert (file.stat().st_mode & 0o777, text.startswith(assembly.settings.log_origin)) == (0o644, True)
    assert publish_key(assembly).read_text() == text


def test_a_link_in_its_place_is_not_followed(assembly: Assembly, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    assembly.settings.ledger_file.with_name("ledger.db.pub").symlink_to(elsewhere)
    publish_key(assembly)
    assert not elsewhere.exists()
