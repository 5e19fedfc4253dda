"""Laws of which images can be pulled without any upstream."""

from registry.content.image_report import ImageReport, PlatformReport
from registry.content.offline_check import check_offline

AMD = PlatformReport("linux/amd64", "amd", (), 0)
TORN = PlatformReport("linux/arm64", "arm", ("layer",), 16, (16,))
UNPULLED = PlatformReport("linux/s390x", "s390x", ("s390x",), None)


def make(*platforms: PlatformReport) -> ImageReport:
    return ImageReport("docker.io/a", "1", "index", "", 0, 0, 0, platforms, ())


def test_platforms_that_no_client_pulled_do_not_count() -> None:
    """An index is ready if the platforms that clients pulled are complete."""
    found = check_offline(make(AMD, UNPULLED), [])
    assert (found.is_ready, found.complete) == (True, (AMD,))


def test_what_was_begun_has_to_be_whole() -> None:
    """A platform whose manifest is stored has to be complete."""
    found = check_offline(make(AMD, TORN), [])
    assert (found.is_ready, found.incomplete) == (False, (TORN,))


def test_if_no_manifest_is_stored_all_platforms_are_incomplete() -> None:
    """An image without any stored manifest cannot be pulled."""
    assert check_offline(make(UNPULLED), []).incomplete == (UNPULLED,)


def test_platforms_that_are_asked_for_count_alone() -> None:
    """If platforms are named, only these count, whatever clients have pulled."""
    image = make(AMD, TORN, UNPULLED)
    assert check_offline(image, ["linux/amd64"]).is_ready
    assert check_offline(image, ["linux/s390x"]).incomplete == (UNPULLED,)
    assert check_offline(image, ["linux/arm64", "linux/386"]).unavailable == ("linux/386",)


def test_what_names_no_platform_has_to_be_whole() -> None:
    """Charts and signatures, which have no platform, have to be complete."""
    artifact = PlatformReport("", "chart", (), 0)
    assert check_offline(make(artifact), ["linux/amd64"]).is_ready
    assert not check_offline(
        make(PlatformReport("", "chart", ("b",), 1, (1,))), ["linux/amd64"]
    ).is_ready


def test_all_are_the_platforms_of_the_index() -> None:
    """With `all`, every platform that the index lists has to be complete."""
    found = check_offline(make(AMD, TORN, UNPULLED), ["all"])
    assert (found.complete, found.incomplete) == ((AMD,), (TORN, UNPULLED))
    assert found.unavailable == ()
    assert check_offline(make(AMD), ["all"]).is_ready
