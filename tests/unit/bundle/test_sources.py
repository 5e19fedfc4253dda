"""Laws of sources: every form of a bundle answers which volumes are missing and what is cut."""

import tarfile
from pathlib import Path

import pytest

from registry.bundle.read.open import open_paths

SAMPLES = Path(__file__).parents[2] / "samples" / "v0.1"
CUT = 150_000  # bytes of the only blob that is larger than a volume
BLOBS = 11  # in the bundle


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One bundle as a tar, a folder and two volumes."""
    folder = tmp_path_factory.mktemp("bundles")
    with tarfile.open(SAMPLES / "bundles.tar.xz") as archive:
        archive.extractall(folder, filter="tar")
    return folder / "bundles"


@pytest.mark.parametrize("form", ["one.tar", "folder"])
def test_a_bundle_in_one_piece_has_no_volumes(bundles: Path, form: str) -> None:
    """A tar and a folder have no volumes, so none is missing and no blob is cut."""
    with open_paths([bundles / form]) as opened:
        blobs = [each.digest for each in opened.blobs]
        source = opened.source

    assert {digest for digest, _ in opened.lock.blobs} == {*blobs}
    assert (source.count, source.missing, dict(source.parts)) == (0, (), {})


def test_all_volumes_have_all_blobs(bundles: Path) -> None:
    """The parts of a cut blob follow each other, and the blob is listed once, as a whole."""
    with open_paths([bundles / "volumes"]) as opened:
        sizes = {each.digest: each.size for each in opened.blobs}
        source = opened.source

    ((digest, parts),) = source.parts.items()
    assert opened.lock.sizes == sizes
    assert (source.count, source.missing, sizes[digest]) == (2, (), CUT)
    assert [each.part.start for each in parts] == [0, parts[0].part.size]
    assert sum(each.part.size for each in parts) == CUT


def test_a_single_volume_says_what_is_missing(bundles: Path) -> None:
    """Without one volume its number is missing, and a cut blob has parts but is not listed."""
    volumes = sorted((bundles / "volumes").glob("*.tar"))
    with open_paths(volumes[:1]) as opened:
        blobs = [each.digest for each in opened.blobs]
        source = opened.source

    ((digest, parts),) = source.parts.items()
    assert (source.count, source.missing, len(parts)) == (2, (2,), 1)
    assert digest not in blobs
    assert len(opened.lock.blobs) == BLOBS
