"""HTTP as an operator: where the credential comes from, and what a broker that is not there is called."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from assent.cli.exits import Exit
from tests.cli.conftest import Shell
from tests.serving.broker_process import BrokerProcess

TOKEN = "aso_0000_somebodysecret"


def credentials(home: Path, text: str, mode: int = 0o600) -> Path:
    file = home / ".config" / "assent" / "credentials"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    file.chmod(mode)
    return file


def test_a_broker_that_is_not_there_is_told_with_the_address_that_was_tried(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    said = shell("approvals", "list", ASSENT_URL=f"http://127.0.0.1:{port}", ASSENT_OPERATOR_TOKEN=TOKEN)
    assert said.code == Exit.UNREACHABLE
    assert f"no broker answers at `http://127.0.0.1:{port}`" in said.err
    assert "assent serve" in said.err
    assert "Traceback" not in said.err


@pytest.fixture
def stranger() -> Iterator[str]:
    """Something that speaks HTTP and is no broker."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\ncontent-type: text/html\r\n\r\n<html>")

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(10)


def test_what_answers_and_is_no_broker_is_told(shell: Shell, stranger: str) -> None:
    said = shell("approvals", "list", ASSENT_URL=stranger, ASSENT_OPERATOR_TOKEN=TOKEN)
    assert (said.code, "is no broker" in said.err) == (Exit.UNREACHABLE, True)


def test_without_a_token_the_next_step_is_told(shell: Shell) -> None:
    said = shell("approvals", "list")
    assert (said.code, "ASSENT_OPERATOR_TOKEN" in said.err) == (Exit.USAGE, True)


@pytest.mark.requirement("P9")
def test_a_token_never_travels_in_the_clear_to_another_machine(shell: Shell) -> None:
    said = shell("approvals", "list", ASSENT_URL="http://192.0.2.1:8420", ASSENT_OPERATOR_TOKEN=TOKEN)
    assert (said.code, "unencrypted" in said.err) == (Exit.USAGE, True)
    assert "somebodysecret" not in said.err


def test_the_file_of_credentials_is_used(broker: BrokerProcess, shell: Shell, tmp_path: Path) -> None:
    credentials(tmp_path, f'url = "{broker.url}"\noperator_token = "{broker.home.operator_token}"\n')
    assert shell("approvals", "list", HOME=str(tmp_path)).code == 0


@pytest.mark.requirement("P9")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o606])
def test_a_file_of_credentials_that_others_can_read_is_refused(shell: Shell, tmp_path: Path, mode: int) -> None:
    file = credentials(tmp_path, f'operator_token = "{TOKEN}"\n', mode)
    said = shell("approvals", "list", HOME=str(tmp_path))
    assert (said.code, f"chmod 600 {file}" in said.err) == (Exit.USAGE, True)


def test_a_file_of_credentials_that_is_no_toml_is_told(shell: Shell, tmp_path: Path) -> None:
    credentials(tmp_path, TOKEN)
    said = shell("approvals", "list", HOME=str(tmp_path))
    assert (said.code, "is not TOML" in said.err) == (Exit.USAGE, True)
    assert "somebodysecret" not in said.err


def test_a_token_that_the_broker_does_not_know_is_refused(broker: BrokerProcess, shell: Shell) -> None:
    said = shell("approvals", "list", ASSENT_URL=broker.url, ASSENT_OPERATOR_TOKEN=TOKEN)
    assert (said.code, "ASSENT_OPERATOR_TOKEN" in said.err) == (Exit.REFUSED, True)
    assert "somebodysecret" not in said.err


@pytest.mark.parametrize("token", ["somebodysecret", "asn_0000_somebodysecret", "aso_0000_somebodysecret\n"])
def test_what_is_no_operator_token_is_told_with_the_place_it_came_from(shell: Shell, token: str) -> None:
    said = shell("approvals", "list", ASSENT_OPERATOR_TOKEN=token)
    assert (said.code, "ASSENT_OPERATOR_TOKEN" in said.err) == (Exit.USAGE, True)
    assert "somebodysecret" not in said.err
