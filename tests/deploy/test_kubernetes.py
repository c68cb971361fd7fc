"""The manifests: valid for the schemas of Kubernetes, confined, and of one mind with the image and the settings."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kubernetes_validate
import pytest
import yaml

from assent.config import Settings, load_settings, secret_in
from assent.core.errors import AssentError
from assent.stores.key_places import NAMES
from assent.stores.keys import Keys
from tests.serving.broker_process import make_home, run

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "deploy" / "kubernetes"
FILES = sorted(file for file in SHIPPED.glob("*.yaml") if file.name != "kustomization.yaml")
OBJECTS: list[dict[str, Any]] = [one for file in FILES for one in yaml.safe_load_all(file.read_text())]
KUSTOMIZATION = yaml.safe_load((SHIPPED / "kustomization.yaml").read_text())
DOCKERFILE = (ROOT / "deploy/container/Dockerfile").read_text()
SETTINGS = load_settings(SHIPPED / "assent.toml")
# The oldest and the newest that the manifests are written for.
VERSIONS = ("1.33", kubernetes_validate.latest_version())
KUBECTL = shutil.which("kubectl")
FOLDERS = ("roles", "tools", "tests")


def named(kind: str, name: str) -> dict[str, Any]:
    (found,) = [one for one in OBJECTS if one["kind"] == kind and one["metadata"]["name"] == name]
    return found


def pods() -> Iterator[Any]:
    for one in OBJECTS:
        if one["kind"] in {"Deployment", "Job"}:
            yield pytest.param(one["spec"]["template"], id=one["metadata"]["name"])


BROKER = named("Deployment", "assent")
POD = BROKER["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("one", OBJECTS, ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_a_manifest_is_what_kubernetes_takes(one: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(one, version, strict=True)


def test_a_misspelt_key_is_noticed() -> None:
    wrong = yaml.safe_load((SHIPPED / "namespace.yaml").read_text()) | {"metdata": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


def test_kustomize_builds_them() -> None:
    if KUBECTL is None:
        pytest.skip("no kubectl here, which brings kustomize")
    built = subprocess.run([KUBECTL, "kustomize", str(SHIPPED)], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    objects = list(yaml.safe_load_all(built.stdout))
    for one in objects:
        kubernetes_validate.validate(one, VERSIONS[-1], strict=True)
        assert one["kind"] == "Namespace" or one["metadata"]["namespace"] == "assent"
    (broker,) = [one for one in objects if one["kind"] == "Deployment"]
    images = {
        one["image"] for kind in ("containers", "initContainers") for one in broker["spec"]["template"]["spec"][kind]
    }
    job = named("Job", "ledger-prepare")["spec"]["template"]["spec"]
    assert images == {one["image"] for kind in ("containers", "initContainers") for one in job[kind]}
    (settings,) = [one for one in objects if one["kind"] == "ConfigMap"]
    assert settings["data"]["assent.toml"] == (SHIPPED / "assent.toml").read_text()


def test_every_file_is_in_the_kustomization_but_the_job_that_comes_first() -> None:
    assert {*KUSTOMIZATION["resources"], "ledger-prepare.yaml"} == {file.name for file in FILES}


@pytest.mark.parametrize("template", list(pods()))
def test_a_pod_keeps_to_the_restricted_standard(template: dict[str, Any]) -> None:
    pod = template["spec"]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert pod["automountServiceAccountToken"] is False
    security = pod["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert f"USER {security['runAsUser']}:{security['runAsGroup']}" in DOCKERFILE
    allowed = {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
    assert all(set(volume) - {"name"} <= allowed for volume in pod["volumes"])
    for container in (*pod["initContainers"], *pod["containers"]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in container["resources"]["limits"]
        assert not any("hostPort" in port for port in container.get("ports", []))
    labels = named("Namespace", "assent")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("template", list(pods()))
def test_what_is_mounted_is_there_and_secrets_are_files_only(template: dict[str, Any]) -> None:
    pod = template["spec"]
    volumes = {volume["name"] for volume in pod["volumes"]}
    mounted = {mount["name"] for one in (*pod["initContainers"], *pod["containers"]) for mount in one["volumeMounts"]}
    assert mounted == volumes
    for one in (*pod["initContainers"], *pod["containers"]):
        assert "env" not in one
        assert "envFrom" not in one
        writable = {mount["name"] for mount in one["volumeMounts"] if not mount.get("readOnly")}
        assert writable <= ({"state"} if one in pod["containers"] else {"files"})


def test_ports_are_those_of_the_settings() -> None:
    (port,) = CONTAINER["ports"]
    assert port["containerPort"] == SETTINGS.port
    assert f"EXPOSE {SETTINGS.port}" in DOCKERFILE
    (served,) = named("Service", "assent")["spec"]["ports"]
    assert served["targetPort"] == port["name"]
    (rule,) = named("NetworkPolicy", "broker")["spec"]["ingress"]
    assert [one["port"] for one in rule["ports"]] == [SETTINGS.port]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = CONTAINER[probe]["httpGet"]
        assert (asked["port"], asked["scheme"]) == (port["name"], "HTTPS" if SETTINGS.has_tls else "HTTP")
    assert CONTAINER["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert {CONTAINER[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe")} == {"/healthz"}


def test_what_the_settings_name_is_mounted_where_they_say() -> None:
    mounts = {mount["mountPath"]: mount.get("readOnly", False) for mount in CONTAINER["volumeMounts"]}
    assert mounts == {"/etc/assent": True, "/run/assent": True, "/var/lib/assent": False}
    assert CONTAINER["args"] == ["serve", "--config", "/etc/assent/assent.toml"]
    for key in Settings.model_fields:
        value = getattr(SETTINGS, key)
        if isinstance(value, Path) and key != "ledger_file":
            assert str(value).startswith("/run/assent/"), key
    assert str(SETTINGS.ledger_file).startswith("/var/lib/assent/")


def test_names_of_services_are_not_taken_for_settings() -> None:
    # A Service that is called `assent` makes Kubernetes set ASSENT_PORT in every pod of its namespace.
    for template in (POD, named("Job", "ledger-prepare")["spec"]["template"]["spec"]):
        assert template["enableServiceLinks"] is False


def test_a_broker_has_the_time_that_its_way_out_takes_and_another_is_ready_before() -> None:
    waits = CONTAINER["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert POD["terminationGracePeriodSeconds"] > waits + SETTINGS.shutdown_seconds + 5
    assert BROKER["spec"]["replicas"] >= 2
    assert BROKER["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert SETTINGS.redis_url is not None  # else a second one does not start


def test_selectors_choose_brokers_and_nothing_else() -> None:
    labels = BROKER["spec"]["template"]["metadata"]["labels"]
    chosen = [
        BROKER["spec"]["selector"]["matchLabels"],
        named("Service", "assent")["spec"]["selector"],
        named("PodDisruptionBudget", "assent")["spec"]["selector"]["matchLabels"],
        named("NetworkPolicy", "broker")["spec"]["podSelector"]["matchLabels"],
        *(spread["labelSelector"]["matchLabels"] for spread in POD["topologySpreadConstraints"]),
    ]
    assert chosen == [labels] * len(chosen)
    job = named("Job", "ledger-prepare")["spec"]["template"]["metadata"]["labels"]
    assert named("NetworkPolicy", "ledger-prepare")["spec"]["podSelector"]["matchLabels"] == job != labels


def test_nobody_speaks_with_anybody_unless_it_is_named() -> None:
    assert named("NetworkPolicy", "nobody")["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    to = [port["port"] for rule in named("NetworkPolicy", "broker")["spec"]["egress"] for port in rule["ports"]]
    assert sorted(to) == [53, 53, 443, 5432, 6379]
    assert "ingress" not in named("NetworkPolicy", "ledger-prepare")["spec"]
    assert (urlsplit(str(SETTINGS.redis_url)).port, urlsplit(str(SETTINGS.ledger_url)).port or 5432) == (6379, 5432)


def test_the_job_speaks_with_the_brokers_database_as_its_owner() -> None:
    (job,) = named("Job", "ledger-prepare")["spec"]["template"]["spec"]["containers"]
    words = dict(zip(job["args"][2::2], job["args"][3::2], strict=True))
    owners, brokers = urlsplit(words["--owner-url"]), urlsplit(str(SETTINGS.ledger_url))
    assert (owners.hostname, owners.path) == (brokers.hostname, brokers.path)
    assert parse_qs(owners.query)["sslmode"] == parse_qs(brokers.query)["sslmode"] == ["verify-full"]
    assert (words["--role"], owners.username == brokers.username) == (brokers.username, False)
    assert "assent-owner" not in yaml.safe_dump(POD)


def mounted(folder: Path, content: dict[str, bytes], mode: int) -> None:
    """Lay out a folder as a kubelet does: links to links into a folder with a date, open to more than the owner."""
    dated = folder / "..2026_11_25_21_00_00.0"
    dated.mkdir(parents=True)
    for name, data in content.items():
        (dated / name).write_bytes(data)
        (dated / name).chmod(mode)
        (folder / name).symlink_to(f"..data/{name}")
    (folder / "..data").symlink_to(dated.name)
    folder.chmod(0o1777)


@pytest.mark.requirement("P1", "P9")
def test_what_a_kubelet_mounts_is_refused_and_what_the_first_container_makes_of_it_is_taken(tmp_path: Path) -> None:
    home = make_home(tmp_path / "made")
    source, made = tmp_path / "from", tmp_path / "run"
    keys = {name: (home.directory / "keys" / name).read_bytes() for name in NAMES}
    mounted(source / "keys", keys, 0o440)
    mounted(source / "secrets", {"ledger-password": b"x", "redis-password": b"y", "database-ca.pem": b"z"}, 0o440)
    mounted(source / "tls", {"tls.crt": b"c", "tls.key": b"k"}, 0o440)
    policies = home.directory / "policies"
    mounted(source / "policies", {file.name: file.read_bytes() for file in policies.iterdir() if file.is_file()}, 0o644)
    for folder in FOLDERS:
        inside = policies / folder
        mounted(source / f"policies-{folder}", {file.name: file.read_bytes() for file in inside.iterdir()}, 0o644)
    made.mkdir()
    made.chmod(0o2777)  # an emptyDir with an fsGroup

    with pytest.raises(AssentError):
        Keys.load(source / "keys")
    with pytest.raises(AssentError):
        secret_in(source / "secrets" / "ledger-password", "ledger_password_file")
    assert run("policy", "check", str(source / "policies")).returncode != 0

    (first,) = POD["initContainers"]
    script = first["args"][0].replace("/from/", f"{source}/").replace("/run/assent", str(made))
    for _ in range(2):  # a container may be started again
        done = subprocess.run([*first["command"], script], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert Keys.load(made / "keys").ledger == Keys.load(home.directory / "keys").ledger
    assert secret_in(made / "secrets" / "ledger-password", "ledger_password_file") == "x"
    checked = run("policy", "check", str(made / "policies"))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    open_files = [file for file in made.rglob("*") if os.lstat(file).st_mode & 0o077 or file.is_symlink()]
    assert open_files == []


def test_the_page_names_every_secret_and_every_set_of_files_that_has_to_be_made() -> None:
    page = (ROOT / "docs/replicas.md").read_text()
    made = {
        *(volume["secret"]["secretName"] for volume in POD["volumes"] if "secret" in volume),
        *(volume["configMap"]["name"] for volume in POD["volumes"] if "configMap" in volume),
        "assent-owner",
    } - {one["name"] for one in KUSTOMIZATION["configMapGenerator"]}
    assert made == set(re.findall(r"create (?:secret (?:generic|tls)|configmap) (\S+)", page))
    files = [getattr(SETTINGS, key) for key in Settings.model_fields if key.endswith("_file")]
    secrets = {file.name for file in files if file is not None and file.parent.name == "secrets"}
    assert secrets | {"database-ca.pem"} <= set(re.findall(r"--from-file (\S+)", page))
