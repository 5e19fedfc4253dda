"""Laws of the images by which endpoints are tested: people can read which they are."""

import pytest

from registry.settings.known_images import WELL_KNOWN
from tests.harness.commands import SHIPPED
from tests.unit.cli.test_help import show

PAGE = SHIPPED.parents[1] / "docs" / "slow-links.md"


@pytest.mark.parametrize("upstream", WELL_KNOWN)
def test_the_page_names_them(upstream: str) -> None:
    """Each upstream has its row."""
    images = ", ".join(f"`{image}`" for image in WELL_KNOWN[upstream])
    assert f"| `{upstream}` | {images} |" in PAGE.read_text()


def test_the_help_names_those_of_docker_hub() -> None:
    """They are pulled from where most people pull."""
    shown = show(("upstreams", "test"))
    flat = "".join(shown.split())  # a line may end within a name, at its hyphen
    assert all(image in flat for image in WELL_KNOWN["docker.io"])
