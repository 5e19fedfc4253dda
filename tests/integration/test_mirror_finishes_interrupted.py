"""What a mirror owes its clients while its disk, its upstream, or its memory of them fails."""

import http.client
import shutil
from pathlib import Path

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream, Fault, Lie
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import fetch, fetch_all

REPOSITORY = "library/interrupted"
SIZE = 300_000  # bytes
ABSENT = "sha256:" + "0" * 64


def take_spool_away(mirror: MirrorProcess) -> None:
    """Let the disk refuse every part, as a read-only one does."""
    ingests = mirror.data / "spool"
    shutil.rmtree(ingests)
    ingests.write_bytes(b"")


def manifest_file(mirror: MirrorProcess, digest: str) -> Path:
    algorithm, _, encoded = digest.partition(":")
    return mirror.data / "blobs" / algorithm / encoded[:2] / encoded


@pytest.mark.parametrize("wanted", ["bytes=1000-", "bytes=-1", "bytes=0-0,1000-"])
def test_no_range_ends_a_wrong_blob(
    make_mirror: MirrorMaker, hub: FakeUpstream, wanted: str
) -> None:
    """With a disk that refuses, a range up to the end of wrong bytes is cut, never completed."""
    digest = hub.add_big_blob(SIZE, repository=REPOSITORY)
    mirror = make_mirror(workers=1)
    take_spool_away(mirror)
    url = f"{mirror.url}/v2/{REPOSITORY}/blobs/{digest}"
    right = fetch(url, {"Range": wanted})
    assert mirror.events("passed through, not stored")
    hub.faults.add(Fault("blob", Lie(SIZE - 1), times=None))

    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        fetch(url, {"Range": wanted})

    assert right.status == 206
    assert hub.blob(digest)[-1000:] in right.body or hub.blob(digest)[-1:] == right.body


def test_many_clients_cost_one_question(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """Fifty clients that ask for a blob that is not there cost one HEAD, and a GET that decides."""
    mirror = make_mirror(workers=1)
    urls = [f"{mirror.url}/v2/{REPOSITORY}/blobs/{ABSENT}"] * 50

    answers = fetch_all(urls, at_once=25)

    assert {404} == {answer.status for answer in answers}
    assert {"BLOB_UNKNOWN"} == {answer.code for answer in answers}
    asked = [each.method for each in hub.journal.of("blob") if each.status == 404]
    assert asked == ["HEAD", "GET"], hub.journal


def test_a_spoilt_manifest_is_fetched_again(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """Bytes that the disk has changed reach no client, and the right ones take their place."""
    image = hub.add_image(REPOSITORY, "1", [b"layer"])
    mirror = make_mirror(workers=1)
    url = f"{mirror.url}/v2/{REPOSITORY}/manifests/{image.digest}"
    fetch(url)
    mirror.stop()
    file = manifest_file(mirror, image.digest)
    file.chmod(0o600)
    file.write_bytes(image.manifest.replace(b"layers", b"lavers"))
    mirror.start()

    answer = fetch(url)

    assert (answer.status, answer.body) == (200, image.manifest)
    assert file.read_bytes() == image.manifest
    assert mirror.events("blob quarantined")


def test_offline_an_empty_list_of_referrers_has_a_warning(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """Offline, where no referrer was ever seen, the list is empty, and says why."""
    image = hub.add_image(REPOSITORY, "1", [b"layer"])
    mirror = make_mirror(workers=1)
    fetch(f"{mirror.url}/v2/{REPOSITORY}/manifests/1")
    mirror.stop()
    mirror.start("--offline")

    answer = fetch(f"{mirror.url}/v2/{REPOSITORY}/referrers/{image.digest}")

    assert (answer.status, answer.json()["manifests"]) == (200, [])
    assert "only the referrers pulled through this mirror" in answer.headers["Warning"]
