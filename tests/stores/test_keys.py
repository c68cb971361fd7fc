"""Key files: made once for their owner alone, refused when anything about them is not as it was made."""

import json
import os
from base64 import urlsafe_b64decode
from collections.abc import Callable
from pathlib import Path

import pytest
from joserfc import jws
from joserfc.jwk import OKPKey

from assent.core.canonical import Json
from assent.core.errors import KeysInvalid
from assent.core.notes import open_note, parse_verifier_key, sign_note
from assent.stores.key_places import GRANT, LEDGER, LOG, NAMES, PAYLOAD, KeyPlaces
from assent.stores.keys import Keys, verifier

pytestmark = pytest.mark.requirement("P9")

CLAIMS: dict[str, Json] = {"iss": "assent", "aud": "k8s.scale", "exp": 2_000_000_000, "res": "prod/größe"}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def test_keys_come_back_as_they_were_made(directory: Path) -> None:
    made, loaded = Keys.create(directory), Keys.load(directory)
    assert (loaded.ledger, loaded.payload) == (made.ledger, made.payload)
    assert loaded.grant_jwks() == made.grant_jwks()
    assert loaded.log_verifier_key("assent/x") == made.log_verifier_key("assent/x")
    assert loaded.ledger_keys().blind("p", b"v") == made.ledger_keys().blind("p", b"v")


def test_key_files_are_for_their_owner_alone_whatever_the_umask(directory: Path) -> None:
    before = os.umask(0)
    try:
        Keys.create(directory)
    finally:
        os.umask(before)
    assert {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()} == dict.fromkeys(NAMES, 0o600)
    assert directory.stat().st_mode & 0o777 == 0o700


def test_every_key_is_another_one() -> None:
    made = [Keys.generate() for _ in range(2)]
    assert len({keys.ledger for keys in made} | {keys.payload for keys in made}) == 4
    assert len({json.dumps(keys.grant_jwks()) for keys in made}) == 2
    assert len({keys.log_verifier_key("a") for keys in made}) == 2


def test_keys_do_not_show_when_they_are_printed() -> None:
    keys = Keys.generate()
    assert repr(keys) == "Keys()"


@pytest.mark.parametrize("name", NAMES)
def test_a_key_that_is_there_is_never_overwritten(directory: Path, name: str) -> None:
    Keys.create(directory)
    before = (directory / name).read_bytes()
    for other in NAMES:
        if other != name:
            (directory / other).unlink()
    with pytest.raises(KeysInvalid, match="never overwritten"):
        Keys.create(directory)
    assert [path.name for path in directory.iterdir()] == [name]
    assert (directory / name).read_bytes() == before


def readable(path: Path) -> None:
    path.chmod(0o640)


def writable(path: Path) -> None:
    path.chmod(0o602)


def linked(path: Path) -> None:
    path.rename(path.with_suffix(".real"))
    path.symlink_to(path.with_suffix(".real"))


def gone(path: Path) -> None:
    path.unlink()


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def longer(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"00")


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir(mode=0o700)


HARMS = [readable, writable, linked, gone, emptied, cut, a_pipe, a_directory]


@pytest.mark.parametrize("harm", [*HARMS, longer])
@pytest.mark.parametrize("name", [LEDGER, PAYLOAD])
def test_a_secret_that_is_not_as_it_was_made_is_refused_by_name(
    directory: Path, name: str, harm: Callable[[Path], None]
) -> None:
    Keys.create(directory)
    harm(directory / name)
    with pytest.raises(KeysInvalid, match=name) as refused:
        Keys.load(directory)
    assert refused.value.hint


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("name", [LOG, GRANT])
def test_a_signing_key_that_is_not_as_it_was_made_is_refused_by_name(
    directory: Path, name: str, harm: Callable[[Path], None]
) -> None:
    Keys.create(directory)
    harm(directory / name)
    with pytest.raises(KeysInvalid, match=name) as refused:
        Keys.load(directory)
    assert refused.value.hint


def test_an_open_file_is_refused_with_the_command_that_closes_it(directory: Path) -> None:
    Keys.create(directory)
    readable(directory / LEDGER)
    with pytest.raises(KeysInvalid) as refused:
        Keys.load(directory)
    assert refused.value.hint == f"chmod 600 {directory / LEDGER}"


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o770])
def test_a_directory_that_is_open_to_others_is_refused(directory: Path, mode: int) -> None:
    Keys.create(directory)
    directory.chmod(mode)
    with pytest.raises(KeysInvalid) as refused:
        Keys.load(directory)
    assert refused.value.hint == f"chmod 700 {directory}"


def test_a_directory_that_is_missing_or_a_link_is_refused(directory: Path, tmp_path: Path) -> None:
    with pytest.raises(KeysInvalid, match="no key directory"):
        Keys.load(directory)
    Keys.create(tmp_path / "real")
    directory.symlink_to(tmp_path / "real")
    with pytest.raises(KeysInvalid, match="not a directory"):
        Keys.load(directory)


def published(keys: Keys) -> dict[str, str | list[str]]:
    (key,) = json.loads(json.dumps(keys.grant_jwks()))["keys"]
    assert isinstance(key, dict)
    return key


@pytest.mark.requirement("P3")
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_any_jose_library_verifies_a_grant_with_the_published_key_set() -> None:
    keys = Keys.generate()
    key = OKPKey.import_key(published(keys))
    found = jws.deserialize_compact(keys.sign_grant(CLAIMS), key, algorithms=["EdDSA"])
    assert json.loads(found.payload) == CLAIMS
    assert found.headers() == {"alg": "EdDSA", "typ": "assent-grant+jwt", "kid": key.thumbprint()}


def test_the_key_set_holds_the_public_grant_key_and_nothing_else() -> None:
    key = published(Keys.generate())
    assert set(key) == {"alg", "crv", "kid", "kty", "use", "x"}
    assert len(urlsafe_b64decode(f"{key['x']}=")) == 32


def test_the_log_key_signs_notes_that_its_verifier_key_opens() -> None:
    keys = Keys.generate()
    key = keys.log_verifier_key("assent/example")
    note = sign_note("assent/example\n", key.name, key.key_id, keys.sign_log)
    assert open_note(note, [verifier(parse_verifier_key(key.encode()))]).signed_by == ("assent/example",)


@pytest.mark.requirement("P9")
def test_a_key_may_lie_elsewhere_and_is_held_to_the_same_there(directory: Path, tmp_path: Path) -> None:
    made = Keys.create(directory)
    elsewhere = {name: tmp_path / f"secret-{name}" for name in NAMES}
    for name, file in elsewhere.items():
        (directory / name).rename(file)
    places = KeyPlaces(directory, elsewhere)
    assert Keys.load(places).ledger == made.ledger
    elsewhere[LEDGER].chmod(0o644)
    with pytest.raises(KeysInvalid, match="others can read the key file") as refused:
        Keys.load(places)
    assert str(elsewhere[LEDGER]) in (refused.value.hint or "")
    elsewhere[LEDGER].chmod(0o600)
    directory.rmdir()
    assert Keys.load(places).payload == made.payload
    with pytest.raises(KeysInvalid, match="there is no key directory"):
        Keys.load(KeyPlaces(directory, {LEDGER: elsewhere[LEDGER]}))
