"""Endpoints that people find in lists of mirrors: most of them cannot be used, each in its way."""

import random
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.upstream import Cut, FakeUpstream, Fault, Lie, Plain429, Status

LAYER = random.Random(3).randbytes(2_500_000)
IMAGES = ("--image", "app:1", "--image", "small:1")
WORKING = ("own", "no ranges", "slow", "old names")
# The step that fails at each of the others, and what the reason says.
BROKEN: Mapping[str, tuple[str, str]] = {
    "dead port": ("connection", "cannot be reached (Connection refused)"),
    "plain http": ("TLS", "cannot be reached (TLS: wrong version number; does it speak plain http"),
    "portal": ("tags", "answers with a web page (a captive portal?)"),
    "no tokens": ("token", "cannot be reached (Connection refused)"),
    "locked": ("tags", "asks for a login (401), but neither here nor at /v2/ does it say which"),
    "no images": ("tags", "does not have it (library/app:1, library/small:1)"),
    "throttled": ("tags", "answers 429: too many requests"),
    "cuts": ("download", "the connection breaks again and again (5 times)"),
    "lies": ("download", "sends wrong bytes: the layer does not have its digest"),
}
PAGE = {"Content-Type": "text/html"}


@dataclass(frozen=True)
class Candidates:
    """The endpoints by what is special about them; `own` is the registry itself.

    `token_service` is the URL of the one that does not run, of the endpoint "no tokens".
    """

    urls: Mapping[str, str]
    own: FakeUpstream
    token_service: str

    @property
    def others(self) -> list[str]:
        """The URLs of all but the registry itself."""
        return [url for name, url in self.urls.items() if name != "own"]

    def write_settings(self, folder: Path, more: str = "") -> Path:
        """Write a settings file in which the registry itself is the only endpoint."""
        file = folder / "entrepot.toml"
        file.write_text(
            f'# mine\n[upstreams."docker.io"]\nendpoints = ["{self.own.url}"]  # the registry\n'
            f'aliases = ["{self.own.host}"]\n{more}'
        )
        return file


@contextmanager
def open_candidates() -> Iterator[Candidates]:
    """Run an upstream for each of them."""
    with ExitStack() as stack:

        def open_one(layer: bytes = LAYER) -> FakeUpstream:
            hub = stack.enter_context(FakeUpstream())
            hub.add_image("library/app", "1", [layer])
            hub.add_image("library/small", "1", [b"small"])
            return hub

        names = ("own", "no ranges", "slow", "old names", *BROKEN)
        hubs = {name: open_one() for name in names if name != "no images"}
        hubs["no images"] = stack.enter_context(FakeUpstream())
        hubs["no ranges"].ranges_supported = False
        hubs["slow"].rate = 6_000_000
        hubs["old names"].add_image("library/small", "1", [b"an older one"])
        hubs["dead port"].stop()
        hubs["portal"].faults.add(Fault("any", Status(200, "<html>", PAGE), times=None))
        hubs["no tokens"].stop("token")
        hubs["locked"].faults.add(Fault("any", Status(401), times=None))
        hubs["throttled"].faults.add(Fault("any", Plain429(), times=None))
        hubs["cuts"].faults.add(Fault("blob", Cut(100_000), times=None))
        hubs["lies"].faults.add(Fault("blob", Lie(300_000), times=None))
        urls = {name: hubs[name].url for name in names}
        urls["plain http"] = urls["plain http"].replace("http:", "https:")
        yield Candidates(urls, hubs["own"], hubs["no tokens"].realm)


def read_facts(report: dict[str, object], url: str) -> dict[str, object]:
    """Return what the JSON of a test says of the endpoint at `url`."""
    (found,) = [each for each in report["candidates"] if each["endpoint"] == url]  # type: ignore[attr-defined]
    return found
