"""Requests of clients that are refused everything push no record of a pull out."""

import json
from pathlib import Path

from tests.fakes.upstream import FakeUpstream
from tests.harness.mirror import MirrorProcess
from tests.integration.recorded import await_records
from tests.integration.wire import fetch, fetch_all, wait_until


def test_the_records_of_pulls_are_in_files_of_their_own(
    shared_hub: FakeUpstream, tmp_path: Path
) -> None:
    """What a stranger asks for is recorded beside them, and shown by the same command."""
    shared_hub.add_image("team/app", "1", [b"x"])
    access = {"mode": "users", "rules": [{"who": ["ci"], "allow": ["*"]}]}
    upstreams = {"docker.io": shared_hub.url}
    with MirrorProcess(tmp_path, upstreams, {"access": access}, workers=1) as mirror:
        made = json.loads(mirror.run("tokens", "add", "ci", "--json").stdout)
        path = "/v2/docker.io/team/app/manifests/1"
        wait_until(
            lambda: fetch(f"{mirror.url}/t/{made['token']}{path}").status == 200, "it counts"
        )
        names = [f"{mirror.url}/v2/docker.io/team/x{number}/manifests/1" for number in range(5)]
        assert {each.status for each in fetch_all(names)} == {404}
        await_records(mirror, 5, user="", status=404, refused=True)
        await_records(mirror, 1, user="ci", status=200)
        pulls = json.loads(mirror.run("pulls", "ls", "--json").stdout)

    folder = mirror.data / "access-records"
    served = [json.loads(line) for line in (folder / "access.jsonl").read_text().splitlines()]
    assert {each["user"] for each in served} == {"ci"}
    assert (folder / "failures.jsonl").stat().st_size > 0
    assert {"ci", ""} == {each["user"] for each in pulls["pulls"]}
