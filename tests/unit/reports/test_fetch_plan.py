"""Laws of what a page says that a download will fetch."""

from registry.oci.platforms import own_platform
from registry.reports.console.image_detail import (
    FetchPlan,
    ImageDetail,
    LayerReport,
    PlatformDetail,
    plan_fetch,
)
from registry.reports.console.images import ImageRow

AMD, ARM = "linux/amd64", "linux/arm64"


def make_platform(name: str, stored: int, size: int = 100, *, known: bool = True) -> PlatformDetail:
    layer = LayerReport("sha256:a", "layer", size, stored=stored == size)
    return PlatformDetail(name, f"sha256:{name}", known, size, stored, [layer])


def make_detail(*platforms: PlatformDetail) -> ImageDetail:
    row = ImageRow("a:1", "a", "1", "sha256:a", 0, "part", 1, 0, 0.0, False, False)
    return ImageDetail(row, "", 0.0, 0, "", platforms, None, (), (), "", "", is_configured=True)


def test_platforms_in_use_are_fetched() -> None:
    """Those that are stored or pinned; what is missing of the others is not counted."""
    detail = make_detail(make_platform(AMD, 100), make_platform(ARM, 30))

    assert plan_fetch(detail, "", ()) == FetchPlan([AMD], 0, is_whole=True)
    assert plan_fetch(detail, "", (ARM, "")) == FetchPlan([AMD, ARM], 70, is_whole=True)


def test_a_platform_that_was_asked_for_is_the_only_one() -> None:
    """Whatever is stored."""
    detail = make_detail(make_platform(AMD, 100), make_platform(f"{ARM}/v8", 30))

    assert plan_fetch(detail, ARM, (AMD,)) == FetchPlan([ARM], 70, is_whole=True)


def test_what_is_not_known_is_said() -> None:
    """Only a manifest lists layers; an image that is not here has none."""
    unknown = make_detail(make_platform(AMD, 0, 0, known=False))

    assert plan_fetch(unknown, AMD, ()) == FetchPlan([AMD], 0, is_whole=False)
    assert plan_fetch(None, "", ()) == FetchPlan([own_platform()], 0, is_whole=False)
    assert not plan_fetch(make_detail(make_platform(ARM, 100)), AMD, ()).is_whole


def test_an_image_without_a_platform_is_for_all() -> None:
    """Its manifest names none, so that it is the one that is fetched."""
    detail = make_detail(make_platform("", 40))

    assert plan_fetch(detail, AMD, ()) == FetchPlan([AMD], 60, is_whole=True)
