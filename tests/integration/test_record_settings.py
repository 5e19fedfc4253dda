"""What the settings of access records do, and a disk that refuses them."""

import socket
import sqlite3
import urllib.request
from contextlib import closing

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.mirror import MirrorProcess
from tests.integration.recorded import await_records, read_records
from tests.integration.wire import fetch, fetch_all, wait_until


def test_the_last_answers_before_a_stop_are_recorded(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """In mode `open` there is no user; nothing waits for a second that does not come."""
    hub.add_image("library/app", "1", [b"layer"])
    mirror = make_mirror({"access": {"records": True}})
    fetch(f"{mirror.url}/v2/library/app/manifests/1")
    mirror.stop()

    (record,) = read_records(mirror)

    assert (record["user"], record["proof"], record["rule"]) == ("", "", "")
    assert (record["repository"], record["count"]) == ("docker.io/library/app", 1)


def test_what_may_not_be_mirrored_is_recorded(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """It is refused for everybody, by a table of `upstreams`."""
    hub.add_image("library/bad", "1", [b"layer"])
    upstream = {"endpoints": [hub.url], "deny": ["library/bad"]}
    mirror = make_mirror({"access": {"records": True}}, upstreams={"docker.io": upstream})
    for _ in range(3):
        assert fetch(f"{mirror.url}/v2/library/bad/manifests/1").status == 403
    mirror.stop()

    records = read_records(mirror)

    assert {(each["refused"], each["rule"]) for each in records} == {
        (True, 'upstreams."docker.io".deny has "library/bad"')
    }
    assert sum(each["count"] for each in records) == 3


def test_by_default_nobody_is_recorded_in_an_open_mirror(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """There is no folder, and the command says why there is nothing."""
    hub.add_image("library/app", "1", [b"layer"])
    mirror = make_mirror()
    fetch(f"{mirror.url}/v2/library/app/manifests/1")
    mirror.stop()

    done = mirror.run("pulls", "ls")

    assert not (mirror.data / "access-records").exists()
    assert done.stdout == "no such pulls are recorded; to look further back: --since forever\n"
    assert "nothing is recorded now: write records = true in [access]" in done.stderr


@pytest.mark.parametrize(("addresses", "kept"), [("networks", "127.0.0.0/24"), ("none", "")])
def test_no_more_of_an_address_is_kept_than_is_wanted(
    make_mirror: MirrorMaker, hub: FakeUpstream, addresses: str, kept: str
) -> None:
    """Neither in the records, nor in the history of pulls, nor in the log."""
    image = hub.add_image("library/app", "1", [b"layer" * 1000])
    settings = {"access": {"records": True, "addresses": addresses}}
    mirror = make_mirror(settings | {"limits": {"request_timeout": "1s"}})
    with socket.create_connection(("127.0.0.1", int(mirror.host.rpartition(":")[2]))):
        wait_until(lambda: mirror.events("connection cut"), "the silent connection is cut")
    for _ in range(3):
        fetch(f"{mirror.url}/v2/library/app/manifests/1")
        fetch(f"{mirror.url}/v2/library/app/manifests/missing")
        fetch(f"{mirror.url}/v2/library/app/blobs/{image.layers[0]}")
    mirror.stop()

    with closing(sqlite3.connect(mirror.data / "catalog.db")) as catalog:
        history = {row[0] for row in catalog.execute("SELECT client FROM pulls")}
    assert history == {kept}
    assert {each["client"] for each in read_records(mirror)} == {kept}
    lines = [*mirror.events("request"), *mirror.events("connection cut")]
    assert {each["client"] or "" for each in lines} == {kept}
    folder = mirror.data / "access-records"
    assert all("127.0.0.1" not in each.read_text() for each in folder.iterdir())


def test_a_disk_that_refuses_fails_no_pull(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """The records are lost and counted, and the log says so once for each worker."""
    hub.add_image("library/app", "1", [b"layer"])
    mirror = make_mirror({"access": {"records": True}}, workers=1)
    (mirror.data / "access-records").write_text("no folder")
    url = f"{mirror.url}/v2/library/app/manifests/1"

    assert {each.status for each in fetch_all([url] * 20)} == {200}
    wait_until(lambda: find_lost(mirror) == 20, "all are counted")
    assert fetch(url).status == 200
    wait_until(lambda: find_lost(mirror) == 21, "this one is counted")

    assert [each["why"] for each in mirror.events("access records not written")] == ["File exists"]
    (mirror.data / "access-records").unlink()
    fetch(url)
    await_records(mirror, 1)
    wait_until(lambda: mirror.events("access records are written again"), "the end is logged")
    assert mirror.events("access records are written again")[0]["lost"] == 21


def find_lost(mirror: MirrorProcess) -> int:
    with urllib.request.urlopen(f"{mirror.console}/metrics") as answer:
        text: str = answer.read().decode()
    (value,) = [
        line.split()[1]
        for line in text.splitlines()
        if line.startswith("entrepot_lost_records_total ")
    ]
    return int(float(value))
