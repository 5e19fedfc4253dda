"""Each client pulls every image by its own name through the mirror, and has the right one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.images import Image
from tests.clients.pull_table import Pull
from tests.clients.pullers import Docker, Puller
from tests.clients.site import HELLO, IMAGES

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("image", IMAGES, ids=str)
def test_a_client_runs_what_it_pulled(puller: Puller, image: Image, pull: Pull) -> None:
    """The program in the image runs, and it is the image of the registry that was named."""
    assert image.message == pull(puller, image, "up")


def test_docker_runs_a_command_in_what_it_pulled(docker: Docker) -> None:
    """`docker run` pulls the image by itself, and runs a command in it."""
    docker.forget()
    said = docker.docker("run", "--rm", docker.name_of(HELLO), "echo", "from inside")
    assert said.strip() == "from inside"


@pytest.mark.parametrize("buildkit", ["0", "1"], ids=["classic", "buildkit"])
def test_docker_builds_from_what_it_pulls(docker: Docker, tmp_path: Path, buildkit: str) -> None:
    """A build pulls its base image through the mirror: the engine's own way, and BuildKit's."""
    docker.forget()
    (tmp_path / "Dockerfile").write_text(
        f"FROM {docker.name_of(HELLO)}\nRUN echo built > /message\n"
    )
    docker.docker("build", "--network=none", "--tag=built", str(tmp_path), DOCKER_BUILDKIT=buildkit)
    assert docker.docker("run", "--rm", "built").strip() == "built"
