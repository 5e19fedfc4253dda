"""Laws of image reports: shared bytes, missing blobs, and unknown facts."""

from registry.catalog.image_graph import Graph, Link, NamedImage
from registry.content.image_report import ImageReport, ImageReporter, PlatformReport
from registry.oci import media_types

HERE = "docker.io/library/a"
STORED = {"index": 1, "amd": 2, "arm": 4, "amd-layer": 8, "arm-layer": 16, "shared": 32, "junk": 64}


def draw(*images: NamedImage, without: tuple[str, ...] = (), unknown: str = "") -> Graph:
    """Return a graph with an index of two images that share a layer; `unknown` is not pulled."""
    links = {
        "index": (Link("amd", 2, True), Link("arm", 4, True)),
        "amd": (Link("amd-layer", 8, False), Link("shared", 32, False)),
        "arm": (Link("arm-layer", 16, False), Link("shared", 32, False)),
    }
    types = {
        "index": media_types.OCI_INDEX,
        "amd": media_types.OCI_MANIFEST,
        "arm": media_types.OCI_MANIFEST,
    }
    return Graph(
        images,
        {name: kind for name, kind in types.items() if name != unknown},
        {name: each for name, each in links.items() if name != unknown},
        {name: size for name, size in STORED.items() if name not in (*without, unknown)},
    )


def name(reference: str, digest: str, pulled: float = 0.0) -> NamedImage:
    return NamedImage(HERE, reference, digest, 5.0, pulled)


def report(graph: Graph, platforms: dict[str, str], **pinned: set[str]) -> ImageReport:
    return ImageReporter(graph, pinned).describe(graph.images[0], platforms)


BOTH = {"amd": "linux/amd64", "arm": "linux/arm64"}


def test_an_image_has_all_its_bytes() -> None:
    """All stored bytes of an image count once, also those that its platforms share."""
    found = report(draw(name("1", "index", 9.0)), BOTH)
    assert (found.size, found.unique, found.shared) == (63, 63, 0)
    assert (found.digest, found.media_type, found.pulled) == ("index", media_types.OCI_INDEX, 9.0)
    assert found.is_complete
    assert [(each.platform, each.missing, each.missing_bytes) for each in found.platforms] == [
        ("linux/amd64", (), 0),
        ("linux/arm64", (), 0),
    ]


def test_what_two_images_use_is_shared() -> None:
    """A layer of two images is shared; the other bytes are unique."""
    graph = draw(name("arm", "arm"), name("amd", "amd"))
    found = report(graph, {"arm": "linux/arm64"})
    assert (found.unique, found.shared) == (4 + 16, 32)


def test_two_tags_on_one_manifest_share_its_bytes() -> None:
    """The removal of one of the two names would free nothing."""
    found = report(draw(name("1", "arm"), name("latest", "arm")), {"arm": "linux/arm64"})
    assert (found.unique, found.shared) == (0, 52)


def test_a_child_with_a_name_of_its_own_is_shared() -> None:
    """Bytes that an index and another name lead to are shared."""
    found = report(draw(name("1", "index"), name("amd", "amd")), BOTH)
    assert (found.unique, found.shared) == (1 + 4 + 16, 2 + 8 + 32)


def test_missing_blobs_are_listed_with_their_size() -> None:
    """Of a known manifest each missing blob is listed once; other manifests are complete."""
    found = report(draw(name("1", "index"), without=("arm-layer",)), BOTH)
    assert found.platforms == (
        PlatformReport("linux/amd64", "amd", (), 0),
        PlatformReport("linux/arm64", "arm", ("arm-layer",), 16, (16,)),
    )
    assert not found.is_complete
    assert found.size == 63 - 16


def test_without_a_manifest_the_missing_size_is_unknown() -> None:
    """If the manifest of a platform is not stored, the size of what is missing is not known."""
    never = report(draw(name("1", "index"), unknown="arm"), BOTH)
    evicted = report(draw(name("1", "index"), without=("arm",)), BOTH)
    for found in (never, evicted):
        assert found.platforms[1] == PlatformReport("linux/arm64", "arm", ("arm",), None)
        assert found.platforms[0].is_complete
        assert not found.is_complete


def test_an_image_without_platforms_is_not_complete() -> None:
    """If no platform is known, the image does not count as complete."""
    assert not report(draw(name("1", "index")), {}).is_complete


def test_pins_are_told_by_name() -> None:
    """An image lists the pins that keep its manifest."""
    graph = draw(name("1", "index"))
    found = report(graph, BOTH, one={"index", "amd"}, two={"amd"}, three={"index"})
    assert found.pins == ("one", "three")


def test_names_are_written_as_people_do() -> None:
    """A tag follows a colon, and a digest follows an @."""
    graph = draw(name("1", "arm"))
    assert report(graph, {}).name == f"{HERE}:1"
    by_digest = draw(name("sha256:abc", "arm"))
    assert report(by_digest, {}).name == f"{HERE}@sha256:abc"


def test_what_is_unknown_has_no_type() -> None:
    """A tag without a manifest is an image without size, type and platform."""
    found = report(draw(name("1", "elsewhere")), {"elsewhere": ""})
    assert (found.media_type, found.size, found.pins) == ("", 0, ())
    assert found.platforms == (PlatformReport("", "elsewhere", ("elsewhere",), None),)
