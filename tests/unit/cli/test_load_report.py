"""What an incomplete import advises: the nearest way to the missing blobs comes first."""

from pathlib import Path

import pytest

from registry.cli.bundle.load_report import draw_import
from registry.oci.digest import Digest
from registry.reports.bundle.imported import DamagedBlob, ImportResult, MissingBlob

BLOB = Digest.of(b"blob")
EARLIER = f"sha256:{'5' * 64}"
OMITTED = (
    f"import first the earlier bundle {EARLIER} (entrepot bundle info FILE shows the id of a file)"
)
DAMAGE = {BLOB: DamagedBlob("b.tar", [])}


@pytest.mark.parametrize(
    ("requires", "volumes", "damaged", "advice"),
    [
        ([EARLIER], [], {}, OMITTED),
        ([], [2], {}, "import the missing volumes"),
        ([], [], DAMAGE, "import another copy of this bundle"),
        ([], [], {}, "import another copy of this bundle"),
        ([], [2], DAMAGE, "import the missing volumes, and import another copy of this bundle"),
    ],
)
@pytest.mark.parametrize("is_dry", [False, True])
def test_the_advice_is_about_what_is_missing(
    requires: list[str],
    volumes: list[int],
    damaged: dict[Digest, DamagedBlob],
    advice: str,
    *,
    is_dry: bool,
) -> None:
    """A delta names what it needs, and `need.json`, which a dry run does not write, is carried."""
    result = ImportResult(
        dry_run=is_dry,
        bundle="sha256:1",
        signed=True,
        signer=None,
        whole=False,
        images=[],
        platforms={},
        already_here=[],
        new_bytes=0,
        known_bytes=0,
        damaged=damaged,
        incomplete={"docker.io/library/app:1": [MissingBlob(BLOB, 9)]},
        refused={},
        moved=[],
        problems=[],
        partial_blobs=[],
        missing_volumes=volumes,
        volume_count=3 if volumes else None,
        requires=requires,
        need=Path("/srv/need.json"),
    )
    *_, where, head, ways, carry, _ = draw_import(result)
    listed, first = "are listed", ""
    if is_dry:
        listed, first = "would be listed", "run this without --dry-run, "
    assert where == f"the missing blobs {listed} in /srv/need.json"
    assert head == "to complete the images, do one of these:"
    assert ways == f"  1. {advice}"
    command = "entrepot bundle create --need need.json -o gap.tar --sign PEM"
    there = f"carry /srv/need.json to the connected side, and run there: {command}"
    assert carry == f"  2. {first}{there}"
