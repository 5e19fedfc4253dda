"""Each client pulls through the mirror from registries that do things in their own way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients import images, programs
from tests.clients.conftest import PULLERS, require
from tests.clients.pull_table import PullTable
from tests.clients.pullers import Ctr, Docker, Podman, Puller, Skopeo
from tests.fakes.upstream import FACES
from tests.integration.faces import Faces, Row, each_row, name_registry, open_faces, row

pytestmark = [pytest.mark.timeout(300), pytest.mark.programs]

ROWS = [row(face, face) for face in FACES]
REGISTRIES = [name_registry(number) for number in range(len(ROWS))]


@pytest.fixture(scope="module")
def place(folder: Path) -> Path:
    made = folder / "faces"
    made.mkdir()
    return made


@pytest.fixture(scope="module")
def faces(place: Path, pull_table: PullTable) -> Iterator[Faces]:
    with open_faces(place, ROWS) as opened:
        pull_table.logs["the mirror of the faces"] = opened.mirror.log_path
        yield opened


@pytest.fixture(scope="module", params=PULLERS)
def client(request: pytest.FixtureRequest, place: Path, faces: Faces) -> Puller:
    """Each client in turn, with one mirror for all faces."""
    home = place / f"{request.param}-home"
    home.mkdir()
    host = faces.mirror.host
    match request.param:
        case "docker":
            return Docker(home, request.getfixturevalue("dockerd"), host)
        case "ctr":
            return Ctr(home, request.getfixturevalue("containerd"), host, REGISTRIES)
        case "podman":
            require(programs.missing("podman", "runc", as_root=True))
            return Podman(home, host, REGISTRIES)
    require(programs.missing("skopeo"))
    return Skopeo(home, host)


@each_row(ROWS)
def test_client_pulls_from_each_face(
    faces: Faces, client: Puller, pull_table: PullTable, row: Row
) -> None:
    """A new image comes through the mirror, whatever the registry behind it does."""
    with faces.play(row) as registry:
        media = "docker" if client.name in {"docker", "podman"} else "oci"
        message = f"{row.name} for {client.name}"
        image = images.build_message(registry, f"team/{client.name}", message, media=media)
        images.publish(faces.hub, image)

        pull_table.pull(client, image, faces.mirror, "cold, each face")

        fetched = {digest: faces.hub.journal.blob_fetches(digest) for digest in image.blob_digests}
        assert fetched == dict.fromkeys(image.blob_digests, 1), faces.hub.journal
