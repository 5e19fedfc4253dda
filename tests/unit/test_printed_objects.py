"""What objects print of themselves, as in a debugger or in the message of an assertion."""

import dataclasses
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator

import registry

# Names of fields that may have a secret: also URLs, since content hosts sign them.
SECRET = re.compile(
    r"password|passwd|secret|token|credential|authorization|cookie|header|query|proxy|\burls?\b|start_at"
)
FACT = re.compile("is_|has_")  # yes or no
# Fields with such a name that have none, and why.
HARMLESS = {
    "Accounts.tokens": "each has the hash of a secret",
    "Candidate.url": "an endpoint, which an operator has written, without a login",
    "Descriptor.urls": "a part of a manifest, which is public",
    "SetupReport.url": "the address of the mirror, without a login",
    "ShellPattern._tokens": "parts of a pattern",
    "UpstreamSettings.password": "prints asterisks by itself",
    "UpstreamSettings.password_file": "the name of a file",
    "UpstreamTest.gains_password": "names of hosts",
    "_Allowance.tokens": "a number",
}


def list_printed() -> Iterator[str]:
    """Yield `Class.field` for each field with such a name that is printed."""
    for found in pkgutil.walk_packages(registry.__path__, "registry."):
        for kind in vars(importlib.import_module(found.name)).values():
            is_own = inspect.isclass(kind) and kind.__module__ == found.name
            if is_own and dataclasses.is_dataclass(kind):
                for each in dataclasses.fields(kind):
                    if each.repr and not FACT.match(each.name) and SECRET.search(each.name):
                        yield f"{kind.__name__}.{each.name}"


def test_objects_print_no_secret() -> None:
    """A field that may have a secret is not printed; one that has none is in the table."""
    assert set(list_printed()) == set(HARMLESS)
