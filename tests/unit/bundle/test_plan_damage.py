"""Laws of bundles of damaged images: they are refused, and what is damaged is quarantined."""

import json
from pathlib import Path

import pytest

from registry.bundle.format.lock import ImageRequest
from registry.bundle.write.choice import Choice
from registry.catalog.usage import UsageCatalog
from tests.harness.filled_folder import open_filled, split

NAME = "docker.io/library/app:1"


@pytest.mark.parametrize(
    ("place", "why"), [(0, "the manifest {} has changed on disk"), (1, "the blob {} is missing")]
)
async def test_a_damaged_document_is_refused(tmp_path: Path, place: int, why: str) -> None:
    """An image whose manifest or config changed on disk is not planned, and can be pulled again."""
    async with open_filled(tmp_path) as filled:
        image = await filled.put_image(NAME, [b"layer"])
        digest = (image.digest, image.blobs[0].digest)[place]
        file = tmp_path / "blobs" / "sha256" / digest.encoded[:2] / digest.encoded
        file.chmod(0o644)
        file.write_bytes(file.read_bytes().replace(b"amd64", b"arm64").replace(b": 2,", b": 3,"))
        assert json.loads(file.read_bytes())

        plan = await filled.content.planner.plan([ImageRequest(*split(NAME))], Choice("subset", ()))

        assert list(plan.failures) == [NAME]
        assert why.format(digest) in plan.failures[NAME]
        quarantined = UsageCatalog(filled.content._database).list_quarantined()
        assert [each for each, _ in quarantined] == [digest]
