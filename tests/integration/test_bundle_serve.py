"""`entrepot bundle serve`: a registry straight from a bundle's files."""

import json
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from registry.bundle.write.choice import Choice
from registry.bundle.write.plan import Plan
from registry.oci.manifest import Manifest
from tests.fakes.client import ask
from tests.harness.bundle_files import BundleProcess, plan, write_tar, write_volumes
from tests.harness.filled_folder import FilledFolder, open_filled
from tests.integration.wire import fetch, wait_until

LAYER = bytes(range(256)) * 3000
APP, TOOL = "docker.io/library/app", "ghcr.io/team/tool"


@dataclass
class Site:
    """A filled folder with images of two registries, and what was made of it."""

    filled: FilledFolder
    folder: Path
    app: Manifest
    index: Manifest
    tool: Manifest
    signature: Manifest

    @property
    def layer(self) -> str:
        """The digest of the large layer."""
        return str(self.app.blobs[1].digest)

    async def pack(self, *, have: bool = False) -> tuple[Plan, Path]:
        """Write a bundle of everything; with `have` without the large layer."""
        layers = frozenset({self.app.blobs[1].digest}) if have else frozenset()
        planned = await plan(self.filled, [f"{APP}:1", f"{TOOL}:2"], Choice("complete", (), layers))
        return planned, await write_tar(self.filled, planned, self.folder / "images.tar")

    def serve(self, *bundle: Path, workers: int = 1) -> BundleProcess:
        """Return a server of it, not started."""
        return BundleProcess(self.folder / "served", bundle, workers=workers)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_filled(tmp_path / "filled") as filled:
        app = await filled.put_image(APP, [LAYER, b"small"])
        index = await filled.put_index(f"{APP}:1", {"linux/amd64": app})
        tool = await filled.put_image(f"{TOOL}:2", [b"the tool"])
        subject = {
            "mediaType": tool.media_type,
            "digest": str(tool.digest),
            "size": len(tool.raw),
        }
        signature = await filled.put_image(
            TOOL, [b"signed"], subject=subject, artifactType="application/x.signature"
        )
        yield Site(filled, tmp_path, app, index, tool, signature)


async def test_images_are_served_by_their_own_names(site: Site) -> None:
    """By default, `ns`, path and prefix: manifests, blobs, tags and referrers, as a mirror does."""
    _, path = await site.pack()
    with site.serve(path, workers=2) as served:
        for base, query in (
            (f"{served.url}/v2/library/app", ""),
            (f"{served.url}/v2/library/app", "?ns=docker.io"),
            (f"{served.url}/docker.io/v2/library/app", ""),
            (f"{served.url}/v2/docker.io/library/app", ""),
        ):
            manifest = fetch(f"{base}/manifests/1{query}")
            assert (manifest.status, manifest.body) == (200, site.index.raw)
            assert manifest.origin == "bundle"
            blob = fetch(f"{base}/blobs/{site.layer}{query}")
            assert (blob.status, blob.origin, blob.body) == (200, "bundle", LAYER)
            for path in ("manifests/1", f"blobs/{site.layer}"):
                head = fetch(f"{base}/{path}{query}", method="HEAD")
                assert (head.status, head.origin) == (200, "bundle")
                known = {"If-None-Match": head.headers["ETag"]}
                same = fetch(f"{base}/{path}{query}", known)
                assert (same.status, same.origin) == (304, "bundle")
                again = fetch(f"{base}/{path}{query}", {"Range": "bytes=0-9"})
                assert again.origin == "bundle"
        tool = f"{served.url}/v2/ghcr.io/team/tool"
        assert fetch(f"{tool}/manifests/2").body == site.tool.raw
        assert fetch(f"{tool}/tags/list").json()["tags"] == ["2"]
        referrers = fetch(f"{tool}/referrers/{site.tool.digest}").json()["manifests"]
        assert [each["digest"] for each in referrers] == [str(site.signature.digest)]
        assert fetch(f"{tool}/manifests/{site.signature.digest}").body == site.signature.raw


async def test_what_is_not_inside_is_unknown(site: Site) -> None:
    """Another tag, a blob of another repository, and a push are refused as by a mirror."""
    _, path = await site.pack()
    with site.serve(path) as served:
        for what, code in (
            ("library/app/manifests/2", "MANIFEST_UNKNOWN"),
            ("library/other/manifests/1", "MANIFEST_UNKNOWN"),
            (f"ghcr.io/team/tool/blobs/{site.layer}", "BLOB_UNKNOWN"),
        ):
            answer = fetch(f"{served.url}/v2/{what}")
            assert (answer.status, answer.code) == (404, code), what
        assert ask(f"{served.url}/v2/library/app/blobs/uploads/", method="POST").status == 405


async def test_ranges_are_served(site: Site) -> None:
    """A part of a blob is sent from where it is in the file."""
    _, path = await site.pack()
    with site.serve(path) as served:
        answer = ask(f"{served.url}/v2/library/app/blobs/{site.layer}", Range="bytes=300-999")
        assert (answer.status, answer.body) == (206, LAYER[300:1000])


async def test_volumes_are_served(site: Site) -> None:
    """Also a blob that is cut over several volumes, whole and in ranges over the cuts."""
    planned, _ = await site.pack()
    volumes = await write_volumes(site.filled, planned, site.folder, 256 * 1024)
    assert len(volumes) > 3
    with site.serve(*reversed(volumes)) as served:
        url = f"{served.url}/v2/library/app/blobs/{site.layer}"
        assert fetch(url).body == LAYER
        for first, last in ((0, 0), (100_000, 500_000), (len(LAYER) - 2, len(LAYER) - 1)):
            answer = ask(url, Range=f"bytes={first}-{last}")
            assert (answer.status, answer.body) == (206, LAYER[first : last + 1])
        ranges = ask(url, Range="bytes=0-1,200000-300000")
        assert LAYER[200_000:300_001] in ranges.body


async def test_missing_volumes_are_reported(site: Site) -> None:
    """A server without any image does not start; else it prints the missing volumes and bytes."""
    planned, _ = await site.pack()
    first, *others = await write_volumes(site.filled, planned, site.folder, 256 * 1024)
    numbers = f"2-{len(others) + 1} of {len(others) + 1}"
    server = site.serve(others[0])
    said = server.refuse()
    assert said.returncode == 1
    assert f"{others[0]}: no image in it can be served; give volumes 1, 3" in said.stderr
    assert f" of {len(others) + 1} too" in said.stderr
    assert "0 images, 0 B of 7" in said.stdout
    assert "the bundle is not signed: anybody may have made it" in said.stderr
    assert [*server.scratch.glob("*/*")] == []
    served = BundleProcess(site.folder / "first", [first], workers=1)
    with served:
        assert fetch(f"{served.url}/v2/ghcr.io/team/tool/manifests/2").status == 200
    assert f"volumes {numbers} are missing\n" in served.log()


async def test_an_image_that_is_not_whole_is_not_served(site: Site) -> None:
    """An image whose layers are omitted gets no name, and the server says so."""
    _, path = await site.pack(have=True)
    with site.serve(path) as served:
        assert fetch(f"{served.url}/v2/library/app/manifests/1").status == 404
        assert fetch(f"{served.url}/v2/ghcr.io/team/tool/manifests/2").status == 200
        assert f"not served: {APP}:1: 1 blob is omitted from this delta; import it" in served.log()


def damage(path: Path, content: bytes) -> int:
    """Flip one byte of `content` in a file; where."""
    raw = bytearray(path.read_bytes())
    place = raw.index(content) + len(content) // 2
    raw[place] ^= 1
    path.write_bytes(raw)
    return place


async def test_a_damaged_blob_is_never_sent(site: Site) -> None:
    """It is unknown to clients, the log names file and digest, and all else is served."""
    _, path = await site.pack()
    damage(path, LAYER)
    with site.serve(path) as served:
        answer = fetch(f"{served.url}/v2/library/app/blobs/{site.layer}")
        assert (answer.status, answer.code) == (404, "BLOB_UNKNOWN")
        assert fetch(f"{served.url}/v2/library/app/manifests/1").status == 200
        wait_until(lambda: served.events("verified"), "the background is done")
        said = served.events("damaged, not served")
        assert {each["blob"] for each in said} == {site.layer}
        assert said[0]["files"] == [str(path)]
        assert served.events("verified")[0]["damaged"] == 1


async def test_a_damaged_manifest_takes_its_image_along(site: Site) -> None:
    """An image whose manifest is not right has no name here; the others have theirs."""
    _, path = await site.pack()
    damage(path, site.app.raw)
    with site.serve(path) as served:
        assert fetch(f"{served.url}/v2/library/app/manifests/1").status == 404
        assert fetch(f"{served.url}/v2/ghcr.io/team/tool/manifests/2").status == 200


async def test_a_file_that_changes_is_not_believed(site: Site) -> None:
    """What was verified was another file's: nothing of the new one is sent."""
    _, path = await site.pack()
    with site.serve(path) as served:
        url = f"{served.url}/v2/library/app/blobs/{site.layer}"
        assert fetch(url).status == 200
        damage(path, LAYER)
        assert fetch(url).status >= 500
        assert "has changed" in served.log()


async def test_each_blob_is_read_once(site: Site) -> None:
    """However many processes and clients there are, one verdict is noted for each blob."""
    planned, path = await site.pack()
    with site.serve(path, workers=2) as served:
        wait_until(lambda: served.events("verified"), "the background is done")
        (proofs,) = served.scratch.glob("*/*/proofs")
        noted = {each.name: each.stat() for each in proofs.iterdir()}
        assert len(noted) == len(planned.lock.blobs)
        for _ in range(10):
            assert fetch(f"{served.url}/v2/library/app/blobs/{site.layer}").status == 200
        after = {each.name: each.stat().st_mtime_ns for each in proofs.iterdir()}
        assert after == {name: stat.st_mtime_ns for name, stat in noted.items()}


async def test_nothing_stays_behind(site: Site) -> None:
    """The folder for the moment holds no blob, and goes at the end; a killed one's, next time."""
    _, path = await site.pack()
    served = site.serve(path).start()
    assert fetch(f"{served.url}/v2/library/app/blobs/{site.layer}").status == 200
    files = [each for each in served.scratch.rglob("*") if each.is_file()]
    assert max(each.stat().st_size for each in files if "catalog" not in each.name) < len(LAYER)
    served.kill()
    assert len(list(served.scratch.glob("*/*"))) == 1
    served.start()
    assert len(list(served.scratch.glob("*/*"))) == 1
    assert served.stop() == 0
    assert list(served.scratch.glob("*/*")) == []


async def test_it_reads_what_cannot_be_written(site: Site) -> None:
    """File and folder of the bundle are left exactly as they are."""
    _, path = await site.pack()
    place = site.folder / "medium"
    place.mkdir()
    path = path.rename(place / path.name)
    path.chmod(0o444)
    place.chmod(0o555)
    before = path.stat()
    with site.serve(path) as served:
        assert fetch(f"{served.url}/v2/library/app/blobs/{site.layer}").status == 200
    assert [each.name for each in place.iterdir()] == [path.name]
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    place.chmod(0o755)


async def test_it_can_be_reloaded(site: Site) -> None:
    """SIGHUP starts new workers over the same bundle."""
    _, path = await site.pack()
    with site.serve(path) as served:
        os.kill(served.pid, signal.SIGHUP)
        wait_until(lambda: served.events("reloaded"), "it is reloaded")
        assert fetch(f"{served.url}/v2/library/app/manifests/1").status == 200


async def test_probes_and_metrics_are_there(site: Site) -> None:
    """The console says that it is ready, and counts what was asked for."""
    _, path = await site.pack()
    with site.serve(path) as served:
        assert fetch(f"{served.url}/v2/library/app/manifests/1").status == 200
        wait_until(lambda: ask(f"{served.console}/readyz").status == 200, "it is ready")
        assert b"entrepot_requests_total" in ask(f"{served.console}/metrics").body


async def test_the_server_prints_how_to_configure_clients(site: Site) -> None:
    """What is printed can be pasted: it names the address and every registry inside."""
    _, path = await site.pack()
    with site.serve(path) as served:
        said = served.log()
        assert json.dumps({"registry-mirrors": [served.url]})[1:-1] in said
        assert f'server = "{served.url}"' in said
        for name in ("docker.io", "ghcr.io"):
            assert f'location = "{served.host}/{name}"' in said


async def test_what_cannot_be_served_is_refused(site: Site) -> None:
    """A torn file, or one that is not signed where a key is asked for, is one line that says so."""
    _, path = await site.pack()
    key = site.folder / "pub.pem"
    private = Ed25519PrivateKey.generate()
    key.write_bytes(
        private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    torn = site.folder / "torn.tar"
    torn.write_bytes(path.read_bytes()[:-5000])
    said = site.serve(path, torn).refuse("--key", str(key)).stderr
    assert "give one bundle" in said
    served = BundleProcess(site.folder / "unsigned", [path])
    assert "the bundle is not signed" in served.refuse("--key", str(key)).stderr
    torn.write_bytes(path.read_bytes()[:700])
    assert "it ends too early" in BundleProcess(site.folder / "torn", [torn]).refuse().stderr
