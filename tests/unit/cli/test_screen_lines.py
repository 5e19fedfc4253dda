"""Laws of the lines that a server writes to a terminal."""

import time
from datetime import datetime
from typing import Any

import pytest

from registry.cli.screen_lines import (
    format_banner,
    format_event,
    format_pull,
    format_stopping,
    wrap_line,
)
from registry.reports.pulls import OpenPull, PullReport
from registry.settings.model import ServerSettings, Settings

NOON = datetime(2026, 1, 2, 12, 5)  # noqa: DTZ001 - the time of the terminal's place
WAITING, AGAIN = "Stopping: waiting for", "Ctrl-C again stops now."
STARTED = {
    "pulls": "127.0.0.1:5000",
    "console": "127.0.0.1:5001",
    "data": "/srv/data",
    "settings": "defaults",
    "offline": False,
}


def make_pull(**changes: Any) -> PullReport:
    fields: dict[str, Any] = {
        "image": "docker.io/library/nginx:1.27",
        "client": "10.0.0.7",
        "sent": 70_000_000,
        "downloaded": 70_000_000,
        "shared": 0,
        "seconds": 12.34,
        "is_stale": False,
        "failure": "",
    }
    return PullReport(**fields | changes)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "66.8 MiB  downloaded  12.3 s  10.0.0.7"),
        ({"downloaded": 0, "seconds": 0.0312}, "66.8 MiB  cached  0.03 s  10.0.0.7"),
        ({"client": "::ffff:10.0.0.7"}, "66.8 MiB  downloaded  12.3 s  10.0.0.7"),
        ({"sent": 0, "downloaded": 0}, "checked  12.3 s  10.0.0.7"),
        (
            {"downloaded": 0, "is_stale": True},
            "66.8 MiB  cached, upstream not reached  12.3 s  10.0.0.7",
        ),
        ({"unsent": 245_000_000}, "client left at 66.8 MiB of 300 MiB  12.3 s  10.0.0.7"),
        ({"failure": "it is\x1b[2J gone"}, "failed: it is?[2J gone  12.3 s  10.0.0.7"),
    ],
)
def test_a_pull_is_a_line(changes: dict[str, Any], expected: str) -> None:
    """Time, image, size, origin, seconds and client; nothing in it commands the terminal."""
    line = format_pull(make_pull(**changes), NOON)
    assert line == f"12:05  docker.io/library/nginx:1.27  {expected}"


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"event": "audit ended", "level": "info", "checked": 0}, None),
        ({"event": "download started", "level": "info"}, None),
        ({"event": "download ended", "level": "info"}, None),
        ({"event": "request began", "level": "debug"}, None),
        ({"event": "anything", "level": "debug"}, None),
        (
            {"event": "audit ended", "level": "warning", "damaged": 1, "timestamp": "x"},
            "12:05  warning: audit ended (damaged 1)",
        ),
        (
            {"event": "endpoint failed", "level": "warning", "why": "refused", "endpoint": "e"},
            "12:05  warning: endpoint failed (endpoint e): refused",
        ),
        (
            {"event": "download failed", "level": "error", "blob": "sha256:" + "a" * 64},
            "12:05  error: download failed (blob sha256:aaaaaaaaaaaa…)",
        ),
        (
            {
                "event": "endpoint failed",
                "level": "warning",
                "why": "https://e: refused",
                "endpoint": "https://e",
            },
            "12:05  warning: endpoint failed (endpoint https://e): refused",
        ),
        (
            {
                "event": "endpoint failed",
                "level": "warning",
                "why": "https://e: cannot be reached (no route)",
                "upstream": "ghcr.io",
                "endpoint": "https://e",
            },
            (
                "12:05  warning: endpoint failed (upstream ghcr.io, endpoint https://e): cannot be"
                ' reached (no route); check endpoints and proxy in [upstreams."ghcr.io"]'
            ),
        ),
        (
            {"event": "passed through, not stored", "level": "error", "why": "full"},
            "12:05  warning: sent to a client, and not stored here: full",
        ),
        ({"event": "blobs deleted", "level": "info", "bytes": 7}, "12:05  blobs deleted (7 B)"),
        (
            {"event": "damaged, not served", "level": "error", "files": ["/a 1.tar", "/b.tar"]},
            "12:05  error: damaged, not served (files /a 1.tar; /b.tar)",
        ),
        (
            {"event": "e", "level": "info", "client": None, "names": [], "is_urgent": True},
            "12:05  e (is_urgent true)",
        ),
        (
            {
                "event": "prefetch done",
                "level": "info",
                "name": "nightly",
                "seconds": 11.8,
                "images": 2,
                "fetched": 27361997,
            },
            "12:05  prefetch done (name nightly, 11.8 s, images 2, fetched 26.1 MiB)",
        ),
        (
            {"event": "prefetch planned", "level": "info", "next": "2026-11-30T13:28:00+01:00"},
            "12:05  prefetch planned (next 2026-11-30 14:28)",
        ),
        (
            {"event": "prefetch planned", "level": "info", "next": "tomorrow"},
            "12:05  prefetch planned (next tomorrow)",
        ),
        (
            {"event": "crashed", "level": "error", "exception": "Traceback\n  \x1b[2J"},
            "12:05  error: crashed\nTraceback\n  ?[2J",
        ),
    ],
)
def test_events_are_lines(
    event: dict[str, Any], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Warnings and errors are shown with their facts; most other events are not."""
    monkeypatch.setenv("TZ", "UTC-2")  # two hours east
    time.tzset()
    assert format_event(event, NOON) == expected
    monkeypatch.undo()
    time.tzset()


def test_long_lines_are_broken_between_words() -> None:
    """The rest is indented; a word that is too long stays whole, and so do further lines."""
    long = "sha256:" + "a" * 30
    text = wrap_line(f"12:05  warning: one two three {long} four\nTraceback  and more words", 24)
    assert text.split("\n") == [
        "12:05  warning: one two",
        "       three",
        f"       {long}",
        "       four",
        "Traceback  and more words",
    ]


@pytest.mark.parametrize(
    ("pulls", "expected"),
    [
        ([], "Stopping."),
        (
            [OpenPull("a:1", "::ffff:10.0.0.7", 3)],
            f"{WAITING} 1 pull to finish, at most 25 s: a:1 to 10.0.0.7. {AGAIN}",
        ),
        (
            [OpenPull("a:1", "b", 3), OpenPull("c", "d", 1)],
            f"{WAITING} 2 pulls to finish, at most 25 s: a:1 to b, c to d. {AGAIN}",
        ),
    ],
)
def test_stopping_names_what_is_waited_for(pulls: list[OpenPull], expected: str) -> None:
    """Each pull that is running is named, and how not to wait."""
    assert format_stopping(pulls, 25.0) == expected


@pytest.mark.parametrize(
    ("listen", "url", "example"),
    [
        ("127.0.0.1:5000", "http://127.0.0.1:5000", "127.0.0.1:5000"),
        ("0.0.0.0:80", "http://0.0.0.0:80 (every address of this machine)", "127.0.0.1:80"),
        ("[::]:5000", "http://[::]:5000 (every address of this machine)", "127.0.0.1:5000"),
        ("[::1]:5000", "http://[::1]:5000", "[::1]:5000"),
        ("10.0.0.1:5000", "http://10.0.0.1:5000", "10.0.0.1:5000"),
    ],
)
def test_the_banner_has_an_address_to_type(listen: str, url: str, example: str) -> None:
    """The example is an address that clients on this machine can use."""
    lines = list(format_banner(Settings(), STARTED | {"pulls": listen}))
    assert lines[0].endswith(f" serves pulls at {url}")
    assert f"  Try it    docker pull {example}/docker.io/library/busybox" in lines
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("listen", "needed"),
    [
        ("127.0.0.1:5000", ""),
        ("[::1]:5000", ""),
        ("192.168.1.5:5000", '["192.168.1.5:5000"]'),
        ("0.0.0.0:5000", '["<this machine>:5000"]'),
    ],
)
def test_plain_http_for_others_needs_a_setting(listen: str, needed: str) -> None:
    """Docker uses plain http without a setting only for this machine."""
    plain = list(format_banner(Settings(), STARTED | {"pulls": listen}))
    tls = Settings(server=ServerSettings(tls_cert="a", tls_key="b"))
    safe = list(format_banner(tls, STARTED | {"pulls": listen}))
    (*_, line) = [each for each in plain if "insecure-registries" in each] or [""]
    assert needed in line
    assert bool(needed) == bool(line)
    assert ("registry-mirrors is enough" in "\n".join(plain)) == bool(needed)
    assert not any("insecure" in each for each in safe)


def test_offline_nothing_is_tried_that_is_not_here() -> None:
    """Nobody is told to pull an image that an offline server cannot have."""
    text = "\n".join(format_banner(Settings(), STARTED | {"offline": True}))
    assert "docker pull" not in text
    assert "entrepot images ls" in text


def test_the_banner_says_what_is_unusual() -> None:
    """TLS changes the URL, and offline is said."""
    settings = Settings(server=ServerSettings(tls_cert="a", tls_key="b"))
    text = "\n".join(format_banner(settings, STARTED | {"offline": True}))
    assert "https://127.0.0.1:5000" in text
    assert "Offline: only what is stored here is served." in text
    assert "Offline" not in "\n".join(format_banner(settings, STARTED))


@pytest.mark.parametrize("has_own_file", [True, False])
def test_banner_says_how_to_get_a_settings_file(*, has_own_file: bool) -> None:
    """Nobody shall edit the file that git tracks."""
    text = "\n".join(format_banner(Settings(), STARTED, has_own_file=has_own_file))

    assert ("entrepot config init" in text) is not has_own_file


def test_the_banner_has_commands_that_work() -> None:
    """In a checkout, the program is not on the PATH."""
    command = ".venv/bin/entrepot"
    for changes in ({}, {"offline": True}):
        banner = format_banner(Settings(), STARTED | changes, has_own_file=False, command=command)
        text = "\n".join(banner)
        assert "            .venv/bin/entrepot config init" in text
        assert text.count(" entrepot ") == 0
    assert ".venv/bin/entrepot images ls" in text
