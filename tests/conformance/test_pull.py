"""The official conformance suite: every Pull and Content Discovery test that needs no push."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.conformance import debian_registry, sample, suite
from tests.fakes.upstream import FakeUpstream

SAMPLE = sample.build()

# What must have run and passed, by the suite's own names, and how often.
TAGS = Counter({"empty/tag list": 1, "read-only/tag-list": 1})
REFERRERS = Counter({"empty/referrers": 1, "read-only/referrers": 1})
PULL = Counter(
    {
        "ping": 1,
        "read-only/head/manifest-head-by-tag": 3,
        "read-only/head/manifest-head-by-digest": 3,
        "read-only/head/blob-head": 5,
        "read-only/pull/manifest-by-tag": 3,
        "read-only/pull/manifest-by-digest": 3,
        "read-only/pull/blob-get": 5,
        "missing-manifest/by-digest": 1,
        "missing-manifest/by-tag": 1,
    }
)
INVALID = Counter({"invalid-digest-format/manifest-get": 1})

# Debian's docker-registry 2.8 has no referrers API, ignores `last` in a tag list, and answers 500
# to a malformed digest.
DEBIAN_FAILS = REFERRERS + INVALID + Counter({"read-only/tag-list": 1})


@pytest.mark.timeout(700)
@pytest.mark.usefixtures("conformance")
def test_suite_finds_what_is_right_and_wrong_with_a_known_registry(
    registry: str, tmp_path: Path, say
) -> None:
    """The suite and our reading of it are worth something only if they also can say no."""
    debian_registry.push(registry, SAMPLE)
    report = suite.run_reading(registry, SAMPLE.content(), tmp_path)
    say(f"docker-registry: {report.counts()}")
    assert report.names("pass") >= PULL, report.failures()
    assert report.names("fail") == DEBIAN_FAILS


@pytest.mark.timeout(700)
@pytest.mark.usefixtures("conformance")
def test_the_fake_upstream_conforms(tmp_path: Path, say) -> None:
    """What the mirror is tested against answers as a registry does."""
    with FakeUpstream(auth="none") as hub:
        publish(hub)
        report = suite.run_reading(hub.url, SAMPLE.content(), tmp_path)
    say(f"fake upstream: {report.counts()}")
    assert report.failures() == []
    assert_passed(report)


@pytest.mark.timeout(700)
@pytest.mark.usefixtures("conformance")
def test_the_mirror_conforms(mirror, hub: FakeUpstream, tmp_path: Path, say) -> None:
    """A mirror of the sample passes every test, both while it downloads and from its disk."""
    publish(hub)
    for heat in ("cold", "warm"):
        folder = tmp_path / heat
        folder.mkdir()
        report = suite.run_reading(mirror.url, SAMPLE.content(), folder)
        say(f"mirror, {heat}: {report.counts()}")
        assert report.failures() == []
        assert_passed(report)


def assert_passed(report: suite.Report) -> None:
    """Each named test ran as often as it must and passed: a skip is not enough."""
    missed = PULL + TAGS + REFERRERS + INVALID - report.names("pass")
    assert missed == Counter(), f"did not pass: {missed}"


def publish(hub: FakeUpstream) -> None:
    """Give the fake upstream the sample."""
    for blob in SAMPLE.blobs:
        hub.add_blob(blob, sample.REPOSITORY)
    for manifest in SAMPLE.manifests:
        hub.add_manifest(
            sample.REPOSITORY, manifest.tag or None, manifest.body, manifest.media_type
        )
