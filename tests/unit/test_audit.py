"""`.ci/audit`: a vulnerability is found, and a database that does not answer is no good news."""

import subprocess
from pathlib import Path

import pytest

AUDIT = Path(__file__).parents[2] / ".ci" / "audit"
KNOWN = "urllib3 1.24.1 CVE-2019-11324"
# Stands in for pip-audit: fails if `database` names the package in the file, and prints its line.
PROGRAM = """#!/bin/sh
for file; do :; done
found=$(grep -o '^[a-z0-9]*' "$file")
echo '{database}' | grep "^$found " && exit 1
exit {otherwise}
"""


@pytest.mark.parametrize(
    ("database", "otherwise", "code"),
    [
        (KNOWN, 0, 0),
        (f"{KNOWN}\nlocked 1 GHSA-1", 0, 1),
        (KNOWN, 1, 1),  # a locked package that is not known there
        ("", 0, 3),  # an index that has no database says that there is no vulnerability
        ("", 1, 3),
    ],
)
def test_what_is_not_known_is_not_sound(
    tmp_path: Path, database: str, otherwise: int, code: int
) -> None:
    """0 only if a database that knows an old vulnerability knows none of what is locked."""
    program, lock = tmp_path / "pip-audit", tmp_path / "lock.txt"
    program.write_text(PROGRAM.format(database=database, otherwise=otherwise))
    program.chmod(0o755)
    lock.write_text("locked==1\n")

    done = subprocess.run(
        [AUDIT, program, lock], capture_output=True, text=True, check=False, timeout=20
    )

    assert done.returncode == code, done.stderr
    assert ("nothing was audited" in done.stderr) == (code == 3)
