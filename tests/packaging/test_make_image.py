"""`make image` tries the image that it has built, before it writes the archive."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Notes its arguments; the commands end as variables such as RUN say; `save` writes its archive.
DOCKER = """\
#!/bin/sh
echo "$*" >>"$NOTES"
case $1 in
    build) exit ${BUILD:-0} ;;
    version) exit ${DAEMON:-0} ;;
    pull) exit ${PULL:-0} ;;
    image) exit 1 ;;
    run) exit $RUN ;;
    save) echo image >"$3" ;;
esac
"""


def make_image(
    folder: Path, codes: dict[str, str]
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run `make image` with a docker whose commands end with `codes`; return what it was asked."""
    for name in ("Makefile", "Dockerfile", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    program = folder / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(DOCKER)
    program.chmod(0o755)
    notes = folder / "notes"
    path = f"{program.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["make", "image", "BASE=old/python:3"],
        cwd=folder,
        env=os.environ | {"PATH": path, "NOTES": str(notes)} | codes,
        capture_output=True,
        text=True,
        check=False,
    )
    return done, notes.read_text().splitlines()


@pytest.mark.parametrize(
    ("failing", "hint"),
    [
        (["BUILD", "DAEMON", "PULL"], "the Docker daemon does not answer: start it"),
        (["BUILD", "PULL"], "the base image old/python:3 cannot be pulled: name an image"),
        (["BUILD"], 'if pip cannot download, name a package index: make image PIP_FLAGS="--index-'),
    ],
)
def test_the_hint_fits_the_failure(tmp_path: Path, failing: list[str], hint: str) -> None:
    """One hint is printed: about the daemon, the base image, or a step of the build."""
    done, _ = make_image(tmp_path, dict.fromkeys(failing, "1"))
    assert done.returncode != 0
    last = [line for line in done.stderr.splitlines() if not line.startswith("make")][-1]
    assert hint in last


@pytest.mark.parametrize("code", [0, 1])
def test_an_image_that_does_not_run_is_not_written(tmp_path: Path, code: int) -> None:
    """A base image may be too old, or without a library that Python needs."""
    done, notes = make_image(tmp_path, {"RUN": str(code)})

    build, run, *others = notes
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
