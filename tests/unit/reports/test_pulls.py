"""Laws of pulls that are made of log lines."""

from typing import Any

import pytest

from registry.mirror.cache_status import CacheStatus
from registry.reports.pulls import JOINED, MISS, QUIET, STALE, PullCollector, PullReport

NGINX = "docker.io/library/nginx"
DIGEST = "sha256:" + "ab" * 32


def line(what: str, status: int = 200, origin: str = "miss", **others: Any) -> dict[str, Any]:
    """A log line of an answer; `what` is the end of the path."""
    fields = {"client": "10.0.0.1", "repository": NGINX, "method": "GET", "seconds": 0.0}
    path = f"/v2/library/nginx/{what}"
    known = {"path": path, "status": status, "origin": origin, "bytes": 100}
    return fields | known | others


def collect(*lines: dict[str, Any]) -> list[PullReport]:
    """The pulls of answers that come one after the other, 0.1 seconds apart."""
    collector = PullCollector()
    for number, each in enumerate(lines):
        collector.end(each, number / 10)
    return collector.take_finished(len(lines) + QUIET)


def test_origins_are_those_of_answers() -> None:
    """The log has the values of `X-Entrepot-Origin`, and pulls are made of the log."""
    expected = (CacheStatus.MISS.value, CacheStatus.JOINED.value, CacheStatus.STALE.value)

    assert expected == (MISS, JOINED, STALE)


@pytest.mark.parametrize(
    ("answers", "image"),
    [
        ([line("manifests/1.27"), line(f"manifests/{DIGEST}")], f"{NGINX}:1.27"),
        ([line(f"manifests/{DIGEST}")], f"{NGINX}@sha256:abababababab"),
        ([line(f"manifests/{DIGEST.replace(':', '%3A')}")], f"{NGINX}@sha256:abababababab"),
        ([line("manifests/1"), line("manifests/2")], f"{NGINX}:1, 2"),
        ([line(f"blobs/{DIGEST}")], NGINX),
        ([line("manifests/1"), line(f"manifests/sha256-{'a' * 64}")], f"{NGINX}:1"),
        ([line("manifests/1"), line(f"manifests/sha256-{'a' * 64}.sig")], f"{NGINX}:1"),
    ],
)
def test_an_image_has_the_name_that_was_asked_for(
    answers: list[dict[str, Any]], image: str
) -> None:
    """Tags count more than digests, and signatures are no images."""
    (pull,) = collect(*answers)
    assert pull.image == image


@pytest.mark.parametrize(
    ("origins", "expected"),
    [
        (["miss", "miss"], "downloaded"),
        (["hit", "hit"], "cached"),
        (["revalidated", "hit"], "cached"),
        (["stale", "bundle"], "cached"),
        (["joined", "joined"], "shared download"),
        (["miss", "joined"], "downloaded"),
        (["miss", "hit", "hit", "hit"], "75% cached"),
        (["hit", *["miss"] * 200], "downloaded"),
        (["hit", *["joined"] * 200], "shared download"),
    ],
)
def test_the_origin_is_that_of_the_bytes(origins: list[str], expected: str) -> None:
    """One or two words say where the bytes were."""
    answers = [line(f"blobs/sha256:{n}", origin=origin) for n, origin in enumerate(origins)]
    (pull,) = collect(line("manifests/1", bytes=0), *answers)
    assert (pull.origin, pull.sent) == (expected, 100 * len(origins))


@pytest.mark.parametrize(("first", "then"), [("miss", "hit"), ("miss", "revalidated")])
def test_what_the_pull_downloaded_itself_is_not_cached(first: str, then: str) -> None:
    """A client asks for a tag by HEAD, then for its digest, and for one blob in ranges."""
    (pull,) = collect(
        line("manifests/1", method="HEAD", origin=first, bytes=0),
        line(f"manifests/{DIGEST}", origin=then),
        line("blobs/sha256:1", 206, origin=first),
        line("blobs/sha256:1", 206, origin=then),
    )
    assert (pull.origin, pull.downloaded) == ("downloaded", 300)


@pytest.mark.parametrize(
    ("path", "ns", "image"),
    [
        ("/v2/nosuchreg.example/foo/manifests/latest", "", "nosuchreg.example/foo:latest"),
        ("/v2/team/foo/manifests/1", "nosuchreg.example", "nosuchreg.example/team/foo:1"),
        (f"/v2/nosuchreg.example/foo/blobs/{DIGEST}", "", "nosuchreg.example/foo"),
    ],
)
def test_a_registry_that_is_not_configured_is_a_failed_pull(path: str, ns: str, image: str) -> None:
    """Its requests have no repository in the log, and the operator has to see them."""
    (pull,) = collect(line("", 404, repository="", path=path, ns=ns, failure="not configured"))
    assert (pull.image, pull.failure) == (image, "not configured")


def test_a_blob_without_space_is_said() -> None:
    """The client got it, and the next client will have to wait for it again."""
    collector = PullCollector()
    collector.begin(line("blobs/sha256:1"), 0)
    collector.note_unstored({"repository": "ghcr.io/a/b"})
    collector.note_unstored({"repository": NGINX})
    collector.end(line("blobs/sha256:1"), 1)
    (pull,) = collector.take_finished(1 + QUIET)
    assert pull.origin == "downloaded, not stored"


def test_a_client_that_leaves_has_not_all_of_it() -> None:
    """The bytes that it did not get are told; a blob in several requests may be complete."""
    left = line("blobs/sha256:1", 499, size=300)
    (pull,) = collect(line("manifests/1"), left)
    assert (pull.sent, pull.unsent) == (200, 200)
    (pull,) = collect(left, line("blobs/sha256:1", 206, bytes=150), line("blobs/sha256:2"))
    assert pull.unsent == 50
    (pull,) = collect(left, line("blobs/sha256:1", 499, size=300, bytes=250))
    assert pull.unsent == 0


def test_a_pull_that_the_end_of_the_server_cuts_has_failed() -> None:
    """After a second Ctrl-C nothing answers the requests that are open."""
    collector = PullCollector()
    collector.end(line("manifests/1"), 0)
    collector.begin(line("blobs/sha256:1"), 1)
    collector.cut_open()
    (pull,) = collector.take_finished(1, quiet=0)
    assert (pull.image, pull.failure) == (f"{NGINX}:1", "the mirror stopped")


def test_only_the_tag_that_failed_is_named() -> None:
    """A client that got one tag, and not the other, has one failed image."""
    (pull,) = collect(line("manifests/7", method="HEAD"), line("manifests/8", 503, failure="down"))
    assert (pull.image, pull.failure) == (f"{NGINX}:8", "down")


def test_a_pull_without_bytes_is_a_check() -> None:
    """A client that has the image already asks by HEAD only."""
    (pull,) = collect(line("manifests/1", method="HEAD", bytes=0))
    assert (pull.origin, pull.sent) == ("checked", 0)


def test_a_stale_manifest_is_said() -> None:
    """A pull is stale if one of its answers was."""
    (pull,) = collect(line("manifests/1", origin="stale"), line("blobs/sha256:1", origin="hit"))
    assert pull.is_stale


@pytest.mark.parametrize(
    ("answers", "failure"),
    [
        ([line("manifests/1", 404, failure="no such tag")], "no such tag"),
        ([line("manifests/1", 503)], "status 503"),
        ([line("manifests/1", 503), line("manifests/1")], ""),
        ([line("manifests/1"), line("blobs/sha256:1", 502, failure="x")], "x"),
        ([line("manifests/1"), line("blobs/sha256:1", 499)], ""),
        ([line("manifests/1"), line(f"manifests/sha256-{'a' * 64}", 404, failure="x")], ""),
    ],
)
def test_a_failure_is_one_that_the_client_cannot_mend(
    answers: list[dict[str, Any]], failure: str
) -> None:
    """An error that a later answer to the same path mends is none; signatures may be missing."""
    (pull,) = collect(*answers)
    assert pull.failure == failure


@pytest.mark.parametrize(
    "other",
    [
        line("tags/list"),
        line(f"referrers/{DIGEST}"),
        line("manifests/1", repository=""),
        {"event": "request", "status": 400, "seconds": 0, "bytes": 0, "failure": "malformed"},
        line(f"manifests/sha256-{'a' * 64}", 404),
    ],
)
def test_other_requests_are_no_pulls(other: dict[str, Any]) -> None:
    """Lists, signatures that do not exist and bytes that are no request make no line."""
    assert collect(other) == []


def test_clients_and_repositories_have_pulls_of_their_own() -> None:
    """The same image for two clients, and two images for one client, are three pulls."""
    pulls = collect(
        line("manifests/1"),
        line("manifests/1", client="10.0.0.2"),
        line("manifests/1", repository="ghcr.io/a/b"),
        line("blobs/sha256:1", client="10.0.0.2"),
    )
    assert [(each.client, each.image, each.sent) for each in pulls] == [
        ("10.0.0.1", f"{NGINX}:1", 100),
        ("10.0.0.2", f"{NGINX}:1", 200),
        ("10.0.0.1", "ghcr.io/a/b:1", 100),
    ]


def test_a_pull_is_not_over_while_it_is_answered() -> None:
    """A layer of an hour is no end, and its seconds count from the first request."""
    collector = PullCollector()
    collector.begin(line("manifests/1"), 0)
    collector.end(line("manifests/1"), 0.5)
    collector.begin(line("blobs/sha256:1"), 1)
    assert collector.take_finished(3600) == []
    (open_pull,) = collector.list_open()
    assert (open_pull.image, open_pull.client, open_pull.requests) == (f"{NGINX}:1", "10.0.0.1", 1)
    collector.end(line("blobs/sha256:1", seconds=3600), 3601)
    assert collector.take_finished(3601) == []
    (pull,) = collector.take_finished(3601 + QUIET)
    assert pull.seconds == 3601


def test_a_pull_that_goes_on_keeps_its_name() -> None:
    """Layers that are asked for after a pause belong to the image that was named before."""
    collector = PullCollector()
    collector.end(line("manifests/1"), 0)
    assert collector.take_finished(QUIET)[0].image == f"{NGINX}:1"
    collector.end(line("blobs/sha256:1"), 60)
    assert collector.take_finished(60 + QUIET)[0].image == f"{NGINX}:1"
    collector.end(line("blobs/sha256:1"), 3600)
    assert collector.take_finished(3600 + QUIET)[0].image == NGINX


def test_a_tag_after_blobs_is_the_next_pull() -> None:
    """A client that pulls an image twice in a second has two lines; signatures are no pull."""
    signature = line(f"manifests/sha256-{'a' * 64}", 404)
    again = [line("manifests/1", origin="hit"), line("blobs/sha256:1", origin="hit")]
    pulls = collect(line("manifests/1"), line("blobs/sha256:1"), signature, *again)
    assert [pull.origin for pull in pulls] == ["downloaded", "cached"]


def test_answers_of_a_process_that_died_are_forgotten() -> None:
    """Nobody writes the lines of these answers, so the pull does not wait for them."""
    collector = PullCollector()
    collector.end(line("manifests/1"), 0)
    collector.begin(line("blobs/sha256:1"), 0)
    collector.forget_open()
    assert [pull.image for pull in collector.take_finished(QUIET)] == [f"{NGINX}:1"]
