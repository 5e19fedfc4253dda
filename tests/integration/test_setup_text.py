"""`GET /setup/<client>`: what `entrepot setup` prints, from the mirror itself."""

from pathlib import Path

from registry.clients.known import CLIENTS
from tests.conftest import MirrorMaker
from tests.harness.console_browser import ConsoleBrowser
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import fetch

IN_NODES = ("kind", "minikube")  # an address of the loopback leads their nodes to themselves


def test_the_mirror_gives_what_the_command_prints(mirror: MirrorProcess, tmp_path: Path) -> None:
    """Console and mirror give the same bytes as the command on a machine without such files."""
    console = ConsoleBrowser(mirror)
    for client in CLIENTS.keys() - set(IN_NODES):
        printed = mirror.run("setup", client, "--root", str(tmp_path))
        answer = fetch(f"{mirror.url}/setup/{client}")

        assert printed.returncode == 0, printed.stderr
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.body.decode() == printed.stdout, client
        assert console.ask(f"/setup/{client}").text == printed.stdout, client


def test_the_address_is_the_one_that_was_used(make_mirror: MirrorMaker) -> None:
    """The name in the request is in the text, at the mirror and at a console of all addresses."""
    mirror = make_mirror({"server": {"console_hosts": ["mirror.lan"]}}, workers=1)
    port = mirror.url.rpartition(":")[2]
    named = fetch(f"{mirror.url}/setup/containerd", {"Host": f"mirror.lan:{port}"}).body.decode()
    hostile = fetch(f"{mirror.url}/setup/containerd", {"Host": "a b;reboot"}).body.decode()

    assert f'[host."http://mirror.lan:{port}"]' in named
    assert "reboot" not in hostile
    assert f'[host."{mirror.url}"]' in hostile


def test_a_client_that_cannot_use_the_address_is_told_why(mirror: MirrorProcess) -> None:
    for client in IN_NODES:
        answer = fetch(f"{mirror.url}/setup/{client}")

        assert answer.status == 200
        assert "is the node itself there" in answer.body.decode()


def test_other_names_are_no_clients(mirror: MirrorProcess) -> None:
    """No script is offered either: `docker.sh` is no client."""
    console = ConsoleBrowser(mirror)
    for name in ("docker.sh", "absent", ""):
        assert fetch(f"{mirror.url}/setup/{name}").status == 404
        assert console.ask(f"/setup/{name}").status == 400


def test_the_console_gives_its_facts_as_json(mirror: MirrorProcess, tmp_path: Path) -> None:
    """They are those of `entrepot setup --json`."""
    printed = mirror.run("setup", "podman", "--root", str(tmp_path), "--json")
    answer = ConsoleBrowser(mirror).ask("/setup/podman", {"Accept": "application/json"})

    assert answer.text == printed.stdout
