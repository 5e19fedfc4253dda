"""`make image` tries the image that it has built, before it writes the archive."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Notes its arguments; `run` ends as the variable RUN says, and `save` writes its archive.
DOCKER = """\
#!/bin/sh
echo "$*" >>"$NOTES"
case $1 in
    run) exit $RUN ;;
    save) echo image >"$3" ;;
esac
"""


@pytest.mark.parametrize("code", [0, 1])
def test_an_image_that_does_not_run_is_not_written(tmp_path: Path, code: int) -> None:
    """A base image may be too old, or without a library that Python needs."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(DOCKER)
    program.chmod(0o755)
    notes = tmp_path / "notes"
    path = f"{program.parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "NOTES": str(notes), "RUN": str(code)}

    done = subprocess.run(
        ["make", "image", "BASE=old/python:3"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    build, run, *others = notes.read_text().splitlines()
    assert build.startswith("build --build-arg BASE=old/python:3 ")
    assert run.startswith("run --rm --network none entrepot:")
    assert run.endswith(" config check")
    assert [each.split()[0] for each in others] == ([] if code else ["save"])
    assert bool(done.returncode) == bool(code)
    assert ("Entrepôt does not run in it" in done.stderr) == bool(code)
    assert bool([*tmp_path.glob("dist/install/*.tar")]) != bool(code)


def test_a_base_image_with_an_old_python_is_refused() -> None:
    """The first step of the build says which Python is needed."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    (check,) = [line.removeprefix("RUN python3 -c ") for line in lines if "version_info" in line]
    program = check.strip('"').replace("sys.version_info[:2]", "(3, 9)")
    for text, code in ((program, 1), (check.strip('"'), 0)):
        done = subprocess.run(
            [sys.executable, "-c", text], capture_output=True, text=True, check=False
        )
        assert done.returncode == code
        assert ("has Python 3.9, but Entrepot needs 3.11 or newer" in done.stderr) == bool(code)
