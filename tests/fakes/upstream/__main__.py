"""A fake upstream as a program, for manual tests and benchmarks; it ends at SIGTERM or SIGINT."""

import argparse
import json
import re
import signal
import sys
import threading

from tests.fakes.upstream.hub import FakeUpstream

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMG]?)(?:i?B)?", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Return the bytes of a size like `40MiB`; the units are powers of 1024."""
    match = SIZE.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write 64KiB, 40MiB or 1GiB")
    return int(float(match[1]) * UNITS[match[2].upper()])


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.upstream", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="and the two ports after it")
    parser.add_argument("--backend", help="a registry for everything not given by --blob")
    parser.add_argument("--auth", choices=("bearer", "basic", "none"), default="bearer")
    parser.add_argument("--rate", type=parse_size, help="per second, all connections together")
    parser.add_argument("--connection-rate", type=parse_size, help="per second and connection")
    parser.add_argument("--cut-every", type=parse_size, help="cut blobs after so much")
    parser.add_argument("--pulls", type=int, help="how many manifests may be pulled")
    parser.add_argument("--direct", action="store_true", help="serve blobs without a redirect")
    parser.add_argument(
        "--blob",
        action="append",
        default=[],
        metavar="SIZE:REPOSITORY:TAG",
        help="an image with one layer of this size; may be repeated, also for one tag",
    )
    return parser.parse_args(arguments)


def add_images(hub: FakeUpstream, blobs: list[str]) -> dict[str, dict[str, object]]:
    """Add the images of the options --blob; several blobs for one tag are its layers."""
    layers: dict[tuple[str, str], list[bytes | str]] = {}
    for seed, blob in enumerate(blobs):
        size, repository, tag = blob.split(":")
        digest = hub.add_big_blob(parse_size(size), seed)
        layers.setdefault((repository, tag), []).append(digest)
    added: dict[str, dict[str, object]] = {}
    for (repository, tag), digests in layers.items():
        image = hub.add_image(repository, tag, digests)
        added[f"{repository}:{tag}"] = {"digest": image.digest, "layers": list(image.layers)}
    return added


def run(arguments: list[str]) -> None:
    """Serve until a signal; the first line of output is JSON with the URLs and the images."""
    chosen = parse_arguments(arguments)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with FakeUpstream(backend=chosen.backend, auth=chosen.auth, port=chosen.port) as hub:
        hub.rate = chosen.rate
        hub.connection_rate = chosen.connection_rate
        hub.cut_every = chosen.cut_every
        hub.pulls_left = chosen.pulls
        hub.redirect_blobs = not chosen.direct
        images = add_images(hub, chosen.blob)
        hello = {"url": hub.url, "cdn_url": hub.cdn_url, "realm": hub.realm, "images": images}
        sys.stdout.write(json.dumps(hello) + "\n")
        sys.stdout.flush()
        ended.wait()


if __name__ == "__main__":
    run(sys.argv[1:])
