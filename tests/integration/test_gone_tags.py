"""Images that are here, and that their upstream does not have any more."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.upstream import FakeUpstream, Fault, Status
from tests.harness.console_browser import ConsoleBrowser, path_of
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import fetch

NAME = "docker.io/acme/base:3"


@pytest.fixture
def served(hub: FakeUpstream, tmp_path: Path) -> MirrorProcess:
    """A mirror that has two images, and asks its upstream again at each pull."""
    hub.add_image("acme/base", "3", [b"layer"])
    hub.add_image("acme/app", "1", [b"other layer"])
    tags = {"fresh_for": "0s", "missing_for": "0s", "wait_for": "20s"}
    return MirrorProcess(tmp_path, {"docker.io": hub.url}, {"tags": tags})


def pull(mirror: MirrorProcess) -> str | None:
    fetch(f"{mirror.url}/v2/acme/app/manifests/1")
    answer = fetch(f"{mirror.url}/v2/acme/base/manifests/3")
    assert answer.status == 200
    return answer.headers.get("X-Entrepot-Origin")


def list_digest(mirror: MirrorProcess) -> str:
    digest: str = json.loads(mirror.run("images", "show", NAME, "--json").stdout)[0]["digest"]
    return digest


def list_gone(mirror: MirrorProcess) -> list[dict[str, Any]]:
    done = mirror.run("images", "ls", "--gone", "--json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_an_image_that_its_upstream_has_deleted_is_found(
    hub: FakeUpstream, served: MirrorProcess
) -> None:
    """The list has it, since its first pull in vain, until the upstream has it again."""
    with served as mirror:
        pull(mirror)
        assert list_gone(mirror) == []
        digest = list_digest(mirror)
        hub.remove_tag("acme/base", "3")
        assert pull(mirror) == "stale"
        (first,) = list_gone(mirror)
        assert first["name"] == NAME
        assert pull(mirror) == "stale"
        assert [first["gone"]] == [each["gone"] for each in list_gone(mirror)]
        assert "does not have it any more" in mirror.run("images", "show", NAME).stdout

        hub.tag("acme/base", "3", digest)
        assert pull(mirror) == "revalidated"
        assert list_gone(mirror) == []


def test_the_console_names_it(hub: FakeUpstream, served: MirrorProcess) -> None:
    """The overview counts it, the list can show only such images, and the image says so."""
    with served as mirror:
        browser = ConsoleBrowser(mirror)
        pull(mirror)
        assert browser.read("/")["gone"] == 0
        hub.remove_repository("acme/base")
        pull(mirror)
        assert browser.read("/")["gone"] == 1
        assert [each["name"] for each in browser.read("/images?gone=1")["images"]] == [NAME]
        assert len(browser.read("/images")["images"]) == 2
        assert "not found upstream" in browser.ask("/images").text
        assert "does not have this tag any more" in browser.ask(path_of(NAME)).text


def test_an_upstream_that_fails_has_deleted_nothing(
    hub: FakeUpstream, served: MirrorProcess
) -> None:
    """Whether it has the image is not known then."""
    with served as mirror:
        pull(mirror)
        hub.faults.add(*[Fault("any", Status(503)) for _ in range(100)])
        assert pull(mirror) == "stale"
        assert list_gone(mirror) == []
