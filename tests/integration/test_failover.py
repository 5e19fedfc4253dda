"""Several endpoints of one upstream: the first that can answers, and a dead one is left alone."""

from collections.abc import Iterator

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import Cut, FakeUpstream, Fault, Image, Plain429, Status
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import fetch, wait_until

LAYER = b"the layer " * 20_000
PORTAL = Status(200, "<html>Please log in</html>", {"Content-Type": "text/html; charset=utf-8"})


@pytest.fixture
def accelerator() -> Iterator[FakeUpstream]:
    """The endpoint that stands first."""
    with FakeUpstream() as upstream:
        yield upstream


def add(hub: FakeUpstream, repository: str, tag: str = "1") -> Image:
    return hub.add_image(repository, tag, [f"{repository}:{tag}".encode() + LAYER])


def start(
    make_mirror: MirrorMaker, accelerator: FakeUpstream, hub: FakeUpstream, fresh_for: str = "60s"
) -> MirrorProcess:
    table = {"endpoints": [accelerator.url, hub.url]}
    return make_mirror(
        {"tags": {"fresh_for": fresh_for}}, upstreams={"docker.io": table}, workers=1
    )


def pull(mirror: MirrorProcess, image: Image, prefix: str = "") -> None:
    """Pull the whole image; every byte is right."""
    base = f"{mirror.url}/v2/{prefix}{image.repository}"
    manifest = fetch(f"{base}/manifests/{image.tag}")
    assert (manifest.status, manifest.body) == (200, image.manifest)
    for digest in image.blobs:
        blob = fetch(f"{base}/blobs/{digest}")
        assert (blob.status, len(blob.body)) == (200, image.sizes[digest])


def test_the_first_endpoint_is_asked_first(
    make_mirror: MirrorMaker, accelerator: FakeUpstream, hub: FakeUpstream
) -> None:
    """While the accelerator has it, Docker Hub is not asked at all."""
    image = add(accelerator, "team/both")
    add(hub, "team/both")
    mirror = start(make_mirror, accelerator, hub)

    pull(mirror, image)

    assert accelerator.journal.count("manifest") > 0
    assert len(hub.journal) == 0, hub.journal


TROUBLES = {
    "404": Status(404, '{"errors": [{"code": "MANIFEST_UNKNOWN"}]}'),
    "500": Status(500),
    "503": Status(503),
    "403": Status(403, "<Error/>", {"Content-Type": "application/xml"}),
    "401": Status(401),
    "400": Status(400),
    "429": Status(429, b"{}"),
    "plain-429": Plain429(),
    "portal": PORTAL,
}


@pytest.fixture(scope="module")
def troubled(
    shared_hub: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[MirrorProcess, FakeUpstream]]:
    """A mirror with an upstream for each trouble that a first endpoint may have."""
    with FakeUpstream() as first:
        table = {"endpoints": [first.url, shared_hub.url]}
        upstreams = {f"t{number}.test": table for number in range(len(TROUBLES))}
        folder = tmp_path_factory.mktemp("troubled")
        with MirrorProcess(folder, upstreams, workers=1) as running:
            yield running, first


@pytest.mark.parametrize("trouble", TROUBLES)
def test_the_second_endpoint_stands_in(
    troubled: tuple[MirrorProcess, FakeUpstream], shared_hub: FakeUpstream, trouble: str
) -> None:
    """Whatever the first endpoint answers, the client gets its image from the second."""
    mirror, first = troubled
    image = add(shared_hub, f"team/spare-{trouble}")
    first.faults.clear()
    first.journal.clear()
    first.faults.add(Fault("any", TROUBLES[trouble], times=None))

    pull(mirror, image, f"t{[*TROUBLES].index(trouble)}.test/")

    assert len(first.journal) > 0


def test_the_second_endpoint_stands_in_when_nobody_listens(
    make_mirror: MirrorMaker, accelerator: FakeUpstream, hub: FakeUpstream
) -> None:
    """A first endpoint that refuses connections costs no client its image."""
    image = add(hub, "team/spare")
    mirror = start(make_mirror, accelerator, hub)
    accelerator.stop()

    pull(mirror, image)


def test_the_second_endpoint_goes_on_in_the_middle_of_a_blob(
    make_mirror: MirrorMaker, accelerator: FakeUpstream, hub: FakeUpstream
) -> None:
    """A blob that the first endpoint cannot finish is finished by the second, from that byte on."""
    image = add(accelerator, "team/halved")
    add(hub, "team/halved")
    mirror = start(make_mirror, accelerator, hub)
    digest, half = image.layers[0], 50_000
    fetch(f"{mirror.url}/v2/team/halved/manifests/1")
    accelerator.faults.add(
        Fault("cdn", Cut(half), method="GET"), Fault("any", Status(503), times=None, skip=1)
    )

    answer = fetch(f"{mirror.url}/v2/team/halved/blobs/{digest}")

    assert (answer.status, answer.body) == (200, b"team/halved:1" + LAYER)
    assert accelerator.journal.bytes_sent(digest) == half, accelerator.journal
    (rest,) = [entry for entry in hub.journal.of("cdn", "GET") if entry.digest == digest]
    assert (rest.status, rest.body_bytes) == (206, image.sizes[digest] - half), hub.journal


def test_the_pull_limit_of_the_registry_is_spared(
    make_mirror: MirrorMaker, accelerator: FakeUpstream, hub: FakeUpstream
) -> None:
    """A new tag costs a trusted endpoint no counted GET if the accelerator has the manifest.

    This is so in whatever order they are written. What only the trusted one has, it sends itself.
    """
    image = add(accelerator, "team/spared")
    add(hub, "team/spared")
    own = add(hub, "team/spared", "2")
    table = {"endpoints": [hub.url, accelerator.url], "trusted": [hub.host]}
    mirror = make_mirror(upstreams={"docker.io": table}, workers=1)

    pull(mirror, image)

    heads = hub.journal.of("manifest", "HEAD")
    assert [each.status for each in heads if each.status != 401] == [200]
    assert hub.journal.count("manifest", "GET") == 0, hub.journal
    pull(mirror, own)
    assert hub.journal.count("manifest", "GET") == 1, hub.journal


def test_an_endpoint_without_the_image_does_not_settle_it(
    make_mirror: MirrorMaker, accelerator: FakeUpstream, hub: FakeUpstream
) -> None:
    """An absence counts only when every endpoint agrees; a silent one leaves it open."""
    mirror = start(make_mirror, accelerator, hub)
    hub.stop()

    assert fetch(f"{mirror.url}/v2/team/absent/manifests/1").status == 503
    hub.start()
    assert fetch(f"{mirror.url}/v2/team/absent/manifests/2").status == 404


def test_a_portal_costs_no_pull_of_the_budget(
    make_mirror: MirrorMaker, accelerator: FakeUpstream, hub: FakeUpstream
) -> None:
    """A page instead of a HEAD is no answer: the next endpoint's HEAD is, and nothing is pulled."""
    image = add(hub, "team/portal")
    mirror = start(make_mirror, accelerator, hub, fresh_for="0s")
    pull(mirror, image)
    accelerator.faults.add(Fault("any", PORTAL, times=None))
    hub.journal.clear()

    answers = [fetch(f"{mirror.url}/v2/team/portal/manifests/1") for _ in range(5)]

    assert {answer.origin for answer in answers} == {"revalidated"}
    assert hub.journal.count("manifest", "GET") == 0, hub.journal


def test_a_portal_does_not_poison_a_blob(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """What a page says of its own length is not taken for a blob's."""
    image = add(hub, "team/poisoned")
    mirror = make_mirror(workers=1)
    url = f"{mirror.url}/v2/team/poisoned/blobs/{image.layers[0]}"
    hub.faults.add(Fault("any", PORTAL, times=None))
    assert fetch(url, method="HEAD").status in {502, 503}
    assert fetch(url).status in {502, 503}
    hub.faults.clear()

    answer = fetch(url)

    assert (answer.status, answer.body) == (200, b"team/poisoned:1" + LAYER)


def test_a_dead_endpoint_is_left_alone(
    make_mirror: MirrorMaker, accelerator: FakeUpstream, hub: FakeUpstream, note
) -> None:
    """After a few failures in a row it is not asked at every pull, only now and then."""
    tags = [f"t{number}" for number in range(40)]
    images = [add(hub, "team/breaker", tag) for tag in tags]
    mirror = start(make_mirror, accelerator, hub)
    accelerator.faults.add(Fault("any", Status(503), times=None))

    answers = [fetch(f"{mirror.url}/v2/team/breaker/manifests/{tag}") for tag in tags]

    assert [answer.body for answer in answers] == [image.manifest for image in images]
    spent = sum(answer.seconds for answer in answers)
    # Three open the breaker; then one trial after 2 s, the next after 4 more, and so on.
    assert len(accelerator.journal) <= 3 + spent / 2 + 1, accelerator.journal
    note(f"{len(accelerator.journal)} requests to a dead endpoint in {len(tags)} cold pulls")


def test_an_endpoint_that_recovers_is_used_again(
    make_mirror: MirrorMaker, accelerator: FakeUpstream, hub: FakeUpstream
) -> None:
    """When its rest is over one trial finds out that the first endpoint is well again."""
    image = add(accelerator, "team/recovers")
    add(hub, "team/recovers")
    mirror = start(make_mirror, accelerator, hub, fresh_for="0s")
    accelerator.stop()
    pull(mirror, image)
    for _ in range(3):
        fetch(f"{mirror.url}/v2/team/recovers/manifests/1")
    accelerator.start()
    accelerator.journal.clear()

    def is_asked_again() -> bool:
        fetch(f"{mirror.url}/v2/team/recovers/manifests/1")
        return accelerator.journal.count("manifest", "HEAD") > 0

    wait_until(is_asked_again, "the accelerator is asked again")
    hub.journal.clear()
    assert fetch(f"{mirror.url}/v2/team/recovers/manifests/1").origin == "revalidated"
    assert len(hub.journal) == 0, hub.journal
