"""What clients make that have proved nothing pushes no record of a user out."""

import json
from pathlib import Path
from typing import Any

from tests.fakes.upstream import FakeUpstream
from tests.harness.mirror import MirrorProcess
from tests.integration.recorded import await_records
from tests.integration.wire import fetch, fetch_all, wait_until


def test_the_records_of_pulls_are_in_files_of_their_own(
    shared_hub: FakeUpstream, tmp_path: Path
) -> None:
    """What a stranger asks for is recorded beside them, and shown by the same command."""
    for name in ("team/app", "team/free"):
        shared_hub.add_image(name, "1", [b"x"])
    anybody = {"who": ["anonymous"], "allow": ["docker.io/team/free"]}
    access = {"mode": "users", "rules": [anybody, {"who": ["ci"], "allow": ["*"]}]}
    upstreams = {"docker.io": shared_hub.url}
    with MirrorProcess(tmp_path, upstreams, {"access": access}, workers=1) as mirror:
        made = json.loads(mirror.run("tokens", "add", "ci", "--json").stdout)
        path = "/v2/docker.io/team/app/manifests/1"
        wait_until(
            lambda: fetch(f"{mirror.url}/t/{made['token']}{path}").status == 200, "it counts"
        )
        names = [f"{mirror.url}/v2/docker.io/team/x{number}/manifests/1" for number in range(5)]
        assert {each.status for each in fetch_all(names)} == {404}
        assert fetch(f"{mirror.url}/v2/docker.io/team/free/manifests/1").status == 200
        await_records(mirror, 5, user="", status=404, refused=True)
        await_records(mirror, 1, user="ci", status=200)
        await_records(mirror, 1, user="", status=200)
        pulls = json.loads(mirror.run("pulls", "ls", "--json").stdout)

    folder = mirror.data / "access-records"
    assert {each["user"] for each in read_records(folder, "access")} == {"ci"}
    assert {each["status"] for each in read_records(folder, "failures")} == {404}
    assert [each["rule"] for each in read_records(folder, "anonymous")] == ["access.rules[1]"]
    assert {("ci", "served"), ("", "refused"), ("", "served")} == {
        (each["user"], each["outcome"]) for each in pulls["pulls"]
    }


def read_records(folder: Path, group: str) -> list[dict[str, Any]]:
    """Return the records in the current file of a group."""
    lines = (folder / f"{group}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]
