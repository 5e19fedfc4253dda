"""`entrepot bundle serve` of a bundle that omits layers, which it does not call damaged."""

from pathlib import Path

from registry.bundle.write.choice import Choice
from tests.harness.bundle_files import BundleProcess, plan, write_tar
from tests.harness.filled_folder import open_filled

APP = "docker.io/library/app:1"


async def test_a_delta_without_a_complete_image_is_not_called_damaged(tmp_path: Path) -> None:
    """The message says that layers are omitted, because verify would find no damage."""
    async with open_filled(tmp_path / "filled") as filled:
        app = await filled.put_image(APP, [b"layer"])
        choice = Choice("complete", (), frozenset({app.blobs[1].digest}))
        path = await write_tar(filled, await plan(filled, [APP], choice), tmp_path / "delta.tar")

    said = BundleProcess(tmp_path / "served", [path], workers=1).refuse()

    assert said.returncode == 1
    assert f"not served: {APP}: 1 blob is omitted from this delta; import it" in said.stdout
    assert "it is a delta, which omits layers; use import" in said.stderr
