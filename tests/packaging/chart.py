"""The Helm chart, and what the real helm makes of it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.clients import programs
from tests.harness import go_programs

FOLDER = Path(__file__).resolve().parents[2] / "config" / "helm" / "entrepot"
VALUES = tuple(sorted(FOLDER.glob("ci/*-values.yaml")))
# Reads a ServiceMonitor as the Prometheus Operator does.
OPERATOR = go_programs.describe_own("service-monitor", Path(__file__).parent / "service_monitor")
Manifest = dict[str, Any]


class HelmRefused(Exception):
    """helm has ended with an error: what it said."""


def run_helm(*arguments: str | Path, stdin: str = "") -> str:
    """Run helm, and return what it prints.

    Raises:
        HelmRefused: it has failed.
    """
    done = subprocess.run(
        [programs.build("helm"), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode != 0:
        raise HelmRefused(f"{done.stdout}\n{done.stderr}")
    return done.stdout


def render(values: Path | Manifest, release: str = "images") -> str:
    """Return the manifests that helm makes of the chart with these values, as YAML."""
    command = ["template", release, FOLDER, "--namespace", "tools"]
    if isinstance(values, Path):
        return run_helm(*command, "--values", values)
    return run_helm(*command, "--values", "-", stdin=yaml.safe_dump(values))


def read(values: Path | Manifest, release: str = "images") -> list[Manifest]:
    """Return the manifests that helm makes of the chart with these values."""
    return [each for each in yaml.safe_load_all(render(values, release)) if each]


def select(manifests: list[Manifest], kind: str) -> Manifest:
    """Return the one manifest of a kind."""
    (found,) = (each for each in manifests if each["kind"] == kind)
    return found


def read_settings(values: Path | Manifest) -> str:
    """Return the settings file of the chart with these values."""
    return select(read(values), "ConfigMap")["data"]["entrepot.toml"]
