"""What a server imports: each library takes memory, and time at each start."""

import re

from tests.conftest import MirrorMaker

_LINE = re.compile(r"^import time: .*\| *(\S+)$", re.MULTILINE)
# For terminals, lists of images, bundles and proxies.
UNUSED = (
    "rich.console",  # "rich" itself is looked for, and hidden (registry/logs.py)
    "pygments",
    "yaml",
    "cryptography",
    "aiohttp_socks",
    "python_socks",
    "tarfile",
    "registry.bundle",
    "registry.image_lists",
    "registry.reports",
    "registry.cli.screen",
    "registry.cli.tables",
)


def test_a_server_imports_only_what_it_needs(make_mirror: MirrorMaker) -> None:
    """Without a terminal, none of its processes imports anything for terminals or commands."""
    mirror = make_mirror()
    mirror.stop()
    mirror.log_path.unlink()

    mirror.start_anew(under=["env", "PYTHONPROFILEIMPORTTIME=1"])

    imported = set(_LINE.findall(mirror.log()))
    assert {"structlog", "aiohttp.web", "httpx", "registry.server.master"} <= imported
    found = [each for each in imported if each.startswith(tuple(f"{name}." for name in UNUSED))]
    assert sorted({*found, *imported.intersection(UNUSED)}) == []
