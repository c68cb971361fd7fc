"""The sets of policy files that ship with Assent, as bytes by their path; whoever copies them decides where to.

The starter is a whole policy. A pack is tools, roles, cases and sample agents for one technology, written against the
starter's people and environments; no two of them share a file, a tool, a role, a rule or an agent.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from assent.policy.schemas import written

AGENTS: Final = "agents.yaml"


@dataclass(frozen=True, slots=True)
class Pack:
    """What a pack is about, and what whoever takes it has to put in place of the names in it."""

    about: str
    edit: str


PACKS: Final[dict[str, Pack]] = {
    "kubernetes": Pack(
        "workloads, rollouts, nodes; no secrets, no shells in production",
        "your kubeconfig's contexts for `prod` and `staging` under `match`, your registry for `registry.example`",
    ),
    "postgres": Pack(
        "rows by their columns, statements with parameters, migrations; no grants, no change of every row",
        "your connections for `prod` and `staging` under `match`, your columns and schemas in the rules",
    ),
    "github": Pack(
        "issues, branches of its own, pull requests, merges; no approving, no secrets, no rewritten history",
        "your organisations for `acme` and `acme-sandbox` under `match`, your workflows in the rules",
    ),
    "shell": Pack(
        "programs on hosts as argument vectors: logs, services, files, packages; no shells, no interpreters",
        "your hosts for `prod-1` and `staging-1` under `match`, the programs that you let run in the rules",
    ),
    "http": Pack(
        "requests by method, host and path; only hosts that are named, no redirects, no administration",
        "your hosts for `api.example` and `api.staging.example` under `match`, your paths in the rules",
    ),
    "filesystem": Pack(
        "files below named directories; no links, no keys, no trees of production",
        "your directories for `prod-data` and `staging-data` under `match`, what must be kept in the rules",
    ),
    "model-registry": Pack(
        "versions, stages, endpoints; a human promotes and deploys, in every environment",
        "your registries for `models-…` and your platforms for `serving-…` under `match`",
    ),
    "datasets": Pack(
        "data sets and model weights: versions, exports, sharing; nothing personal, nothing published",
        "your stores for `data-prod` and `data-staging` under `match`, your columns, groups and hubs in the rules",
    ),
    "vector-stores": Pack(
        "Pinecone and Milvus by namespace and partition; nothing of another tenant, nothing deleted as one",
        "your projects and clusters for `vectors-prod` and `vectors-staging` under `match`, how tenants are told apart",
    ),
    "llm-gateway": Pack(
        "models by name with a bound for every call; prompts are sensitive, personal data stay with own models",
        "your gateways for `gateway-prod` and `gateway-staging` under `match`, your models in the rules",
    ),
    "payments": Pack(
        "refunds, invoices, payouts in minor units with limits and keys; no new bank accounts",
        "your accounts for `acct-live` and `acct-test` under `match`, your limits and destinations in the rules",
    ),
}


def starter(packs: Iterable[str] = ()) -> dict[str, bytes]:
    """Return the starter policy with packs and schemas beside it; without packs it is the repository's `policies/`."""
    found = dict(_files(files(__name__) / "starter", "")) | written()
    for name in packs:
        more = pack(name)
        found |= more | {AGENTS: joined(found[AGENTS], more[AGENTS])}
    return found


def pack(name: str) -> dict[str, bytes]:
    """Return the files of one pack; its `agents.yaml` is to be joined to the one that is there."""
    return dict(_files(files(__name__) / name, ""))


def joined(agents: bytes, more: bytes) -> bytes:
    """Return one file of agents with another behind it."""
    return agents.rstrip(b"\n") + b"\n\n" + more


def _files(folder: Traversable, inside: str) -> Iterator[tuple[str, bytes]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _files(entry, f"{inside}{entry.name}/")
        else:
            yield f"{inside}{entry.name}", entry.read_bytes()
