"""A folder as a disk of its own, full or read-only, for one command; Linux, in a mount namespace, no privileges."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.serving.broker_process import WAIT_SECONDS, clean_environment
from tests.serving.warm import PROGRAM

UNSHARE = shutil.which("unshare") or "unshare"
_READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
_FULL = (
    'mount -t tmpfs -o size=2m none "$0" && cp -a "$1/." "$0/" && chmod 700 "$0" && shift'
    ' && { dd if=/dev/zero of="$0/filler" bs=4k 2>/dev/null; : > "$0/filler.end"; "$@"; code=$?; rm -f "$0/filler";'
    ' mkdir -p "$LEFT"; cp -a "$0/." "$LEFT/"; exit $code; }'
)


def require_namespaces() -> None:
    """Skip the test where this machine gives nobody a mount namespace."""
    probe = [UNSHARE, "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
    try:
        given = subprocess.run(probe, capture_output=True, check=False, timeout=WAIT_SECONDS).returncode == 0
    except FileNotFoundError:
        given = False
    if not given:
        pytest.skip("this machine gives no mount namespaces")


def on_read_only(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command line with `folder` mounted read-only."""
    return _run(_READ_ONLY, folder, *PROGRAM, *map(str, arguments))


def on_full_disk(folder: Path, staged: Path, left: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command line with `folder` on a disk that holds what `staged` does and has no room; see it in `left`."""
    return _run(_FULL, folder, staged, *PROGRAM, *map(str, arguments), left=left)


def _run(script: str, folder: Path, *arguments: object, left: Path | None = None) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    return subprocess.run(
        [UNSHARE, "-rm", "sh", "-c", script, str(folder), *map(str, arguments)],
        env=clean_environment({"LEFT": str(left)} if left else {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )
