"""The Helm chart: helm, Kubernetes and the Prometheus Operator take what it says."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.harness import go_programs
from tests.packaging import chart, index_programs
from tests.packaging.chart import HelmRefused, Manifest

pytestmark = pytest.mark.timeout(600)

# The oldest that the chart accepts, one between, and the newest of which there are schemas.
KUBERNETES = ("1.28", "1.33", "1.37")
FULL = chart.FOLDER / "ci" / "everything-values.yaml"
each_values = pytest.mark.parametrize("values", chart.VALUES, ids=lambda path: path.stem)


def ask_kubernetes(manifests: str, version: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Compare manifests with the schemas of a version of Kubernetes; no other field is allowed."""
    (folder / "manifests.yaml").write_text(manifests)
    program = index_programs.install("kubernetes-validate") / "kubernetes-validate"
    return subprocess.run(
        [program, "--strict", "-k", version, folder / "manifests.yaml"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def ask_operator(manifest: Manifest) -> subprocess.CompletedProcess[str]:
    """Read a ServiceMonitor as the Prometheus Operator does, and no other field is allowed."""
    return subprocess.run(
        [go_programs.build(chart.OPERATOR)],
        input=yaml.safe_dump(manifest),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@each_values
def test_helm_accepts_the_chart(values: Path) -> None:
    """`helm lint --strict` finds nothing, whatever values are given."""
    assert "0 chart(s) failed" in chart.run_helm(
        "lint", "--strict", chart.FOLDER, "--values", values
    )


def test_helm_would_refuse_a_wrong_chart(tmp_path: Path) -> None:
    """The test above can fail."""
    copy = shutil.copytree(chart.FOLDER, tmp_path / "entrepot")
    (copy / "Chart.yaml").write_text("apiVersion: v2\nname: entrepot\nversion: one\n")
    with pytest.raises(HelmRefused, match=r"version 'one' is not a valid SemVer"):
        chart.run_helm("lint", "--strict", copy)


@each_values
@pytest.mark.parametrize("version", KUBERNETES)
def test_kubernetes_knows_every_field(values: Path, version: str, tmp_path: Path) -> None:
    """Names, types and what is required are those of the schemas, but for the ServiceMonitor."""
    done = ask_kubernetes(chart.render(values), version, tmp_path)

    kinds = [each["kind"] for each in chart.read(values) if each["kind"] != "ServiceMonitor"]
    assert len(kinds) == (done.stdout + done.stderr).count("passed for resource"), done.stderr
    assert done.returncode == 0, done.stderr


def rename_field(manifest: Manifest) -> None:
    pod = manifest["spec"]["template"]["spec"]
    security = pod["containers"][0]["securityContext"]
    security["readOnlyRoot"] = security.pop("readOnlyRootFilesystem")


def write_text(manifest: Manifest) -> None:
    manifest["spec"]["replicas"] = "one"


def leave_out(manifest: Manifest) -> None:
    del manifest["spec"]["selector"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (rename_field, "readOnlyRoot"),
        (write_text, "'one' is not of type"),
        (leave_out, "'selector' is a required property"),
    ],
)
def test_kubernetes_would_refuse_a_wrong_field(
    change: Callable[[Manifest], None], problem: str, tmp_path: Path
) -> None:
    """The test above can fail: a wrong name, a wrong type, a missing field."""
    manifest = chart.select(chart.read(FULL), "StatefulSet")
    change(manifest)

    done = ask_kubernetes(yaml.safe_dump(manifest), KUBERNETES[-1], tmp_path)

    assert done.returncode != 0
    assert problem in done.stdout + done.stderr


def test_the_operator_knows_every_field() -> None:
    """The ServiceMonitor has only fields that the types of the Prometheus Operator have."""
    done = ask_operator(chart.select(chart.read(FULL), "ServiceMonitor"))

    assert (done.returncode, done.stderr) == (0, "")


def test_the_operator_would_refuse_a_wrong_field() -> None:
    """The test above can fail."""
    manifest = chart.select(chart.read(FULL), "ServiceMonitor")
    manifest["spec"]["endpoints"][0]["intervall"] = "30s"

    done = ask_operator(manifest)

    assert (done.returncode, "intervall" in done.stderr) == (1, True)


def test_names_fit() -> None:
    """Whatever the release is called, no name and no label that is made of it is too long."""
    manifests = chart.read({"fullnameOverride": ""}, release="r" * 53)

    hash_of_revision = 11  # characters that a StatefulSet adds to its name for a label of its pod
    names = [each["metadata"]["name"] for each in manifests]
    assert max(map(len, names)) <= 63
    assert len(chart.select(manifests, "StatefulSet")["metadata"]["name"]) + hash_of_revision <= 63


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"persistance": {}}, "persistance"),
        ({"service": {"type": "HostPort"}}, "/service/type"),
        ({"service": {"port": "registry"}}, "/service/port"),
        ({"persistence": {"size": "100GB"}}, "/persistence/size"),
        ({"image": {"digest": "sha256:12"}}, "/image/digest"),
        ({"fullnameOverride": "m" * 53}, "/fullnameOverride"),
        ({"settings": {"upstream": {}}}, "upstream"),
        ({"settings": {"server": {"listen": "[::]:80"}}}, "settings.server.listen: the chart sets"),
        ({"settings": {"server": {"console": ""}}}, "settings.server.console: the chart sets it"),
        ({"settings": {"storage": {"path": "/x"}}}, "settings.storage.path: the chart sets it"),
        ({"settings": {"tags": {"immutable": [None]}}}, "settings: a value is empty"),
        ({"ingress": {"enabled": True}}, "ingress.host: name the host of the Ingress"),
    ],
)
def test_wrong_values_are_refused(values: Manifest, problem: str) -> None:
    """Nothing is installed with values that do nothing; the message has the value."""
    with pytest.raises(HelmRefused) as refused:
        chart.render(values)

    assert problem in str(refused.value)
