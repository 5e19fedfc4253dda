"""`offline = true`: what is here is served, nothing else is, and no socket leads outside."""

import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream, Image
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import fetch, send_raw, status_of, wait_until

LAYER = b"carried over the gap" * 5_000
CONNECTED = re.compile(r"connect\(\d+, \{sa_family=(AF_INET6?)\b")


def know(make_mirror: MirrorMaker, hub: FakeUpstream) -> tuple[MirrorProcess, Image, Image]:
    """A mirror that has an index with one image, and is stopped."""
    image = hub.add_image("team/gap", None, [LAYER])
    index = hub.add_index("team/gap", "1", [image])
    mirror = make_mirror({"tags": {"fresh_for": "0s"}}, workers=1)
    base = f"{mirror.url}/v2/team/gap"
    for what in ("manifests/1", f"manifests/{image.digest}", "tags/list"):
        assert fetch(f"{base}/{what}").status == 200
    for digest in image.blobs:
        assert fetch(f"{base}/blobs/{digest}").status == 200
    wait_until(lambda: not list((mirror.data / "spool").iterdir()), "every blob is stored")
    mirror.stop()
    return mirror, image, index


def check_known(mirror: MirrorProcess, image: Image, index: Image) -> None:
    """What was pulled before is served as a hit, without any warning."""
    base = f"{mirror.url}/v2/team/gap"
    for reference, expected in (("1", index), (index.digest, index), (image.digest, image)):
        manifest = fetch(f"{base}/manifests/{reference}")
        assert (manifest.status, manifest.origin, manifest.body) == (200, "hit", expected.manifest)
        assert "Warning" not in manifest.headers
    blob = fetch(f"{base}/blobs/{image.layers[0]}")
    assert (blob.status, blob.origin, blob.body) == (200, "hit", LAYER)
    assert fetch(f"{base}/tags/list").json()["tags"] == ["1"]


def check_unknown(mirror: MirrorProcess) -> None:
    """What was not is a clear 404 that says why."""
    digest = "sha256:" + "0" * 64
    for what, code in (
        ("team/gap/manifests/2", "MANIFEST_UNKNOWN"),
        (f"team/gap/manifests/{digest}", "MANIFEST_UNKNOWN"),
        (f"team/gap/blobs/{digest}", "BLOB_UNKNOWN"),
        ("team/other/manifests/1", "MANIFEST_UNKNOWN"),
        ("team/other/tags/list", "NAME_UNKNOWN"),
    ):
        answer = fetch(f"{mirror.url}/v2/{what}")
        assert (answer.status, answer.code) == (404, code), what
    assert "offline" in fetch(f"{mirror.url}/v2/team/gap/manifests/2").message


@pytest.mark.parametrize("way", ["option", "setting"])
def test_offline_serves_what_is_here(make_mirror: MirrorMaker, hub: FakeUpstream, way: str) -> None:
    """Known content is a hit, unknown content a 404, and the upstream hears nothing."""
    mirror, image, index = know(make_mirror, hub)
    hub.journal.clear()
    if way == "option":
        mirror.start("--offline")
    else:
        mirror._settings["offline"] = True
        mirror.start()

    check_known(mirror, image, index)
    check_unknown(mirror)
    assert len(hub.journal) == 0, hub.journal


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Where a tracer is to note every connect()."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    return tmp_path / "trace"


def trace_to(path: Path) -> list[str]:
    return ["strace", "-f", "-qq", "-e", "trace=connect", "-o", str(path)]


@pytest.mark.programs
def test_offline_opens_no_socket(make_mirror: MirrorMaker, hub: FakeUpstream, trace: Path) -> None:
    """The system calls of every process, from start to end, show no connection to any address."""
    mirror, image, index = know(make_mirror, hub)
    mirror.start_anew("--offline", under=trace_to(trace))

    check_known(mirror, image, index)
    check_unknown(mirror)
    nameless = send_raw(mirror.host, b"GET /v2/team/gap/manifests/1 HTTP/1.0\r\n\r\n")
    assert status_of(nameless) == 200
    mirror.kill()

    assert CONNECTED.findall(trace.read_text()) == []


@pytest.mark.programs
def test_the_trace_would_show_a_connection(
    make_mirror: MirrorMaker, hub: FakeUpstream, trace: Path
) -> None:
    """The proof above proves something: online, the same trace does show the upstream."""
    hub.add_image("team/gap", "1", [LAYER])
    mirror = make_mirror(workers=1)
    mirror.stop()
    mirror.start_anew(under=trace_to(trace))

    assert fetch(f"{mirror.url}/v2/team/gap/manifests/1").status == 200
    mirror.kill()

    assert "AF_INET" in CONNECTED.findall(trace.read_text())
