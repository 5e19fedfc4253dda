"""Two endpoints that disagree about a tag: each setting of `names` does what it says."""

from collections.abc import Iterator
from itertools import count

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream, Fault, Status
from tests.harness.mirror import MirrorProcess
from tests.integration.two_endpoints import SETTINGS, add, ask, digest_of, list_upstreams
from tests.integration.wire import fetch

NUMBERS = count()


@pytest.fixture(scope="module")
def registry() -> Iterator[FakeUpstream]:
    """The registry itself."""
    with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def accelerator() -> Iterator[FakeUpstream]:
    """An endpoint of somebody else, which stands first."""
    with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def mirror(
    accelerator: FakeUpstream, registry: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MirrorProcess]:
    """A mirror with an upstream for each setting, of the same two endpoints."""
    folder = tmp_path_factory.mktemp("names")
    upstreams = list_upstreams(accelerator, registry)
    settings = {"tags": {"fresh_for": "0s"}}
    with MirrorProcess(folder, upstreams, settings, workers=1) as running:
        yield running


@pytest.fixture
def repository(accelerator: FakeUpstream, registry: FakeUpstream) -> str:
    """A repository that no other test uses; nothing was asked before."""
    for each in (accelerator, registry):
        each.journal.clear()
    return f"team/app{next(NUMBERS)}"


@pytest.mark.parametrize("first", ["HEAD", "GET"])
def test_endpoints_disagree(
    mirror: MirrorProcess,
    accelerator: FakeUpstream,
    registry: FakeUpstream,
    repository: str,
    first: str,
) -> None:
    """The trusted one decides, or nobody, or the first one; HEAD and GET say the same."""
    old, new = add(accelerator, repository, "old"), add(registry, repository, "new")
    methods = [first, *({"HEAD", "GET"} - {first}), "GET"]

    answers = {
        place: [ask(mirror, place, repository, method) for method in methods] for place in SETTINGS
    }

    assert {digest_of(each) for each in answers["trusted.test"]} == {new.digest}
    assert {each.headers["Warning"] for each in answers["trusted.test"]} == {None}
    assert {digest_of(each) for each in answers["agree.test"]} == {new.digest}
    for each in answers["agree.test"]:
        assert "disagree" in each.headers["Warning"]
        assert old.digest in each.headers["Warning"]
    assert {each.status for each in answers["alone.test"]} == {502}
    assert {digest_of(each) for each in answers["first.test"]} == {old.digest}
    assert {each.headers["Warning"] for each in answers["first.test"]} == {None}
    message = answers["alone.test"][-1].message
    for text in (old.digest, new.digest, "pull by digest", "trusted = [...]"):
        assert text in message
    assert registry.host not in message


def test_a_dispute_is_logged_and_counted(
    mirror: MirrorProcess, accelerator: FakeUpstream, registry: FakeUpstream, repository: str
) -> None:
    """The log names endpoints and digests, and the metrics count the endpoint that differs."""
    old, new = add(accelerator, repository, "old"), add(registry, repository, "new")
    ask(mirror, "agree.test", repository)
    ask(mirror, "alone.test", repository)
    near = accelerator.url.replace("127.0.0.1", "localhost")

    logged = mirror.events("endpoints disagree about a tag")[-1]
    assert logged["image"] == f"agree.test/{repository}:1"
    assert logged["said"] == {registry.url: new.digest, near: old.digest}
    mirror.await_failure(f"{near}: says {old.digest}; {registry.url}: says {new.digest}")
    metrics = fetch(f"{mirror.console}/metrics").body.decode()
    assert f'entrepot_tag_warnings_total{{endpoint="{near}",reason="disagrees"}}' in metrics


def test_endpoints_agree(
    mirror: MirrorProcess, accelerator: FakeUpstream, registry: FakeUpstream, repository: str
) -> None:
    """With the same image at both, every setting serves it without a warning."""
    image = add(accelerator, repository, "same")
    add(registry, repository, "same")

    answers = [ask(mirror, place, repository) for place in SETTINGS]

    assert {each.body for each in answers} == {image.manifest}
    assert {each.headers["Warning"] for each in answers} == {None}


def test_the_accelerator_is_not_asked_about_names(
    mirror: MirrorProcess, accelerator: FakeUpstream, registry: FakeUpstream, repository: str
) -> None:
    """Neither about tags, nor for lists, which nobody could verify; its blobs are used."""
    add(accelerator, repository, "old", "2")
    image = add(accelerator, repository, "new")
    add(registry, repository, "new")
    place = f"{mirror.url}/v2/trusted.test/{repository}"

    manifest = fetch(f"{place}/manifests/1")
    tags = fetch(f"{place}/tags/list")
    referrers = fetch(f"{place}/referrers/{image.digest}")
    blob = fetch(f"{place}/blobs/{image.layers[0]}")

    assert (manifest.body, tags.json()["tags"]) == (image.manifest, ["1"])
    assert (referrers.json()["manifests"], blob.body) == ([], f"{repository} new".encode())
    asked = {each.path.rpartition("/")[2] for each in accelerator.journal.of("manifest")}
    assert asked == {image.digest}
    assert accelerator.journal.count("tags") + accelerator.journal.count("referrers") == 0
    assert registry.journal.count("cdn") == 0, registry.journal


def test_lists_come_from_the_first_that_answers(
    mirror: MirrorProcess, accelerator: FakeUpstream, registry: FakeUpstream, repository: str
) -> None:
    """Two right lists may differ, so that lists are not compared."""
    add(accelerator, repository, "old", "2")
    add(registry, repository, "new")

    found = {
        place: fetch(f"{mirror.url}/v2/{place}/{repository}/tags/list").json()["tags"]
        for place in SETTINGS
    }

    assert found.pop("trusted.test") == ["1"]
    assert set(map(tuple, found.values())) == {("2",)}


def test_two_that_agree_without_head(
    mirror: MirrorProcess, accelerator: FakeUpstream, registry: FakeUpstream, repository: str
) -> None:
    """Where a HEAD is refused, a GET says what the tag means there."""
    old, new = add(accelerator, repository, "old"), add(registry, repository, "new")
    refusal = Fault("manifest", Status(405), method="HEAD", times=None)
    for each in (accelerator, registry):
        each.faults.add(refusal)
    try:
        disputed = ask(mirror, "agree.test", repository)
    finally:
        for each in (accelerator, registry):
            each.faults.clear()

    assert disputed.body == new.manifest
    assert old.digest in disputed.headers["Warning"]


def test_after_a_restart_and_without_the_registry(
    make_mirror: MirrorMaker, accelerator: FakeUpstream, registry: FakeUpstream, repository: str
) -> None:
    """Each setting does the same after a restart; a known tag outlives the trusted endpoint."""
    old, new = add(accelerator, repository, "old"), add(registry, repository, "new")
    unknown = f"{repository}/unknown"
    add(accelerator, unknown, "old")
    settings = {"tags": {"fresh_for": "0s"}}
    mirror = make_mirror(settings, upstreams=list_upstreams(accelerator, registry), workers=2)
    expected = {"trusted.test": new, "agree.test": new, "alone.test": None, "first.test": old}
    before = {place: ask(mirror, place, repository) for place in expected}
    mirror.stop()
    mirror.start()

    again = {place: ask(mirror, place, repository) for place in expected}
    registry.stop()
    try:
        down = {place: ask(mirror, place, repository) for place in expected}
        heads = {place: ask(mirror, place, repository, "HEAD") for place in expected}
        strange = {place: ask(mirror, place, unknown) for place in expected}
    finally:
        registry.start()

    for place, image in expected.items():
        for answers in (before, again, down, heads):
            digest = digest_of(answers[place])
            assert digest == (image.digest if image else None), (place, answers[place])
    assert {before[place].status for place in expected} == {200, 502}
    assert "disagree" in again["agree.test"].headers["Warning"]
    for place in ("trusted.test", "agree.test"):
        for answers in (down, heads):
            assert "stale" in answers[place].headers["Warning"]
    assert {place: each.status for place, each in strange.items()} == {
        "trusted.test": 503,
        "agree.test": 503,
        "alone.test": 503,
        "first.test": 200,
    }
    assert 'names = "agree" or "first"' in strange["trusted.test"].message
    for place in ("agree.test", "alone.test"):
        assert 'names = "trusted" or "first"' in strange[place].message


def test_a_known_tag_outlives_a_dispute(
    mirror: MirrorProcess, accelerator: FakeUpstream, registry: FakeUpstream, repository: str
) -> None:
    """If nobody decides about a tag that is known, it is served stale, with both digests."""
    known = add(registry, repository, "same")
    add(accelerator, repository, "same")
    ask(mirror, "alone.test", repository)
    new = add(registry, repository, "new")

    answer = ask(mirror, "alone.test", repository)

    assert (answer.body, answer.origin) == (known.manifest, "stale")
    assert known.digest in answer.headers["Warning"]
    assert new.digest in answer.headers["Warning"]


def test_an_older_image_of_an_accelerator_is_told(
    mirror: MirrorProcess, accelerator: FakeUpstream, repository: str
) -> None:
    """If the first that answers goes back to an earlier image, clients, log and metrics say so."""
    old = add(accelerator, repository, "old")
    assert ask(mirror, "first.test", repository).body == old.manifest
    new = add(accelerator, repository, "new")
    assert ask(mirror, "first.test", repository).body == new.manifest
    add(accelerator, repository, "old")

    answers = [ask(mirror, "first.test", repository, method) for method in ("HEAD", "GET")]

    for answer in answers:
        assert digest_of(answer) == old.digest
        assert (
            f"leads again to {old.digest}, after it led to {new.digest}"
            in answer.headers["Warning"]
        )
    (logged,) = mirror.events("tag leads to an earlier manifest again")
    near = accelerator.url.replace("127.0.0.1", "localhost")
    assert (logged["endpoint"], logged["digest"], logged["former"]) == (
        near,
        old.digest,
        new.digest,
    )
    metrics = fetch(f"{mirror.console}/metrics").body.decode()
    assert f'entrepot_tag_warnings_total{{endpoint="{near}",reason="earlier"}} 1.0' in metrics


def test_a_warning_lasts_while_the_tag_is_fresh(
    make_mirror: MirrorMaker, accelerator: FakeUpstream, registry: FakeUpstream, repository: str
) -> None:
    """All workers repeat it, also after a restart, until the upstream is asked again."""
    old = add(accelerator, repository, "old")
    add(registry, repository, "new")
    mirror = make_mirror(upstreams=list_upstreams(accelerator, registry), workers=2)

    answers = [ask(mirror, "agree.test", repository, method) for method in ("HEAD", "GET") * 3]
    mirror.stop()
    mirror.start()
    answers += [ask(mirror, "agree.test", repository) for _ in range(4)]

    assert {each.origin for each in answers[1:]} == {"hit"}
    assert all(old.digest in each.headers["Warning"] for each in answers)


def test_warm_and_refresh_ask_the_same(
    mirror: MirrorProcess, accelerator: FakeUpstream, registry: FakeUpstream, repository: str
) -> None:
    """The commands store what the trusted endpoint names, and say why they cannot decide."""
    add(accelerator, repository, "old")
    new = add(registry, repository, "new")

    warmed = mirror.run("images", "warm", f"trusted.test/{repository}:1")
    refused = mirror.run("images", "warm", f"alone.test/{repository}:1")
    refreshed = mirror.run("images", "refresh", f"trusted.test/{repository}:1")

    assert (warmed.returncode, refused.returncode, refreshed.returncode) == (0, 1, 0)
    assert "disagree" in refused.stderr
    assert "trusted = [...]" in refused.stderr
    shown = mirror.run("images", "show", f"trusted.test/{repository}:1", "--json")
    assert new.digest in shown.stdout
