"""`entrepot images pin` and `refresh`: pins by digest, and where a refresh moves which pins."""

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream, Fault, Image, Status
from tests.harness.mirror import MirrorProcess
from tests.integration.images import ask, keep, make_layer, run_json


def add_index(hub: FakeUpstream, repository: str, seed: str = "") -> dict[str, Image]:
    """An index `repository:1` for three platforms, and its images by architecture."""
    members = {
        arch: hub.add_image(repository, None, [f"{seed}{arch}".encode()], platform=("linux", arch))
        for arch in ("amd64", "arm64", "s390x")
    }
    return members | {"index": hub.add_index(repository, "1", list(members.values()))}


def read_roots(mirror: MirrorProcess, repository: str) -> dict[str, str]:
    """What the pin of `repository:1` keeps: digests, and for which platforms."""
    query = f"SELECT digest, platform FROM pins WHERE repository = '{repository}'"
    return dict(ask(mirror.data, query))


def test_a_pin_by_digest_is_a_pin(shared_mirror: MirrorProcess, shared_hub: FakeUpstream) -> None:
    """Typed by hand, a digest is pinned, shown, kept from removal by any name, and unpinned."""
    image = shared_hub.add_image("exact/app", "1", [make_layer(1)])
    keep(shared_mirror, image)
    name = f"docker.io/exact/app@{image.digest}"

    pinned = run_json(shared_mirror, "images", "pin", f"exact/app@{image.digest}")
    (listed,) = run_json(shared_mirror, "images", "ls", "exact/app")
    refused = [
        run_json(shared_mirror, "images", "rm", f"exact/app{each}", code=1)
        for each in (":1", f"@{image.digest}")
    ]
    by_tag = shared_mirror.run("images", "unpin", "exact/app:1")
    unpinned = run_json(shared_mirror, "images", "unpin", f"exact/app@{image.digest}")
    again = shared_mirror.run("images", "unpin", f"exact/app@{image.digest}")
    removed = run_json(shared_mirror, "images", "rm", f"exact/app@{image.digest}")

    assert pinned == {"pinned": [name], "incomplete": [], "dry_run": False}
    assert (listed["name"], listed["pins"]) == ("docker.io/exact/app:1", [name])
    assert [(each["removed"], len(each["refused"])) for each in refused] == [([], 1)] * 2
    assert all(name in each["refused"][0] for each in refused)
    assert (by_tag.returncode, "exact/app:1 is not pinned" in by_tag.stderr) == (1, True)
    assert unpinned == {"unpinned": [name], "dry_run": False}
    assert (again.returncode, "is not pinned" in again.stderr) == (1, True)
    assert removed["removed"] == [name]


def test_a_digest_that_is_not_here_is_not_pinned(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream
) -> None:
    """A digest of another repository is unknown, and a mistyped one is no digest."""
    image = shared_hub.add_image("exact/other", "1", [make_layer(2)])
    keep(shared_mirror, image)

    unknown = shared_mirror.run("images", "pin", f"exact/nosuch@{image.digest}")
    mistyped = shared_mirror.run("images", "pin", f"exact/other@{image.digest[:-1]}")

    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert f"docker.io/exact/nosuch@{image.digest} is not stored here" in unknown.stderr
    assert (mistyped.returncode, mistyped.stdout) == (2, "")
    assert image.digest[:-1] in mistyped.stderr


def test_a_refresh_is_for_what_is_here_pinned_or_wanted(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream
) -> None:
    """Platforms are those here, those pinned and those asked for; without any, this machine's."""
    images = add_index(shared_hub, "chosen/app")
    keep(shared_mirror, images["index"])
    refresh = ("images", "refresh", "chosen/app:1", "--dry-run")

    def choose(*more: str) -> list[str]:
        (planned,) = run_json(shared_mirror, *refresh, *more)["images"]
        return list(planned["platforms"])

    (own,) = choose()
    shared_mirror.run("images", "pin", "chosen/app:1", "--platform", "arm64")
    pinned = choose()
    keep(shared_mirror, images["amd64"])
    here = choose()
    wanted = choose("--platform", "s390x")

    assert own.startswith("linux/")
    assert pinned == ["linux/arm64"]
    assert here == ["linux/amd64", "linux/arm64"]
    assert wanted == ["linux/amd64", "linux/arm64", "linux/s390x"]


def test_a_refresh_moves_pins_for_their_platforms(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """A pin moves when all is fetched, for the platforms it was for; until then it stays whole."""
    mirror = make_mirror({"tags": {"fresh_for": "0s"}}, workers=1)
    old = add_index(hub, "team/app")
    keep(mirror, old["index"], old["amd64"], old["arm64"])
    mirror.run("images", "pin", "team/app:1", "--platform", "arm64")
    before = {old["index"].digest: "", old["arm64"].digest: "linux/arm64"}
    assert read_roots(mirror, "docker.io/team/app") == before
    new = add_index(hub, "team/app", "new ")
    hub.faults.add(Fault("blob", Status(404), contains=new["arm64"].layers[0], times=None))

    failed = mirror.run("images", "refresh", "team/app:1")
    after_failure = read_roots(mirror, "docker.io/team/app")
    hub.faults.clear()
    moved = run_json(mirror, "images", "refresh", "team/app:1")

    assert (failed.returncode, after_failure) == (1, before)
    assert moved["images"][0]["platforms"] == ["linux/amd64", "linux/arm64"]
    after = {new["index"].digest: "", new["arm64"].digest: "linux/arm64"}
    assert read_roots(mirror, "docker.io/team/app") == after
