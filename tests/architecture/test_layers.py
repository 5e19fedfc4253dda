"""Laws of who may import whom (docs/architecture.md), type-only imports included."""

import sys
from collections.abc import Mapping
from types import MappingProxyType

from tests.architecture.source import Import, find_imports, read_sources

# What each room may import of ours, beside itself and the version number in `registry`. Siblings
# are never in each other's row: store, catalog and upstream; mirror and bundle; api and console.
MAY_IMPORT: Mapping[str, str] = MappingProxyType(
    {
        "errors": "",
        "metrics": "",
        "logs": "errors",
        "tasks": "logs",
        "oci": "errors",
        "settings": "oci errors",
        "store": "logs tasks oci errors",
        "catalog": "logs tasks oci errors",
        "upstream": "settings logs oci errors",
        "image_lists": "oci errors",
        "clients": "settings oci errors",
        "access": "store logs tasks oci errors",
        "content": "store catalog settings metrics logs tasks oci errors",
        "bundle": "content store settings logs tasks oci errors",
        "mirror": "content image_lists upstream store catalog settings metrics logs tasks oci"
        " errors",
        "reports": "clients bundle image_lists content upstream catalog settings oci errors",
        "api": "access mirror metrics logs tasks oci errors",
        "console": "reports access settings oci errors",
        "wiring": "reports access mirror bundle content upstream store catalog settings metrics"
        " tasks oci errors",
        "server": "wiring console api bundle store settings metrics logs tasks errors",
        "cli": "server wiring access clients reports bundle image_lists mirror content settings"
        " logs oci errors",
        "__main__": "cli",
    }
)

# The only rooms that know a library, so that replacing it is a change to them alone.
HOMES: Mapping[str, str] = MappingProxyType(
    {
        "aiofiles": "store",
        "bcrypt": "access",
        "annotated_types": "settings",
        "anyio": "upstream",
        "cryptography": "access bundle",
        "aiohttp": "api upstream console server",
        "aiohttp_socks": "upstream",
        "httpx": "upstream wiring",
        "jinja2": "console",
        "orjson": "logs",
        "prometheus_client": "metrics console",
        "pydantic": "settings",
        "pydantic_core": "settings",
        "rich": "cli",
        "sqlite3": "catalog",
        "structlog": "logs",
        "typer": "cli",
        "yaml": "clients image_lists",
        "yarl": "upstream",
    }
)


def room_of(module: str) -> str:
    return module.partition(".")[2].partition(".")[0]


def list_imports(*folders: str) -> list[Import]:
    sources = read_sources(*folders or ("registry",))
    return [each for source in sources for each in find_imports(source)]


def describe(found: Import, cure: str) -> str:
    return f"{found.importer} line {found.line} imports {found.module}: {cure}"


def test_every_room_has_a_row() -> None:
    """A new room is born with its row in the table, and no row outlives its room's design."""
    rooms = {source.room for source in read_sources("registry")} - {""}

    assert rooms - set(MAY_IMPORT) == set()


def test_rooms_import_only_what_they_may() -> None:
    """Imports go down the table, never up or sideways."""
    wrong = []
    for found in list_imports():
        here, there = room_of(found.importer), room_of(found.module)
        if not found.module.startswith("registry.") or here in (there, ""):
            continue
        allowed = MAY_IMPORT.get(here, "").split()
        if there not in allowed:
            wrong.append(describe(found, f"{here} may import only {allowed}"))
    assert wrong == [], "\n".join(wrong)


def test_the_table_allows_nothing_unused() -> None:
    """An import that no room needs any more is taken out of the table."""
    used = {(room_of(each.importer), room_of(each.module)) for each in list_imports()}
    unused = [
        f"{here} imports nothing of {there}"
        for here, row in MAY_IMPORT.items()
        for there in row.split()
        if (here, there) not in used
    ]

    assert unused == []


def test_nothing_imports_the_tests() -> None:
    """What is shipped stands without its tests and benchmarks."""
    others = {"tests", "benchmarks"}
    wrong = [each for each in list_imports() if each.module.split(".")[0] in others]
    assert wrong == []


def find_cycle(graph: Mapping[str, set[str]]) -> list[str]:
    """Return modules that import each other in a ring; empty when there is none."""
    done: set[str] = set()
    path: list[str] = []

    def visit(module: str) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return []
        path.append(module)
        for following in sorted(graph.get(module, ())):
            if ring := visit(following):
                return ring
        path.pop()
        done.add(module)
        return []

    return next((ring for module in sorted(graph) if (ring := visit(module))), [])


def test_no_import_cycles() -> None:
    """No module needs itself, by whatever detour."""
    graph: dict[str, set[str]] = {}
    for found in list_imports("registry", "benchmarks"):
        if found.module.split(".")[0] in ("registry", "benchmarks"):
            graph.setdefault(found.importer, set()).add(found.module)

    ring = find_cycle(graph)

    assert ring == [], "import cycle: " + " -> ".join(ring)


def test_cycle_finder_finds_one() -> None:
    """The law above can fail."""
    assert find_cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


def test_libraries_stay_at_home() -> None:
    """A third-party library is imported only in the rooms that are its home."""
    wrong = []
    for found in list_imports():
        library = found.module.split(".")[0]
        is_foreign = library not in sys.stdlib_module_names and library != "registry"
        if not (is_foreign or library in HOMES):
            continue
        homes = HOMES.get(library, "").split()
        if room_of(found.importer) not in homes:
            wrong.append(describe(found, f"the home of {library} is {homes or 'not decided'}"))
    assert wrong == [], "\n".join(wrong)
