"""What clients print when something is wrong: docs/troubleshooting.md quotes nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.clients import troubles
from tests.clients.troubles import Trouble

PAGE = Path(__file__).resolve().parents[2] / "docs" / "troubleshooting.md"
MIRROR = "10.0.0.5:5000"  # the mirror's address on the page


@dataclass(frozen=True)
class Message:
    """Some words of a client's message, as they are on the page, and how to meet them."""

    client: str
    trouble: Trouble
    text: str

    def __str__(self) -> str:
        return f"{self.client}-{self.trouble.__name__}"


_ALL = ("docker", "containerd", "podman")
_WITH_WORDS = ("docker", "podman")  # which show what the mirror has written
_STATUS = "pulling from host 10.0.0.5:5000 failed with status code [manifests 1.0]:"
# The trouble, the words, and the clients that print them.
_PRINTED: tuple[tuple[Trouble, str, tuple[str, ...]], ...] = (
    (troubles.plain_http, "http: server gave HTTP response to HTTPS client", _ALL),
    (troubles.unknown_authority, "x509: certificate signed by unknown authority", _ALL),
    (
        troubles.other_name,
        "x509: certificate is valid for 127.0.0.1, ::1, not 10.0.0.5",
        _ALL,
    ),
    (troubles.not_running, "dial tcp 10.0.0.5:5000: connect: connection refused", _ALL),
    (
        troubles.no_answer,
        (
            "net/http: request canceled while waiting for connection"
            " (Client.Timeout exceeded while awaiting headers)"
        ),
        ("docker",),
    ),
    (troubles.no_answer, "dial tcp 10.0.0.5:5000: i/o timeout", ("containerd",)),
    (
        troubles.pull_limit,
        "toomanyrequests: You have reached your unauthenticated pull rate limit.",
        ("docker", "containerd"),  # podman tries for more than a minute
    ),
    (
        troubles.no_such_tag,
        (
            "manifest for 10.0.0.5:5000/docker.io/library/busybox:2.0 not found:"
            " manifest unknown: no manifest 2.0 in docker.io/library/busybox"
        ),
        ("docker",),
    ),
    (
        troubles.no_such_tag,
        "manifest unknown: no manifest 2.0 in docker.io/library/busybox",
        ("podman",),
    ),
    (
        troubles.no_such_tag,
        "10.0.0.5:5000/docker.io/library/busybox:2.0: not found",
        ("containerd",),
    ),
    (
        troubles.no_such_repository,
        (
            "manifest unknown: no manifest 1.0 in docker.io/acme/app:"
            " the upstream does not let this mirror have it"
        ),
        _WITH_WORDS,
    ),
    (
        troubles.not_configured,
        (
            "name unknown: registry.corp.lan is not known here;"
            " its operator can add it to the settings"
        ),
        _WITH_WORDS,
    ),
    (
        troubles.not_allowed,
        (
            "denied: docker.io/library/busybox:1.0 may not be pulled through this mirror:"
            ' upstreams."docker.io".deny has "library/*"'
        ),
        _WITH_WORDS,
    ),
    (troubles.not_allowed, f"{_STATUS} 403 Forbidden", ("containerd",)),
    (troubles.no_login, "unauthorized: log in first", _WITH_WORDS),
    (troubles.no_login, f"{_STATUS} 401 Unauthorized", ("containerd",)),
    (
        troubles.upstream_down,
        "received unexpected HTTP status: 503 Service Unavailable",
        _WITH_WORDS,
    ),
    (troubles.upstream_down, f"{_STATUS} 503 Service Unavailable", ("containerd",)),
    (
        troubles.upstream_throttles,
        "received unexpected HTTP status: 503 Service Unavailable",
        _WITH_WORDS,
    ),
    (
        troubles.offline,
        (
            "this is not stored here, and no upstream is asked:"
            " this mirror is offline (offline = true)"
        ),
        _WITH_WORDS,
    ),
    (troubles.large_image, "no space left on device", ("docker",)),
)
MESSAGES = tuple(
    Message(client, trouble, text) for trouble, text, clients in _PRINTED for client in clients
)


def read_quotes() -> list[str]:
    """Return the messages that the page quotes: its blocks of plain text."""
    text = PAGE.read_text(encoding="utf-8")
    return re.findall(r"^```text\n(.*?)\n```$", text, re.MULTILINE | re.DOTALL)
