"""How often an upstream is asked: not while fresh, then once, and never for what is known."""

import time
from collections.abc import Callable

from tests.conftest import MirrorMaker
from tests.fakes.upstream import Delay, FakeUpstream, Fault
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import Answer, fetch, fetch_all

FRESH_FOR = 2.0


def start(make_mirror: MirrorMaker, workers: int = 1, **tags: object) -> MirrorProcess:
    return make_mirror({"tags": {"fresh_for": f"{FRESH_FOR}s"} | tags}, workers=workers)


def age(seconds: float = FRESH_FOR + 0.2) -> None:
    """Let what is known grow older than `fresh_for`: it is the clock that is waited for."""
    time.sleep(seconds)


def pull(mirror: MirrorProcess, tag: str, times: int = 1) -> list[Answer]:
    return [fetch(f"{mirror.url}/v2/team/fresh/manifests/{tag}") for _ in range(times)]


def count(hub: FakeUpstream) -> tuple[int, int]:
    """The HEADs and the GETs of manifests that the upstream saw."""
    return hub.journal.count("manifest", "HEAD"), hub.journal.count("manifest", "GET")


def test_twenty_pulls_cost_no_manifest(
    make_mirror: MirrorMaker, hub: FakeUpstream, note: Callable[[str], None]
) -> None:
    """Shown by 5: pulls of a known image, within and after freshness, cost no counted GET.

    A changed tag costs one GET for each new manifest.
    """
    image = hub.add_image("team/fresh", "1", [b"first"])
    mirror = start(make_mirror)
    pull(mirror, "1")
    hub.journal.clear()

    within = pull(mirror, "1", times=10)
    counted_within = count(hub)
    age()
    after = pull(mirror, "1", times=10)
    counted_after = count(hub)

    assert {answer.body for answer in within + after} == {image.manifest}
    assert {answer.origin for answer in within} == {"hit"}
    assert after[0].origin == "revalidated"
    assert counted_within == (0, 0), hub.journal
    assert counted_after == (1, 0), hub.journal

    moved = hub.add_image("team/fresh", "1", [b"second"])
    age()
    hub.journal.clear()
    changed = pull(mirror, "1", times=10)

    assert {answer.body for answer in changed} == {moved.manifest}
    assert count(hub) == (1, 1), hub.journal
    note(
        f"10 pulls while fresh: {counted_within[0]} HEAD, {counted_within[1]} GET; 10 after: "
        f"{counted_after[0]} HEAD, {counted_after[1]} GET; 10 of a moved tag: 1 HEAD, 1 GET"
    )


def test_many_clients_cost_one_head(
    make_mirror: MirrorMaker, hub: FakeUpstream, note: Callable[[str], None]
) -> None:
    """Forty requests for a tag past its freshness, over two workers, cost one HEAD and no GET."""
    image = hub.add_image("team/fresh", "many", [b"many"])
    mirror = start(make_mirror, workers=2, fresh_for="4s")
    urls = [f"{mirror.url}/v2/team/fresh/manifests/many"] * 40
    fetch_all(urls, at_once=20)
    age(4.2)
    hub.journal.clear()
    hub.faults.add(Fault("manifest", Delay(0.5), method="HEAD"))

    answers = fetch_all(urls, at_once=20)

    assert {answer.body for answer in answers} == {image.manifest}
    assert not [answer for answer in answers if answer.origin == "stale"]
    asked = [entry for entry in hub.journal.of("manifest") if entry.status != 401]
    assert [entry.method for entry in asked] == ["HEAD"], hub.journal
    note(f"{len(urls)} pulls at once over 2 workers after freshness: {len(asked)} HEAD, 0 GET")


def test_many_clients_of_an_unknown_tag_cost_one_get(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """Forty requests for a tag that is not stored, over two workers, cost one counted GET."""
    image = hub.add_image("team/fresh", "cold", [b"cold"])
    mirror = start(make_mirror, workers=2, fresh_for="60s")
    hub.faults.add(Fault("manifest", Delay(0.5), method="HEAD"))

    answers = fetch_all([f"{mirror.url}/v2/team/fresh/manifests/cold"] * 40, at_once=20)

    assert {(answer.status, answer.body) for answer in answers} == {(200, image.manifest)}
    gets = [entry for entry in hub.journal.of("manifest", "GET") if entry.status == 200]
    assert len(gets) == 1, hub.journal


def test_an_index_costs_one_get_per_new_manifest(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """When one platform of an image changes, its sibling is not fetched again."""
    amd, arm = (
        hub.add_image("team/fresh", None, [name.encode()], platform=("linux", name))
        for name in ("amd64", "arm64")
    )
    hub.add_index("team/fresh", "multi", [amd, arm])
    mirror = start(make_mirror, fresh_for="0s")
    for reference in ("multi", amd.digest, arm.digest):
        pull(mirror, reference)
    newer = hub.add_image("team/fresh", None, [b"newer"], platform=("linux", "amd64"))
    index = hub.add_index("team/fresh", "multi", [newer, arm])
    hub.journal.clear()

    for reference in ("multi", newer.digest, arm.digest):
        assert pull(mirror, reference)[0].status == 200

    got = [entry.digest for entry in hub.journal.of("manifest", "GET")]
    assert got == [index.digest, newer.digest], hub.journal


def test_a_digest_is_fresh_for_ever(place: str, shared_hub: FakeUpstream) -> None:
    """A manifest asked for by its digest is fetched once and never asked about again."""
    image = shared_hub.add_image("team/fresh", None, [b"for ever"])
    url = f"{place}/team/fresh/manifests/{image.digest}"
    fetch(url)
    shared_hub.journal.clear()

    answers = [fetch(url) for _ in range(5)]

    assert {(answer.origin, answer.body) for answer in answers} == {("hit", image.manifest)}
    assert len(shared_hub.journal) == 0, shared_hub.journal


def test_a_tag_that_leads_to_a_known_manifest_costs_no_get(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """A second tag of a known image, also in another repository, is learnt by a HEAD."""
    image = hub.add_image("team/fresh", "1", [b"shared"])
    hub.tag("team/fresh", "latest", image.digest)
    hub.add_manifest("team/other", "1", image.manifest, image.media_type)
    mirror = start(make_mirror)
    pull(mirror, "1")
    hub.journal.clear()

    again = pull(mirror, "latest")[0]
    other = fetch(f"{mirror.url}/v2/team/other/manifests/1")

    assert (again.body, other.body) == (image.manifest, image.manifest)
    assert hub.journal.count("manifest", "GET") == 0, hub.journal


def test_immutable_tags_are_not_asked_about(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """A tag that a pattern matches as a whole is served without a HEAD, however old it is."""
    mirror = start(make_mirror, fresh_for="0s", immutable=[r"v\d+\.\d+\.\d+"])
    for tag, is_asked in (("v1.2.3", False), ("v1.2", True), ("xv1.2.3", True)):
        hub.add_image("team/fresh", tag, [tag.encode()])
        pull(mirror, tag)
        hub.journal.clear()

        (answer,) = pull(mirror, tag)

        assert answer.origin == ("revalidated" if is_asked else "hit"), tag
        assert (len(hub.journal) > 0) is is_asked, hub.journal


def test_an_absence_is_remembered_for_a_moment(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """Within `missing_for` what is not there is not asked for again; afterwards it is.

    Docker Hub says of an unknown repository that one may not have it (401), which is remembered
    like a 404.
    """
    mirror = start(make_mirror, missing_for="2s")
    names = ["team/absent", "team/denied"]
    urls = [f"{mirror.url}/v2/{name}/manifests/1" for name in names]
    first = [fetch(urls[0])]
    hub.hub_style_unknown = True
    first.append(fetch(urls[1]))
    hub.journal.clear()

    remembered = [fetch(url) for url in urls * 5]
    asked = len(hub.journal)
    images = [hub.add_image(name, "1", [name.encode()]) for name in names]
    age()

    assert {answer.status for answer in [*first, *remembered]} == {404}
    assert {answer.code for answer in remembered} == {"MANIFEST_UNKNOWN"}
    assert asked == 0, hub.journal
    assert [fetch(url).body for url in urls] == [image.manifest for image in images]


def test_another_workers_change_is_seen(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """What one worker fetched the other serves, and neither goes back to an older image."""
    hub.add_image("team/fresh", "1", [b"old"])
    mirror = start(make_mirror, workers=2, fresh_for="2s")
    fetch_all([f"{mirror.url}/v2/team/fresh/manifests/1"] * 20)
    image = hub.add_image("team/fresh", "1", [b"new"])
    age(2.2)
    pull(mirror, "1")
    age(1.1)  # within a second a worker sees what another one did

    answers = fetch_all([f"{mirror.url}/v2/team/fresh/manifests/1"] * 20)

    assert {answer.body for answer in answers} == {image.manifest}
