"""Take the pictures of the console for the documents, with made-up images and clients.

    python -m tests.browser.pictures                  writes docs/pictures/
    python -m tests.browser.pictures --out FOLDER     writes another folder

The mirror, its store and the pulls are real; the registries are played, and the pictures have the
names of real ones in place of their ports.
"""

import argparse
import re
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import CHROMIUM
from tests.fakes.upstream import FakeUpstream, Image
from tests.harness.console_browser import path_of
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import fetch, wait_until

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures"
MIB = 1 << 20
SIZE = {"width": 1120, "height": 800}
REAL = {
    "docker.io": "https://registry-1.docker.io",
    "ghcr.io": "https://ghcr.io",
    "quay.io": "https://quay.io",
}
# The registry, the repository, the tag, and the sizes of the layers in MiB.
IMAGES = (
    ("docker.io", "library/nginx", "1.27", (28, 40)),
    ("docker.io", "library/postgres", "16", (28, 70, 12)),
    ("docker.io", "library/redis", "7", (28, 16)),
    ("docker.io", "library/python", "3.12-slim", (28, 13)),
    ("docker.io", "grafana/grafana", "11.4.0", (3, 80, 40)),
    ("ghcr.io", "acme/shop", "2.8.1", (28, 35)),
    ("ghcr.io", "acme/payments", "1.14.0", (28, 31)),
    ("quay.io", "prometheus/prometheus", "v3.1.0", (2, 48)),
)
CLIENTS = ("10.0.0.7", "10.0.0.12", "10.0.0.31", "10.0.0.44", "10.0.3.9")
_RENAME = """
names => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode())
    for (const [played, real] of Object.entries(names))
      walker.currentNode.nodeValue = walker.currentNode.nodeValue.replaceAll(played, real);
}
"""


@dataclass(frozen=True)
class Picture:
    """A page of the console, and the name of its file."""

    name: str
    path: str
    scheme: str = "light"


PICTURES = (
    Picture("overview", "/"),
    Picture("overview-dark", "/", "dark"),
    Picture("images", "/images"),
    Picture("image", path_of("docker.io/library/nginx:1.27")),
    Picture("upstreams", "/upstreams"),
)


@dataclass(frozen=True)
class Scene:
    """A mirror that clients have used, and the registries that it has asked."""

    mirror: MirrorProcess
    hubs: Mapping[str, FakeUpstream]

    @property
    def names(self) -> dict[str, str]:
        """What the pictures have in place of addresses of this machine."""
        hosts = [(each.url, each.cdn_url, REAL[name]) for name, each in self.hubs.items()]
        return {played: real for *both, real in hosts for played in both} | {
            str(self.mirror.data): "/var/lib/entrepot/data",
            str(self.mirror.data.parent): "/etc/entrepot",
            self.mirror.host: "10.0.0.5:5000",
            self.mirror.console.removeprefix("http://"): "10.0.0.5:5001",
        }

    def pull(self, registry: str, image: Image, client: str) -> None:
        """Pull an image as this client."""
        base = f"{self.mirror.url}/v2/{registry}/{image.repository}"
        headers = {"X-Forwarded-For": client}
        for path in (f"manifests/{image.tag}", *(f"blobs/{each}" for each in image.blobs)):
            answer = fetch(f"{base}/{path}", headers)
            assert answer.status == 200, answer.message

    def begin_download(self, size: int) -> None:
        """Let two clients wait for a large blob, until a third of it has come."""
        hub = self.hubs["docker.io"]
        digest = hub.add_big_blob(size, repository="pytorch/pytorch")
        hub.rate = 6 * MIB
        url = f"{self.mirror.url}/v2/docker.io/pytorch/pytorch/blobs/{digest}"
        for client in CLIENTS[:2]:
            given = (url, {"X-Forwarded-For": client})
            threading.Thread(target=fetch, args=given, daemon=True).start()
        wait_until(lambda: self._count_downloaded() > size / 3, "a third of it has come")

    def _count_downloaded(self) -> float:
        told = fetch(f"{self.mirror.console}/metrics").body.decode()
        found = re.search(r"^entrepot_downloading_bytes (\S+)", told, re.MULTILINE)
        return float(found[1]) if found else 0.0


@contextmanager
def play(folder: Path) -> Iterator[Scene]:
    """Start a mirror, and let clients pull what it then has."""
    with ExitStack() as stack:
        hubs = {name: stack.enter_context(FakeUpstream()) for name in REAL}
        settings = {
            "server": {"trusted_proxies": ["127.0.0.1/32"]},
            "storage": {"limit": "2GiB"},
            "tags": {"fresh_for": "0s"},
        }
        upstreams = {name: hub.url for name, hub in hubs.items()}
        mirror = MirrorProcess(folder, upstreams, settings)
        scene = Scene(stack.enter_context(mirror), hubs)
        hubs["docker.io"].pulls_left = 96
        for number, (registry, repository, tag, sizes) in enumerate(IMAGES):
            hub = hubs[registry]
            layers = [
                hub.add_big_blob(
                    size * MIB, seed=0 if size == sizes[0] else number, repository=repository
                )
                for size in sizes
            ]
            image = hub.add_image(repository, tag, layers)
            for client in CLIENTS[: 1 + (number * 3) % len(CLIENTS)]:
                scene.pull(registry, image, client)
        newer = hubs["docker.io"].add_big_blob(41 * MIB, seed=99, repository="library/nginx")
        moved = hubs["docker.io"].add_image("library/nginx", "1.27", [newer])
        scene.pull("docker.io", moved, CLIENTS[0])
        assert not mirror.run("images", "pin", "redis:7").returncode
        yield scene


def take(scene: Scene, browser: Browser, pictures: Sequence[Picture], out: Path) -> None:
    """Write a file for each picture."""
    for picture in pictures:
        context = browser.new_context(
            locale="en-US",
            viewport=SIZE,
            color_scheme=picture.scheme,  # type: ignore[arg-type]
        )
        page = context.new_page()
        page.goto(scene.mirror.console + picture.path)
        _wait_for_facts(page)
        page.evaluate(_RENAME, scene.names)
        page.screenshot(path=str(out / f"{picture.name}.png"))
        context.close()


def _wait_for_facts(page: Page) -> None:
    """Look twice more: what takes long was added up then, and speeds are known."""
    for _ in range(2):
        page.wait_for_timeout(1500)
        page.reload()


def main(arguments: Sequence[str]) -> int:
    """Take all pictures."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.browser.pictures",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="FOLDER", help="of the files")
    out = parser.parse_args(arguments).out
    out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="entrepot-", dir="/tmp") as folder,
        play(Path(folder)) as scene,
        sync_playwright() as playwright,
    ):
        scene.begin_download(240 * MIB)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        take(scene, browser, PICTURES, out)
        browser.close()
    sys.stderr.write(f"wrote {len(PICTURES)} pictures into {out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
