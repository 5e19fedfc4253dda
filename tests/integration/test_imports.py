"""What a server imports: each library takes memory, and time at each start."""

import subprocess
import sys
from pathlib import Path

from tests.conftest import MirrorMaker
from tests.harness.deadline import await_truth
from tests.harness.processes import list_children

# All that is not of Python itself; whoever adds one measures first what it takes.
LIBRARIES = {
    *("aiofiles", "aiohappyeyeballs", "aiohttp", "aiosignal", "annotated_types", "anyio", "attr"),
    *(
        "certifi",
        "cython_runtime",
        "frozenlist",
        "h11",
        "httpcore",
        "httpx",
        "idna",
        "multidict",
        "orjson",
    ),
    *("prometheus_client", "propcache", "registry", "socksio", "structlog", "typing_extensions"),
    "yarl",
}
# For terminals, command lines, settings, lists of images, bundles and reports.
UNUSED = (
    *("decimal", "difflib", "fractions", "tarfile", "tomllib"),
    "registry.bundle",
    "registry.image_lists",
    "registry.reports",
    "registry.cli",
    "registry.settings.loading",
    "registry.settings.tables",
)
USED = {
    "registry.cli",
    *(f"registry.cli.{name}" for name in ("screen_process", "serve_options", "server_process")),
}
_PROGRAM = """
import sys
import registry.__main__
from registry.cli.server_process import import_server
from registry.wiring.services import preload_libraries
import_server()
preload_libraries()
print(*(name for name, module in sys.modules.items() if module is not None))
"""


def list_imported() -> set[str]:
    """Return all modules that a server has imported before it forks its processes."""
    return {*subprocess.check_output([sys.executable, "-c", _PROGRAM], text=True).split()}


def test_a_server_imports_only_what_it_needs() -> None:
    """Nothing for terminals, command lines or settings."""
    imported = list_imported()

    assert {"structlog", "aiohttp.web", "httpx", "registry.server.master"} <= imported
    libraries = {each.partition(".")[0] for each in imported} - sys.stdlib_module_names
    # What the installation itself loads begins with an underline.
    assert {each for each in libraries if not each.startswith("_")} <= LIBRARIES
    found = [each for each in imported if each.startswith(tuple(f"{name}." for name in UNUSED))]
    assert {*found, *imported.intersection(UNUSED)} - USED == set()


def test_no_process_of_a_server_has_pydantic(make_mirror: MirrorMaker) -> None:
    """The settings were read by another process, which has ended."""
    mirror = make_mirror()
    mirror.stop()
    mirror.start_anew()

    await_truth(lambda: len(list_children(mirror.pid)) == 3)  # two workers and the background

    for each in [mirror.pid, *list_children(mirror.pid)]:
        mapped = Path(f"/proc/{each}/maps").read_text()
        assert "orjson" in mapped
        assert "pydantic" not in mapped
