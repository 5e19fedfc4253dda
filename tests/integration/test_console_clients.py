"""The page of clients: with which tool each of them asks, by which URL, and what it got."""

from typing import Any

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.console_browser import ConsoleBrowser
from tests.harness.deadline import await_truth
from tests.harness.mirror import MirrorProcess
from tests.integration.images import keep, make_layer
from tests.integration.wire import fetch, wait_until


def list_visits(console: ConsoleBrowser) -> dict[str, tuple[Any, ...]]:
    """Return what the client of this machine has got, by its tools."""
    clients = console.read("/clients")["clients"]
    return {
        each["tool"]: (each["shape"], each["image"], each["status"], each["origin"])
        for client in clients
        for each in client["visits"]
    }


def test_each_tool_of_a_client_is_listed(mirror: MirrorProcess, hub: FakeUpstream) -> None:
    """With its last image, also if the answer was one that is repeated from memory."""
    keep(mirror, hub.add_image("team/app", "1", [make_layer(1)]))
    console = ConsoleBrowser(mirror)
    plain, named = f"{mirror.url}/v2/team/app/manifests/1", "?ns=docker.io"
    for _ in range(3):
        assert fetch(plain, {"User-Agent": "docker/26.1.5 go/go1.24"}).status == 200
        assert fetch(plain + named, {"User-Agent": "containerd/v2.0.0"}).status == 200
    prefixed = f"{mirror.url}/docker.io/v2/team/app/manifests/1"
    assert fetch(prefixed, {"User-Agent": "<script>alert(1)</script>"}).status == 200

    expected = {
        "docker": ("default", "docker.io/team/app:1", 200, "hit"),
        "containerd": ("ns", "docker.io/team/app:1", 200, "hit"),
        "other": ("prefix", "docker.io/team/app:1", 200, "hit"),
    }
    wait_until(lambda: expected == list_visits(console), "the tools of this machine")
    assert "script>alert" not in console.ask("/clients").text


def test_who_asks_in_vain_is_listed(mirror: MirrorProcess) -> None:
    """A machine that reaches the mirror and gets errors is seen, with what it asked for."""
    console = ConsoleBrowser(mirror)
    url = f"{mirror.url}/v2/team/absent/manifests/1"
    assert fetch(url, {"User-Agent": "skopeo/1.18.0"}).status == 404

    wait_until(lambda: console.read("/clients")["in_vain"], "the client")
    (visit,) = console.read("/clients")["in_vain"]
    assert (visit["client"], visit["tool"]) == ("127.0.0.1", "skopeo")
    assert (visit["image"], visit["status"]) == ("docker.io/team/absent:1", 404)
    assert console.read("/clients")["clients"] == []
    assert "Have asked in vain" in console.ask("/clients").text


def test_without_addresses_no_client_is_recorded(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """`access.addresses` decides also here what is kept."""
    mirror = make_mirror({"access": {"addresses": "none"}}, workers=1)
    keep(mirror, hub.add_image("team/app", "1", [make_layer(1)]))
    mirror.stop()
    mirror.start()

    clients = ConsoleBrowser(mirror).read("/clients")
    assert (clients["clients"], clients["in_vain"]) == ([], [])


def test_a_probe_of_the_doctor_is_no_pull_in_vain(mirror: MirrorProcess) -> None:
    """Otherwise a client that uses the mirror would seem to have failed."""
    agent = {"User-Agent": "docker/29.0.0"}
    for tag in (f"entrepot-probe-{'0' * 32}", "missing"):
        assert fetch(f"{mirror.url}/v2/acme/app/manifests/{tag}", agent).status == 404
    browser = ConsoleBrowser(mirror)
    await_truth(lambda: "acme/app" in browser.ask("/clients").text)
    assert "entrepot-probe" not in browser.ask("/clients").text
