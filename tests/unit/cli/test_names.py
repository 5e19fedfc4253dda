"""Laws of the names that commands refuse: the message says what to write."""

import pytest

from registry.cli.names import require_upstream
from registry.errors import MirrorNamed, NameIsURL, NameUnknown
from registry.oci.image_patterns import parse_image
from registry.settings.model import Settings

SETTINGS = Settings()


@pytest.mark.parametrize(
    ("typed", "own"),
    [
        ("127.0.0.1:5000/docker.io/library/nginx", "docker.io/library/nginx:latest"),
        ("127.0.0.1:5000/library/nginx:1", "docker.io/library/nginx:1"),
        ("localhost:5000/nginx", "docker.io/library/nginx:latest"),
        ("mirror.lan/ghcr.io/org/app:1", "ghcr.io/org/app:1"),
        ("10.0.0.5:5000/index.docker.io/nginx", "docker.io/library/nginx:latest"),
    ],
)
def test_the_address_of_a_mirror_is_to_be_left_out(typed: str, own: str) -> None:
    """A name as clients pull it is not advised to be configured as an upstream."""
    with pytest.raises(MirrorNamed, match="leave it out") as refused:
        require_upstream(SETTINGS, parse_image(typed, SETTINGS.registries))
    assert refused.value.image == own


def test_other_registries_are_to_be_configured() -> None:
    """Another registry is not known here; those that are configured are accepted."""
    with pytest.raises(NameUnknown):
        require_upstream(SETTINGS, parse_image("harbor.lan/team/app", SETTINGS.registries))
    require_upstream(SETTINGS, parse_image("nginx", SETTINGS.registries))


@pytest.mark.parametrize("scheme", ["http://", "https://", "docker://"])
def test_a_url_is_no_name(scheme: str) -> None:
    """The message says to leave out the scheme, and not which letters a name may have."""
    with pytest.raises(NameIsURL, match=f"leave out {scheme}$"):
        parse_image(f"{scheme}127.0.0.1:5000/library/nginx:1", SETTINGS.registries)
