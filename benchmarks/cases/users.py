"""What `access.mode = "users"` costs: the same mirror with and without it, in turns.

Repeated manifests and stored blobs, by clients who say who they are with a header, with a token in
the path, or with a certificate. In both modes, the same bytes are sent for the same requests.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from benchmarks.bench import MIB, OPTIONAL, Bench, Case, Measure
from benchmarks.content import Blob, Image, make_blob, make_image
from benchmarks.load import Request, Seen, pull, run_wrk
from benchmarks.peers import Place
from benchmarks.processes import await_calm, read_usage
from benchmarks.results import US, Bar
from tests.fakes.certificates import Authority, make_authority
from tests.harness.mirror import MirrorProcess

OPEN = "open"
REPOSITORY = "bench/users"
WHO = "bench"
CONNECTIONS = 32
EACH = 1500  # requests for a manifest over each connection, where wrk has no certificate
CLIENTS = 4  # that pull the blob
SIZE = 256 * MIB
GIB = 1 << 30


@dataclass(frozen=True)
class Site:
    """A running mirror, and what its clients send; `tls` as in `benchmarks/client.py`."""

    place: Place
    headers: Sequence[str] = ()
    tls: Sequence[str] | None = None

    def pull(self, clients: Sequence[Sequence[Request]], processes: int = 1) -> Seen:
        """Let clients pull as a user."""
        return pull(
            self.place.port, clients, processes=processes, headers=self.headers, tls=self.tls
        ).require()


@contextmanager
def _prepare(bench: Bench, way: str) -> Iterator[Mapping[str, Measure]]:
    blob = make_blob(bench.size(SIZE))
    image = make_image(bench.make_folder("image"), REPOSITORY, [blob])
    authority = make_authority(bench.make_folder("authority")) if way == "certificate" else None
    with ExitStack() as stack:
        origin = stack.enter_context(bench.origin(image))
        upstream = f"http://127.0.0.1:{origin.port}"
        sites = {
            name: _start(bench, stack, upstream, way, authority, is_open=name == OPEN)
            for name in (OPEN, US)
        }
        for site in sites.values():
            _prime(site, image, blob)
        yield {name: _measurer(bench, site, image, blob) for name, site in sites.items()}


def _start(
    bench: Bench,
    stack: ExitStack,
    upstream: str,
    way: str,
    authority: Authority | None,
    *,
    is_open: bool,
) -> Site:
    rules = [{"who": [WHO], "allow": ["docker.io/*"]}]
    settings: dict[str, object] = {"access": {"mode": OPEN if is_open else "users", "rules": rules}}
    if authority is not None:
        files = {"tls_cert": authority.certificate, "tls_key": authority.key}
        settings["server"] = {
            name: str(path) for name, path in (files | {"client_ca": authority.root}).items()
        }
    mirror = MirrorProcess(bench.make_folder(OPEN), {"docker.io": upstream}, settings, workers=0)
    mirror.start_anew()
    stack.callback(mirror.stop)
    await_calm(mirror.pid)
    port = int(mirror.url.rpartition(":")[2])
    if authority is not None:
        _run(mirror, "users", "add", WHO, "--no-password")
        certificate = authority.sign_client(WHO)
        tls = [str(each) for each in (authority.root, certificate, certificate.with_suffix(".key"))]
        return Site(Place(way, port, mirror.pid, mirror.stop), tls=tls)
    token = json.loads(_run(mirror, "tokens", "add", WHO))["token"]
    if way == "path":
        prefix = "/v2/" if is_open else f"/t/{token}/v2/"
        return Site(Place(way, port, mirror.pid, mirror.stop, prefix))
    headers = [f"Authorization: Bearer {token}"]
    return Site(Place(way, port, mirror.pid, mirror.stop), headers)


def _run(mirror: MirrorProcess, *words: str) -> str:
    done = mirror.run(*words, "--json")
    done.check_returncode()
    return done.stdout


def _prime(site: Site, image: Image, blob: Blob) -> None:
    path = site.place.manifest(REPOSITORY, image.tag)
    site.pull([[Request(path, len(image.manifest))]])
    for _ in range(2):  # the second time from the cache
        site.pull([[Request(site.place.blob(REPOSITORY, blob.digest), blob.size)]])


def _measurer(bench: Bench, site: Site, image: Image, blob: Blob) -> Measure:
    return lambda: _measure_manifests(bench, site, image) | _measure_blobs(site, blob)


def _measure_manifests(bench: Bench, site: Site, image: Image) -> dict[str, float]:
    path = site.place.manifest(REPOSITORY, image.tag)
    # It may have aged while the other one was measured: then this asks upstream.
    site.pull([[Request(path)]] * CONNECTIONS)
    before = read_usage(site.place.session).cpu
    if site.tls is None:
        seen = run_wrk(
            site.place,
            path,
            connections=CONNECTIONS,
            seconds=bench.seconds,
            headers=site.headers,
        )
        rate, count = seen.rate, seen.requests
    else:
        each = bench.count(EACH)
        pulled = site.pull([[Request(path)] * each] * CONNECTIONS, processes=2)
        count = len(pulled.times)
        rate = count / pulled.wall
    used = read_usage(site.place.session).cpu - before
    return {"rate": rate, "cpu_each": used / count * 1e6}


def _measure_blobs(site: Site, blob: Blob) -> dict[str, float]:
    request = Request(site.place.blob(REPOSITORY, blob.digest), blob.size)
    repeats = max(1, 2 * GIB // (blob.size * CLIENTS))
    before = read_usage(site.place.session).cpu
    seen = site.pull([[request] * repeats] * CLIENTS)
    used = read_usage(site.place.session).cpu - before
    return {"throughput": seen.received / MIB / seen.wall, "cpu": used * GIB / seen.received}


def _make_case(way: str, title: str, note: str = "") -> Case:
    return Case(
        f"users-{way}",
        f"access.mode = users beside open, {title}",
        partial(_prepare, way=way),
        (
            Bar("rate", ">=", 0.9, (OPEN,)),
            Bar("cpu_each", "<=", 1 / 0.9, (OPEN,)),
            Bar("throughput", ">=", 0.95, (OPEN,)),
            Bar("cpu", "<=", 1.05, (OPEN,)),
        ),
        notes=tuple(filter(None, (f"{US} has access.mode = users, with records.", note))),
        without=("nginx", "docker-registry", "drayage", *OPTIONAL),
        is_repeat=way != "header",
    )


USERS_HEADER = _make_case("header", "a token in a header")
USERS_PATH = _make_case("path", "a token in the path")
USERS_CERTIFICATE = _make_case(
    "certificate",
    "client certificates",
    "The load client is written in Python, and takes more CPU than the mirror: its requests/s say"
    " less than the CPU of the mirror.",
)
