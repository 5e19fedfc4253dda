"""The SBOM in locks/ is that of the locks, and says of each package what it is."""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SBOM = ROOT / "locks" / "entrepot.cdx.json"


def test_it_is_what_the_lock_says() -> None:
    """`make lock` has written it after the last change of locks and settings of the project."""
    made = subprocess.run(
        [sys.executable, ".ci/sbom.py", "locks/run.txt"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert made.stderr == ""
    assert json.loads(made.stdout) == json.loads(SBOM.read_text()), "run `make sbom`"


def test_each_package_has_version_hashes_and_licence() -> None:
    """The hashes are those of the lock, and the version is locked with them."""
    lock = (ROOT / "locks" / "run.txt").read_text()
    for component in json.loads(SBOM.read_text())["components"]:
        named = re.escape(f"{component['name']}=={component['version']}")
        (locked,) = re.findall(rf"^{named} (?:.*\\\n)+.*$", lock, re.MULTILINE)
        hashes = re.findall(r"sha256:([0-9a-f]{64})", locked)

        assert sorted(hashes) == sorted(each["content"] for each in component["hashes"])
        assert component["licenses"], component["name"]
