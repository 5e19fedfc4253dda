"""Laws of the settings `names` and `trusted`: whom they trust, and what they refuse."""

from pathlib import Path

import pytest

from registry.errors import SettingsError
from registry.settings.loading import load_settings
from registry.settings.model import Settings
from registry.settings.trusted_endpoints import list_trusted, list_without_trusted

HUB, NEAR, FAR = "https://registry-1.docker.io", "https://near.example", "https://far.example:8443"


PLAIN = "http://registry-1.docker.io"


def load(folder: Path, text: str, name: str = "docker.io") -> Settings:
    file = folder / "entrepot.toml"
    file.write_text(f'[upstreams."{name}"]\n{text}\n')
    return load_settings(file, {})


@pytest.mark.parametrize(
    ("name", "endpoints", "trusted", "expected"),
    [
        ("docker.io", [NEAR, HUB], [], [HUB]),
        ("docker.io", [NEAR, f"{HUB}:443"], [], [f"{HUB}:443"]),
        ("docker.io", [NEAR, f"{HUB}:444"], [], []),
        ("docker.io", [NEAR, FAR], [], []),
        ("docker.io", [NEAR, HUB], ["near.example"], [NEAR]),
        ("docker.io", [NEAR, FAR, HUB], ["far.example:8443", HUB], [FAR, HUB]),
        ("docker.io", [f"{NEAR}/v2/a", f"{NEAR}/v2/b"], [f"{NEAR}/v2/b"], [f"{NEAR}/v2/b"]),
        ("ghcr.io", [NEAR, "https://ghcr.io"], [], ["https://ghcr.io"]),
        ("lan.example:5000", ["http://lan.example:5000", NEAR], [], ["http://lan.example:5000"]),
        ("lan.example:5000", ["http://lan.example", NEAR], [], []),
        # Plain http stands for no server that has TLS, unless its URL is trusted.
        ("docker.io", [PLAIN, HUB], [], [HUB]),
        ("docker.io", [PLAIN, NEAR], [], []),
        ("docker.io", [PLAIN, HUB], ["registry-1.docker.io"], [HUB]),
        ("docker.io", [PLAIN, HUB], [PLAIN], [PLAIN]),
        ("ghcr.io", ["http://ghcr.io", NEAR], [], []),
        ("lan.example", ["http://lan.example", "https://lan.example"], [], ["https://lan.example"]),
    ],
)
def test_whom_the_settings_trust(
    tmp_path: Path, name: str, endpoints: list[str], trusted: list[str], expected: list[str]
) -> None:
    """Those that are named, by host or by URL; otherwise the registry's own hosts and ports."""
    settings = load(tmp_path, f"endpoints = {endpoints}\ntrusted = {trusted}", name)

    assert [*list_trusted(name, settings.upstreams[name])] == expected


def test_own_host_of_docker_hub_needs_no_alias(tmp_path: Path) -> None:
    """Whoever removes the aliases of Docker Hub still trusts Docker Hub."""
    settings = load(tmp_path, f"endpoints = {[NEAR, HUB]}\naliases = []")

    assert list_trusted("docker.io", settings.upstreams["docker.io"]) == (HUB,)


@pytest.mark.parametrize(
    ("text", "key", "cure"),
    [
        (f"endpoints = {[NEAR, HUB]}\ntrusted = ['other.example']", "trusted", '"near.example" or'),
        (f"endpoints = {[NEAR, FAR]}\ntrusted = ['far.example']", "trusted", "far.example:8443"),
        (f"endpoints = {[NEAR, HUB]}\ntrusted = ['{NEAR}/v2/a']", "trusted", '"near.example" or'),
        (f"endpoints = {[NEAR, HUB]}\ntrusted = ['a b']", "trusted", "host or host:port"),
        (f"endpoints = {[NEAR]}\nnames = 'agree'", "names", "add an endpoint"),
        (f"endpoints = {[NEAR, NEAR + ':8443']}\nnames = 'agree'", "names", "add an endpoint"),
        ("names = 'agree'", "names", "add an endpoint"),
        (f"endpoints = {[NEAR, HUB]}\nnames = 'second'", "names", 'names = "trusted"'),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, text: str, key: str, cure: str) -> None:
    """The error names the setting, and what to write."""
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text)

    assert caught.value.key == f'upstreams."docker.io".{key}'
    assert cure in caught.value.cure


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (f"endpoints = {[NEAR, FAR]}", 1),
        (f"endpoints = {[NEAR, FAR]}\nnames = 'first'", 0),
        (f"endpoints = {[NEAR, FAR]}\nnames = 'agree'", 0),
        (f"endpoints = {[NEAR, FAR]}\ntrusted = ['near.example']", 0),
        (f"endpoints = {[NEAR, HUB]}", 0),
        (f"endpoints = {[NEAR]}", 0),
        ("", 0),
    ],
)
def test_accelerators_alone_are_told(tmp_path: Path, text: str, count: int) -> None:
    """If each of several endpoints stands for the registry, there is a line with the cure."""
    lines = list(list_without_trusted(load(tmp_path, text)))

    assert len(lines) == count
    for line in lines:
        assert line.startswith('upstreams."docker.io": ')
        assert all(cure in line for cure in ('names = "agree"', "trusted =", 'names = "first"'))
