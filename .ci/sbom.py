"""Prints the SBOM of Entrepôt: CycloneDX, in JSON, of the packages that a lock names.

    python .ci/sbom.py locks/run.txt

`make lock` keeps what this prints in locks/entrepot.cdx.json, and the wheel carries it (PEP 770).
Only what Entrepôt needs when it runs is in it, and not what builds the wheel. The hashes are those
of the lock, one for each file that may be installed. Licences are read from the installed packages,
which have to be of the locked versions. The same lock always gives the same SBOM.
"""

import json
import re
import sys
import tomllib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
_LOCKED = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>\S+)(?P<rest>(?:.*\\\n)*.*)$", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_LICENCE = "License :: OSI Approved :: "


@dataclass(frozen=True)
class Locked:
    """A line of a lock: a version, and the SHA-256 of each file that may be installed."""

    version: str
    hashes: tuple[str, ...]


def read_lock(text: str) -> dict[str, Locked]:
    """Return what a lock names, by name."""
    return {
        canonicalize_name(found["name"]): Locked(
            found["version"], tuple(sorted(_HASH.findall(found["rest"])))
        )
        for found in _LOCKED.finditer(text)
    }


def walk(wanted: Iterable[str], extras: Iterable[str] = ()) -> Iterator[tuple[str, list[str]]]:
    """Yield each package that is needed with the packages that it needs itself; some repeatedly."""
    for requirement in select(wanted, extras):
        needs = distribution(requirement.name).requires or []
        following = [canonicalize_name(each.name) for each in select(needs, requirement.extras)]
        yield canonicalize_name(requirement.name), following
        yield from walk(needs, requirement.extras)


def select(requirements: Iterable[str], extras: Iterable[str]) -> list[Requirement]:
    """Return the requirements that count here, with these extras."""
    places = [{"extra": each} for each in ("", *extras)]
    parsed = [Requirement(each) for each in requirements]
    return [
        each
        for each in parsed
        if each.marker is None or any(each.marker.evaluate(place) for place in places)
    ]


def find_licence(package: Distribution) -> License:
    """Return the licence that a package states."""
    stated = package.metadata
    classifiers = stated.get_all("Classifier") or []
    named = [each.removeprefix(_LICENCE) for each in classifiers if each.startswith(_LICENCE)]
    short = stated["License"] if stated["License"] not in (None, "UNKNOWN") else ""
    return LicenseFactory().make_from_string(
        stated["License-Expression"] or short or " OR ".join(named)
    )


def describe(name: str, locked: Locked) -> Component:
    """Return a package as a component."""
    package = distribution(name)
    if package.version != locked.version:
        sys.exit(f"sbom: {name} {package.version} is installed, but the lock has {locked.version}")
    url = PackageURL("pypi", name=name, version=locked.version)
    return Component(
        name=name,
        version=locked.version,
        type=ComponentType.LIBRARY,
        bom_ref=str(url),
        purl=url,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=each) for each in locked.hashes],
        licenses=[find_licence(package)],
    )


def build_bom(project: Mapping[str, object], lock: Mapping[str, Locked]) -> Bom:
    """Return the SBOM of a project: itself, what it needs, and what needs what."""
    direct: list[str] = project["dependencies"]  # type: ignore[assignment]
    needs = {}
    for name, following in walk(direct):
        needs[name] = sorted({*following, *needs.get(name, ())})
    components = {name: describe(name, lock[name]) for name in sorted(needs)}
    url = PackageURL("pypi", name=str(project["name"]), version=str(project["version"]))
    own = Component(
        name=str(project["name"]),
        version=str(project["version"]),
        type=ComponentType.APPLICATION,
        bom_ref=str(url),
        purl=url,
        licenses=[LicenseFactory().make_from_string(str(project["license"]))],
    )
    bom = Bom(components=components.values())
    bom.metadata.component = own
    bom.register_dependency(own, [components[each.name] for each in select(direct, ())])
    for name, component in components.items():
        bom.register_dependency(component, [components[each] for each in needs[name]])
    return bom


def main(path: str) -> None:
    """Print the SBOM of the packages in the lock `path`."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    text = Path(path).read_text(encoding="utf-8")
    bom = build_bom(project, read_lock(text))
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, f"{project['version']}\n{text}")
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    del document["metadata"]["timestamp"]  # the same lock gives the same bytes
    print(json.dumps(document, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
