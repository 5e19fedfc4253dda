"""Laws of the bars: one for each running download, and none for nothing."""

import io
import re

import pytest
from rich.console import Console

from registry.cli.download_bars import MOST, DownloadBars
from registry.cli.terminal import FREE
from registry.content.usage import RunningDownload
from registry.oci.digest import Digest

MIB = 1 << 20


def make_console(term: str = "xterm") -> Console:
    return Console(
        file=io.StringIO(), force_terminal=True, width=80, _environ={"TERM": term, "NO_COLOR": "1"}
    )


def make_download(number: int, expected: int | None = 4 * MIB) -> RunningDownload:
    digest = Digest.of(str(number).encode())
    return RunningDownload(digest, f"docker.io/library/app{number}", number * MIB, expected)


def show(*rounds: list[RunningDownload], term: str = "xterm") -> str:
    console = make_console(term)
    bars = DownloadBars(console)
    for downloads in rounds:
        bars.show(downloads)
        bars.show(downloads)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    bars.stop()
    return text


def test_a_bar_has_name_and_bytes() -> None:
    """The image, what is here and what is expected; an import has no image."""
    text = show([make_download(1)])
    assert "app1" in text
    assert "1.0/4.0 MiB" in text


def test_some_columns_stay_free() -> None:
    """There is space for the `^C` that a terminal writes when the key is pressed."""
    lines = re.split(r"\x1b\[\S*?[A-Za-z]|\r", show([make_download(1)]))
    assert 70 < max(map(len, lines)) <= 80 - FREE


def test_a_bar_grows_and_goes() -> None:
    """A download that is over has no bar any more, and a new one gets one."""
    last = show([make_download(1)], [make_download(1), make_download(2)], [make_download(2)])
    assert "app1" not in last.rpartition("\x1b[2K")[2]
    assert "app2" in last.rpartition("\x1b[2K")[2]


def test_many_downloads_share_a_bar() -> None:
    """A screen of bars would hide the lines of the pulls."""
    text = show([make_download(number) for number in range(1, MOST + 4)])
    assert f"app{MOST}" in text
    assert f"app{MOST + 1}" not in text
    assert "3 more" in text


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_a_dumb_terminal_has_no_bars(term: str) -> None:
    """It could not move its cursor back."""
    assert show([make_download(1)], term=term) == ""


def test_nothing_is_drawn_for_nothing() -> None:
    """Without a download there is no empty bar."""
    assert show([], []) == ""


def test_an_unknown_size_is_a_bar_too() -> None:
    """The upstream may not say how large a blob is."""
    assert "1.0/? MiB" in show([make_download(1, expected=None)])


def test_a_short_download_has_no_bar() -> None:
    """A small blob is over before anybody could read its bar."""
    console = make_console()
    bars = DownloadBars(console)
    for number in (1, 2, 3):
        bars.show([make_download(number)])
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]
