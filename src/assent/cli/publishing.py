"""Publishing a directory: its files as they lie here, and what its tests came to, as the broker is sent them."""

import base64
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from assent.cli import policy_told
from assent.cli.called import as_called
from assent.cli.client import LIMITS, connect
from assent.cli.output import Usage
from assent.cli.policy_files import now
from assent.core.canonical import Json
from assent.core.characters import visible
from assent.core.publications import MAX_BUNDLE_BYTES, MAX_TESTS_BYTES, tests_of
from assent.policy.checking import sound
from assent.policy.files import read_directory
from assent.policy.findings import Findings

# Every rule is read and compared, and what waits is judged again, before the broker answers.
_ANSWERS_WITHIN_SECONDS: Final = 60.0


def offered(directory: Path, tests: Path) -> dict[str, Json]:
    """Return the files of `directory` and its tests as they are sent; what the broker would refuse is refused here.

    Raises:
        PolicyInvalid: the directory has errors.
        BadRequest: the tests are about other files, or one did not come out.
        Usage: the tests cannot be read, or the files are too large.

    """
    version = sound(directory, now()).version
    source = read_directory(directory, Findings())
    if source.version != version:
        raise Usage("the directory changed while it was read", hint="publish it again")
    if sum(map(len, source.files.values())) > MAX_BUNDLE_BYTES:
        raise Usage(f"the files are larger than {MAX_BUNDLE_BYTES} bytes together", hint="publish fewer rules")
    text = _text(tests)
    tests_of(text, version)
    release = None if source.release is None else _encoded(source.release)
    return {
        "files": {name: _encoded(content) for name, content in source.files.items()},
        "release": release,
        "tests": text,
    }


def send(offer: Mapping[str, Json]) -> Any:  # noqa: ANN401  # what the client heard
    """Return the broker's answer to an offer. Raises as the client does."""
    limits = replace(LIMITS, answer_seconds=_ANSWERS_WITHIN_SECONDS)
    return connect(limits).post("v1", "policy", "publish", body=offer)


def tell(body: Mapping[str, Any]) -> None:
    """Print what became of a version that was published."""
    version, serving = body["version"][:12], body["serving"][:12]
    if body["uptake"] == "unchanged":
        print(f"{version} is published and active already, nothing changed")
        return
    for change in body["widens"]:
        print(f"  widens  {visible(change)}")
    if body["uptake"] == "waiting":
        print(f"{version} is published and waits, {serving} stays active: it widens something that has to be confirmed")
        policy_told.tell_unvouched(body)
        print(as_called(f"  next    assent policy activate {version}"))
        return
    print(f"{version} is active now; {body['changes']} changes, {body['ended']} waiting actions were ended by them")
    if body.get("vouched_by"):
        print(f"vouched for by {visible(', '.join(body['vouched_by']))}")
    print("every broker of this ledger takes it up within seconds")


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > MAX_TESTS_BYTES:
            raise Usage(f"`{visible(str(file))}` is longer than {MAX_TESTS_BYTES} bytes", hint="name another file")
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Usage(
            f"`{visible(str(file))}` cannot be read as text", hint="write it with `assent policy test DIR --json`"
        ) from error


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()
