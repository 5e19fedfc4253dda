"""The pod of the Helm chart, as a container of a Docker engine.

The engine gets what a node would give the container: the command, the variables, the user, the
limits of what it may do, and the volumes. These are laid out as kubelet does: a file of a ConfigMap
or a Secret is a link to a file behind another link, and belongs to the group of the pod.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tests.packaging.chart import Manifest

_VERSION = "..2026_11_30_00_00_00.1"  # a folder that kubelet replaces when the files change


def lay_files(folder: Path, files: Mapping[str, str], mode: int, group: int) -> Path:
    """Write the volume of a ConfigMap or a Secret into a new folder, and return the folder."""
    (folder / _VERSION).mkdir(parents=True)
    (folder / "..data").symlink_to(_VERSION)
    for name, text in files.items():
        path = folder / _VERSION / name
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        os.chown(path, 0, group)
        (folder / name).symlink_to(f"..data/{name}")
    for each in (folder, folder / _VERSION):
        each.chmod(0o755)
    return folder


def lay_disk(folder: Path, group: int) -> Path:
    """Make a new file system's first folder, as fsGroup leaves it, and return it."""
    folder.mkdir()
    (folder / "lost+found").mkdir(mode=0o700)
    os.chown(folder, 0, group)
    folder.chmod(0o2775)
    return folder


def lay_volumes(manifests: list[Manifest], secrets: Mapping[str, Mapping[str, str]], folder: Path):
    """Lay out every volume of the pod, and return its folders by the names of the volumes.

    `secrets` are the Secrets of the cluster. A volume without a folder is an empty one.
    """
    spec = find_pod(manifests)
    group = spec["securityContext"]["fsGroup"]
    maps = {each["metadata"]["name"]: each for each in manifests if each["kind"] == "ConfigMap"}
    laid = {}
    for volume in spec["volumes"]:
        place = folder / volume["name"]
        match volume:
            case {"configMap": {"name": name}}:
                laid[volume["name"]] = lay_files(place, maps[name]["data"], 0o644, group)
            case {"secret": {"secretName": name, "defaultMode": mode}}:
                laid[volume["name"]] = lay_files(place, secrets[name], mode, group)
            case {"persistentVolumeClaim": _}:
                laid[volume["name"]] = lay_disk(place, group)
    return laid


def find_pod(manifests: list[Manifest]) -> Manifest:
    """Return the spec of the pod."""
    (found,) = (each for each in manifests if each["kind"] == "StatefulSet")
    return found["spec"]["template"]["spec"]


def list_arguments(manifests: list[Manifest], volumes: Mapping[str, Path]) -> list[str]:
    """Return the arguments of `docker run`, up to and with the command of the container."""
    spec = find_pod(manifests)
    (container,) = spec["containers"]
    user, limits = spec["securityContext"], container["securityContext"]
    arguments = [f"--user={user['runAsUser']}:{user['runAsGroup']}"]
    arguments += [f"--group-add={user['fsGroup']}"]
    arguments += [f"--cap-drop={each}" for each in limits["capabilities"]["drop"]]
    arguments += ["--read-only"] if limits["readOnlyRootFilesystem"] else []
    if not limits["allowPrivilegeEscalation"]:
        arguments.append("--security-opt=no-new-privileges:true")
    arguments += [f"--env={each['name']}={each['value']}" for each in container["env"]]
    for mount in container["volumeMounts"]:
        path, name = mount["mountPath"], mount["name"]
        if name in volumes:
            ending = ":ro" if mount.get("readOnly") else ""
            arguments.append(f"--volume={volumes[name]}:{path}{ending}")
        else:
            arguments.append(f"--tmpfs={path}")
    program, *words = [*container["command"], *container["args"]]
    return [*arguments, f"--entrypoint={program}", container["image"], *words]
