"""The screen of the recorded outputs: it keeps what a person would still see."""

import pytest

from tests.outputs.screen import Screen


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("one\r\ntwo\r\n", "one\ntwo"),
        ("one\ntwo", "one\ntwo"),
        ("\x1b[1mbold\x1b[0m text", "bold text"),
        ("old\rnew", "new"),
        ("longer\rnew", "newger"),
        ("bar 10%\r\x1b[2Kbar 20%\r\x1b[2K", ""),
        ("one\nbar\r\x1b[2K\x1b[1A\x1b[2Kdone\n", "done"),
        ("\x1b[?25lhidden cursor\x1b[?25h", "hidden cursor"),
        ("keep this\x1b[5D\x1b[K", "keep this"),
    ],
)
def test_what_is_erased_is_not_seen(written: str, seen: str) -> None:
    """Bars that were drawn and erased leave nothing, and colours leave only text."""
    screen = Screen()
    screen.write(written)
    assert screen.read() == seen
