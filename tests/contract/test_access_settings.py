"""The settings in the documents about access can be used, and do what they seem to say."""

import re
from pathlib import Path

import pytest

from registry.settings.access_notes import list_ineffective
from registry.settings.loading import load_settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "docs/access.md")
FILES = ("server.crt", "server.key", "ca.crt")


def list_blocks(page: str) -> list[str]:
    """Return the settings of access in a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [each for each in blocks if "[access]" in each or "client_ca" in each]


@pytest.mark.parametrize("page", PAGES)
def test_the_settings_of_a_page_have_an_effect(page: str, tmp_path: Path) -> None:
    """Whoever copies them has a mirror that asks for logins, and rules for registries it has."""
    (tmp_path / "tls").mkdir()
    for name in FILES:
        (tmp_path / "tls" / name).touch()
    blocks = list_blocks(page)
    assert blocks

    for block in blocks:
        file = tmp_path / "entrepot.toml"
        file.write_text(block)
        settings = load_settings(file, {})
        assert list(list_ineffective(settings)) == []
        assert settings.access.mode == "open" or settings.access.login_hosts == ("mirror.lan",)
