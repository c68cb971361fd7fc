"""What a program pays for `import assent`, and that every public name is there."""

import copy
import pickle
import subprocess
import sys

import pytest

import assent
from assent import ActionDenied, AlreadyExecuted, ApprovalPending, AssentError, BrokerUnavailable

HEAVY = [
    "pydantic",
    "cryptography",
    "joserfc",
    "asyncio",
    "ssl",
    "http.client",
    "concurrent.futures",
    "socket",
    "rfc8785",
]


def loaded_after(script: str) -> set[str]:
    code = f"{script}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=30)
    return set(done.stdout.split())


def test_importing_assent_loads_nothing_heavy() -> None:
    before = loaded_after("")
    assert loaded_after("import assent").isdisjoint(set(HEAVY) - before)


def test_a_sync_client_loads_neither_event_loop_nor_tls_nor_cryptography() -> None:
    loaded = loaded_after("import assent; assent.Assent('http://127.0.0.1:1', 'asn_k_' + 's' * 43)")
    assert loaded.isdisjoint({"pydantic", "cryptography", "joserfc", "asyncio", "ssl", "http.client", "logging"})


@pytest.mark.parametrize("name", assent.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(assent, name).__name__ == name


def test_an_unknown_name_is_python_s_own_error() -> None:
    with pytest.raises(AttributeError, match="`Asent`"):
        assent.Asent  # noqa: B018  # looking is the test
    assert "Assent" in dir(assent)


@pytest.mark.parametrize(
    "error",
    [
        ActionDenied("no", code="breaker_open", tool="t", action_id="a"),
        AlreadyExecuted("ran", outcome="unknown", action_id="a"),
        ApprovalPending("wait", action_id="a", approval_code="K7QF"),
        BrokerUnavailable("away", hint="start it"),
    ],
)
def test_errors_survive_copying_and_pickling(error: AssentError) -> None:
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301  # our own bytes
        assert vars(again) == vars(error)
        assert (type(again), str(again), again.code) == (type(error), str(error), error.code)
