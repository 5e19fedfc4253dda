"""What an SBOM names, and what is installed, so that the two can be compared."""

import json

# Prints the installed packages, as JSON: a list of names and versions.
LIST_INSTALLED = """
import json
from importlib.metadata import distributions
print(json.dumps([[each.name, each.version] for each in distributions()]))
"""


def read_installed(printed: str) -> set[tuple[str, str]]:
    """Return the names and versions that `LIST_INSTALLED` has printed."""
    return {(_normalise(name), version) for name, version in json.loads(printed)}


def list_named(document: str) -> set[tuple[str, str]]:
    """Return the names and versions in an SBOM, with that of which it is."""
    bom = json.loads(document)
    components = [*bom["components"], bom["metadata"]["component"]]
    return {(each["name"], each["version"]) for each in components}


def _normalise(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
