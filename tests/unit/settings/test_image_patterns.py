"""Laws of the patterns of an upstream: a wrong one stops the start, and says where it is."""

from pathlib import Path

import pytest

from registry.errors import SettingsError
from registry.settings.loading import load_settings


@pytest.mark.parametrize("setting", ["allow", "deny", "min_age_except"])
def test_a_wrong_pattern_is_named(tmp_path: Path, setting: str) -> None:
    """A pattern that can match nothing of its upstream is refused, with its setting and a cure."""
    path = tmp_path / "entrepot.toml"
    path.write_text(f'[upstreams."docker.io"]\n{setting} = ["nginx", "ghcr.io/team/app"]\n')

    with pytest.raises(SettingsError) as caught:
        load_settings(path, {})

    text = str(caught.value)
    assert f'upstreams."docker.io".{setting}' in text
    assert "'ghcr.io/team/app' begins with another registry" in text
    assert f"write for example {setting} = [" in text
