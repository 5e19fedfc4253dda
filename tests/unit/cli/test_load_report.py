"""What an incomplete import advises: the nearest way to the missing blobs comes first."""

from pathlib import Path

import pytest

from registry.cli.bundle.load_report import draw_import
from registry.oci.digest import Digest
from registry.reports.bundle.imported import DamagedBlob, ImportResult, MissingBlob

BLOB = Digest.of(b"blob")
EARLIER = f"sha256:{'5' * 64}"
OMITTED = (
    "import first the bundles that have the layers which this one omits"
    f" (bundle or inventory {EARLIER})"
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
def test_the_advice_is_about_what_is_missing(
    requires: list[str], volumes: list[int], damaged: dict[Digest, DamagedBlob], advice: str
) -> None:
    """A delta names what it needs, and `need.json` is for the connected side."""
    result = ImportResult(
        dry_run=False,
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
    *_, where, ways, carry, _ = draw_import(result)
    assert where == "the missing blobs are listed in /srv/need.json"
    assert ways == f"to get them, {advice}"
    command = "entrepot bundle create --need need.json -o gap.tar --sign PEM"
    assert carry == f"or carry /srv/need.json to the connected side, and run there: {command}"
