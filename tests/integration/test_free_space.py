"""What fills the disk, and how so much of it is freed as is wanted."""

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.integration.images import run_json
from tests.integration.wire import fetch

SMALL, LARGE = "docker.io/acme/small:1", "docker.io/acme/large:1"


def test_so_much_is_freed_as_is_said(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """`--free` is how much less is used then; `--to` beside it and bare numbers are refused."""
    mirror = make_mirror()
    for name, size in (("small", 50_000), ("large", 200_000)):
        image = hub.add_image(f"acme/{name}", "1", [hub.add_big_blob(size, seed=size)])
        fetch(f"{mirror.url}/v2/acme/{name}/manifests/1")
        fetch(f"{mirror.url}/v2/acme/{name}/blobs/{image.layers[0]}")
    by_size = run_json(mirror, "images", "ls", "--sort", "size")
    assert [each["name"] for each in by_size] == [LARGE, SMALL]
    by_pull = run_json(mirror, "images", "ls", "--sort", "pulled")
    assert [each["name"] for each in by_pull] == [SMALL, LARGE]

    for wrong in (["--free", "10"], ["--free", "1MiB", "--to", "1MiB"]):
        assert mirror.run("cache", "evict", *wrong).returncode == 2, wrong
    used = run_json(mirror, "cache", "stats")["used"]
    freed = run_json(mirror, "cache", "evict", "--free", "40000B")
    assert (used - 40_000, True) == (freed["target"], freed["freed"] >= 40_000)
    assert run_json(mirror, "cache", "stats")["used"] == used - freed["freed"]
