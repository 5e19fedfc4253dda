"""The values of the Helm chart: what stands in them arrives, and is described."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from registry.server.supervisor import GRACE
from registry.settings.model import Settings
from tests.harness.commands import clean_environment, run_command
from tests.packaging import chart
from tests.packaging.chart import FOLDER, Manifest

pytestmark = pytest.mark.timeout(300)

SCHEMA = json.loads((FOLDER / "values.schema.json").read_text(encoding="utf-8"))
DEFAULTS = yaml.safe_load((FOLDER / "values.yaml").read_text(encoding="utf-8"))
FREE = ("settings", "resources")  # tables whose content is the program's, or Kubernetes'
DOCKERFILE = (FOLDER.parents[2] / "Dockerfile").read_text(encoding="utf-8")
each_values = pytest.mark.parametrize("values", chart.VALUES, ids=lambda path: path.stem)


def list_names(values: Manifest, place: str = "") -> Iterator[str]:
    """Yield the name of each value, with the names of the tables around it."""
    for name, value in values.items():
        yield f"{place}{name}"
        if isinstance(value, dict) and name not in FREE:
            yield from list_names(value, f"{place}{name}.")


def list_described(schema: Manifest, place: str = "") -> Iterator[tuple[str, Manifest]]:
    """Yield the name and the schema of each value that the schema allows."""
    for name, inner in schema.get("properties", {}).items():
        yield f"{place}{name}", inner
        if name not in FREE:
            yield from list_described(inner, f"{place}{name}.")


def test_each_value_is_in_the_schema() -> None:
    """And the schema allows no other; helm itself adds `global`."""
    described = {name for name, _ in list_described(SCHEMA)}

    assert set(list_names(DEFAULTS)) | {"global"} == described


def test_each_value_is_described() -> None:
    """The schema says of each value in a sentence what it is."""
    silent = [
        name
        for name, schema in list_described(SCHEMA)
        if not re.fullmatch(r"[^a-z].{10,}\.", schema.get("description", ""))
    ]
    assert silent == []


def test_the_schema_has_the_tables_of_the_settings() -> None:
    """A table of the settings file that the program does not know is refused before it starts."""
    known = SCHEMA["properties"]["settings"]["properties"]

    assert {each.name for each in fields(Settings)} == set(known)


@each_values
def test_settings_arrive_as_they_are_written(values: Path) -> None:
    """The settings file says the values, beside what the chart says by default."""
    given = yaml.safe_load(values.read_text(encoding="utf-8")) or {}
    expected: dict[str, Any] = {"storage": DEFAULTS["settings"]["storage"]}
    for name, value in given.get("settings", {}).items():
        expected[name] = {**expected.get(name, {}), **value} if isinstance(value, dict) else value

    assert expected == tomllib.loads(chart.read_settings(values))


def test_odd_settings_arrive_too() -> None:
    """Quotes, backslashes, other scripts, dots in names, large numbers, empty tables."""
    odd = {
        "tags": {"immutable": ['a"b', "c\\d", "<&>'", "镜像 🚢", "line\nline", "{{ .Values }}"]},
        "limits": {"connections": 10_000_000_000, "float": 0.25, "zero": 0, "minus": -3},
        "upstreams": {"a.b:5000": {"x y": {"deep": [{"er": []}, {}], "is": True}}, "ü": {}},
        "prefetch": [{"images": ["a", "b"]}, {}],
        "bundles": {},
    }

    settings = tomllib.loads(chart.read_settings({"settings": odd}))

    assert odd == {name: settings[name] for name in odd}
    assert isinstance(settings["limits"]["zero"], int)
    assert math.isclose(0.25, settings["limits"]["float"])


@each_values
def test_the_program_accepts_the_settings(values: Path, tmp_path: Path) -> None:
    """`entrepot config check` can use the file, with the variables of the container."""
    manifests = chart.read(values)
    # The files of Secrets are elsewhere on this machine.
    text = chart.read_settings(values).replace("/run/secrets", str(tmp_path / "secrets"))
    settings = tomllib.loads(text)
    for key in ("tls_cert", "tls_key"):  # made by the program in other tests
        settings.get("server", {}).pop(key, None)
        text = re.sub(rf'^"{key}" = .*\n', "", text, flags=re.MULTILINE)
    for path in re.findall(r'"password_file" = "(.*?)"', text):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text("secret")
        Path(path).chmod(0o440)
    (tmp_path / "entrepot.toml").write_text(text, encoding="utf-8")
    container = chart.select(manifests, "StatefulSet")["spec"]["template"]["spec"]["containers"][0]
    variables = {
        each["name"]: each["value"]
        for each in container["env"]
        if each["name"].startswith("ENTREPOT_")
    }
    variables["ENTREPOT_CONFIG"] = str(tmp_path / "entrepot.toml")
    variables["ENTREPOT_STORAGE__PATH"] = str(tmp_path / "data")

    done = run_command("config", "check", environment=clean_environment() | variables)

    assert done.returncode == 0, done.stdout + done.stderr


@each_values
def test_one_server_has_the_data_folder(values: Path) -> None:
    """One pod, which gets time to stop, and whose volume keeps the modes of its files."""
    spec = chart.select(chart.read(values), "StatefulSet")["spec"]
    pod = spec["template"]["spec"]

    assert spec["replicas"] == 1
    assert pod["terminationGracePeriodSeconds"] > GRACE
    assert pod["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"


@each_values
def test_the_pod_may_do_as_little_as_possible(values: Path) -> None:
    """It has the user of the image, no root, no capability, no token, and a read-only root."""
    pod = chart.select(chart.read(values), "StatefulSet")["spec"]["template"]["spec"]
    (user,) = re.findall(r"^USER (\d+):\1$", DOCKERFILE, re.MULTILINE)
    (container,) = pod["containers"]

    expected = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    expected |= dict.fromkeys(("runAsUser", "runAsGroup", "fsGroup"), int(user))
    assert expected | {"fsGroupChangePolicy": "OnRootMismatch"} == pod["securityContext"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False


@each_values
def test_other_services_are_no_settings(values: Path) -> None:
    """A Service "entrepot-x" would give the pod variables ENTREPOT_X_..., which are refused."""
    pod = chart.select(chart.read(values), "StatefulSet")["spec"]["template"]["spec"]

    assert pod["enableServiceLinks"] is False


@each_values
def test_the_console_stays_inside(values: Path) -> None:
    """It is in a Service without an address of its own, and in no Ingress."""
    manifests = chart.read(values)
    services = {
        port["targetPort"]: each["spec"]
        for each in manifests
        if each["kind"] == "Service"
        for port in each["spec"]["ports"]
    }
    ingresses = [each for each in manifests if each["kind"] == "Ingress"]

    assert set(services) == {"registry", "console"}
    assert services["console"]["clusterIP"] == "None"
    assert all("console" not in json.dumps(each["spec"]) for each in ingresses)


def test_what_finds_the_pod_has_its_labels() -> None:
    """Services, NetworkPolicy and ServiceMonitor select what is there."""
    manifests = chart.read(FOLDER / "ci" / "everything-values.yaml")
    pod = chart.select(manifests, "StatefulSet")["spec"]["template"]["metadata"]["labels"]
    services = [each for each in manifests if each["kind"] == "Service"]
    policy = chart.select(manifests, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
    wanted = chart.select(manifests, "ServiceMonitor")["spec"]["selector"]["matchLabels"]

    for labels in (policy, *(each["spec"]["selector"] for each in services)):
        assert labels.items() <= pod.items()
    found = [each for each in services if wanted.items() <= each["metadata"]["labels"].items()]
    assert [each["metadata"]["name"] for each in found] == ["mirror-console"]


def test_other_settings_restart_the_pod() -> None:
    """A digest of them is in an annotation of the pod: they are read at its start."""
    digests = {
        json.dumps(
            chart.select(chart.read({"settings": settings}), "StatefulSet")["spec"]["template"][
                "metadata"
            ]["annotations"]
        )
        for settings in ({}, {"offline": True}, {"offline": False})
    }
    assert len(digests) == 3


def test_the_claim_outlives_the_release() -> None:
    """`helm uninstall` deletes no image."""
    claim = chart.select(chart.read({}), "PersistentVolumeClaim")

    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
