"""What docs/clients.md says of single clients, tried with Debian's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.programs import place_of
from tests.clients.pullers import Ctr, Podman, Skopeo
from tests.clients.site import GITHUB_TOOL, Site
from tests.harness.daemons import finish, isolate

pytestmark = pytest.mark.timeout(300)


def test_containerd_before_2_2_refuses_the_word_referrers(ctr: Ctr) -> None:
    """So it is left out of the `hosts.toml` of the README."""
    hosts = ctr.hosts_file(GITHUB_TOOL)
    text = hosts.read_text()
    ctr.forget()
    try:
        hosts.write_text(text.replace('"resolve"', '"resolve", "referrers"'))
        with pytest.raises(AssertionError, match="unknown capability referrers"):
            ctr.pull(GITHUB_TOOL)
    finally:
        hosts.write_text(text)


def test_skopeo_takes_another_registries_conf_by_an_option(
    running_site: Site, skopeo: Skopeo, podman: Podman, tmp_path: Path
) -> None:
    """The file is the one that podman has; 1.9 ignores the variable that names it for podman."""
    options = (f"--registries-conf={podman.registries}", "--insecure-policy")
    source, copy = f"docker://{GITHUB_TOOL}", f"dir:{tmp_path}/copy"
    finish([place_of("skopeo"), *options, "copy", source, copy], isolate(tmp_path))
    assert GITHUB_TOOL.manifests[-1].body == (tmp_path / "copy/manifest.json").read_bytes()
