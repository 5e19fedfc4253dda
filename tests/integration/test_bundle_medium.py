"""`entrepot bundle serve` while the medium with the bundle is pulled out."""

from pathlib import Path

from tests.fakes.client import ask
from tests.harness.bundle_files import BundleProcess, plan, write_tar
from tests.harness.filled_folder import open_filled
from tests.integration.wire import fetch, wait_until

LAYER = bytes(range(256)) * 300
APP = "docker.io/library/app"


async def test_a_medium_that_was_pulled_out_is_not_called_damaged(tmp_path: Path) -> None:
    """Clients and probes learn that it cannot be read; plugged in again, it is served on."""
    async with open_filled(tmp_path / "filled") as filled:
        image = await filled.put_image(f"{APP}:1", [LAYER])
        planned = await plan(filled, [f"{APP}:1"])
        path = await write_tar(filled, planned, tmp_path / "images.tar")
    away, layer = path.with_name("away"), image.blobs[1].digest
    with BundleProcess(tmp_path / "served", [path], workers=1) as served:
        url, ready = f"{served.url}/v2/library/app", f"{served.console}/readyz"
        wait_until(lambda: ask(ready).status == 200, "it is ready")
        path.rename(away)
        for what in ("manifests/1", f"blobs/{layer}"):
            answer = fetch(f"{url}/{what}")
            assert (answer.status, answer.code) == (503, "UNAVAILABLE")
            assert b"the medium with the bundle cannot be read" in answer.body
        assert ask(ready).status == 503
        assert b"the medium cannot be read: " in ask(ready).body
        away.rename(path)
        assert fetch(f"{url}/manifests/1").status == 200
        assert fetch(f"{url}/blobs/{layer}").body == LAYER
        assert ask(ready).status == 200
        assert "quarantined" not in served.log()
