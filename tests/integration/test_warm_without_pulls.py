"""Warming what clients have pulled, when none has."""

import pytest

from tests.harness.mirror import MirrorProcess


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--pulled-since", "7d"), "in the last 7d"),
        (("--pulled-since", "7d", "--dry-run"), "in the last 7d"),
        (("--pulled-since", "7d", "--explain"), "in the last 7d"),
        (("--pulled-since", "forever"), "from this mirror"),
        (("--pulled", "no/*"), "that matches --pulled no/*"),
        (
            ("--pulled-since", "12h", "--client", "10.9.*", "--pulled", "a"),
            "in the last 12h that matches --client 10.9.* and --pulled a",
        ),
    ],
)
def test_no_pulls_are_no_mistake(
    shared_mirror: MirrorProcess, arguments: tuple[str, ...], words: str
) -> None:
    """Nobody may have pulled lately: a command that runs every night says so, and succeeds."""
    result = shared_mirror.run("images", "warm", "--client", "10.9.9.9", *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("no client has pulled an image from this mirror")
    assert result.stdout.endswith("; there is nothing to download\n")
