"""The sets of policy files that ship with Assent, as bytes by their path; whoever copies them decides where to."""

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable


def starter() -> dict[str, bytes]:
    """Return the starter policy: a small file tool, one agent, two people, one route; `policies/` holds the same."""
    return dict(_files(files(__name__) / "starter", ""))


def _files(folder: Traversable, inside: str) -> Iterator[tuple[str, bytes]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _files(entry, f"{inside}{entry.name}/")
        else:
            yield f"{inside}{entry.name}", entry.read_bytes()
