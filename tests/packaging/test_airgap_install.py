"""The commands of docs/airgap.md, without any network: from the archive to `docker run`.

What is run there is read from the page, so that the page cannot say anything that does not work.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.clients import bundled_images, images
from tests.clients.conftest import require
from tests.clients.site import HUB
from tests.packaging import base_image, closed_machine, context, engine
from tests.packaging.closed_machine import ClosedMachine, open_machine

pytestmark = pytest.mark.timeout(1200)

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "airgap.md").read_text(encoding="utf-8")
BASE = "entrepot-test-base:local"
# Names of real images, and in them a program that prints what it is told to.
NGINX = replace(images.build_index(HUB, "library/nginx", "nginx"), tag="1.27")
REDIS = replace(images.build_index(HUB, "library/redis", "redis"), tag="7")
ANSWERS = "python3 -c \"import urllib.request as r; r.urlopen('http://mirror.lan:5000/v2/')\""


def read_blocks(heading: str, language: str = "sh") -> list[str]:
    """Return the blocks of one language below a heading of the page, up to the next heading."""
    section = re.search(
        rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", PAGE, re.DOTALL | re.MULTILINE
    )
    assert section is not None, heading
    return re.findall(rf"^```{language}\n(.*?)^```", section[1], re.DOTALL | re.MULTILINE)


CARRY, COPY = read_blocks("Once: what to install there")
WHEELS, LOAD = read_blocks("Install Entrepôt there")
VERIFY, IMPORT, SERVE_BUNDLE, START = read_blocks("Import the bundle, or serve it")
IMPORT_WITH_IMAGE, *_ = read_blocks("With the container image")
RUN, *_ = read_blocks("Clients")
DAEMON, *_ = read_blocks("Clients", "json")
LS, SERVE = START.splitlines()
UNPACKED = "/opt/entrepot-wheels"


@dataclass(frozen=True)
class Carried:
    """What was carried over: the disk, and by hand the public key."""

    disk: Path
    key: str


@pytest.fixture(scope="module")
def carried(tmp_path_factory: pytest.TempPathFactory) -> Carried:
    """The disk, as the page says of the connected side, with a bundle of two images."""
    require(", ".join(engine.missing()))
    folder = tmp_path_factory.mktemp("connected")
    packed = bundled_images.pack(folder, (NGINX, REDIS))
    checkout = folder / "checkout"
    checkout.mkdir()
    context.prepare(checkout)
    context.pretend_installed(checkout)
    base_image.write(folder / "base.tar")
    wheels = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(context.find_wheels())}
    with engine.running() as host:
        host.docker("import", folder / "base.tar", BASE)
        variables = host.environment() | {"BASE": BASE, "PIP_FLAGS": context.PIP_FLAGS} | wheels
        for line in CARRY.splitlines():
            engine.finished(["sh", "-euxc", line], 600, variables, checkout)
    here = COPY.replace("/media/disk", str(packed.disk))
    engine.finished(["sh", "-euxc", here], 60, dict(os.environ), checkout)
    return Carried(packed.disk, packed.key.read_text())


@contextmanager
def open_site(carried: Carried) -> Iterator[ClosedMachine]:
    """Start a machine with the disk, and with the key in the folder where its user is."""
    absent = [name for name in closed_machine.NEEDED if shutil.which(name) is None]
    require(", ".join(absent))
    with open_machine(carried.disk) as opened:
        opened.shell(f"cat >maker.pub.pem <<'KEY'\n{carried.key}KEY\n")
        yield opened


@pytest.fixture
def machine(carried: Carried) -> Iterator[ClosedMachine]:
    """A machine where nothing is installed yet."""
    with open_site(carried) as opened:
        yield opened


@pytest.fixture(scope="module")
def installed(carried: Carried) -> Iterator[ClosedMachine]:
    """A machine where the wheels are installed, with what that printed in /tmp/printed."""
    with open_site(carried) as opened:
        opened.shell(f"(\n{WHEELS}) >/tmp/printed")
        yield opened


@contextmanager
def dockerd(machine: ClosedMachine) -> Iterator[None]:
    """Run the engine of the machine with the daemon.json of the page."""
    machine.shell(f"mkdir -p /etc/docker\ncat >/etc/docker/daemon.json <<'JSON'\n{DAEMON}JSON\n")
    command = "dockerd --data-root=/engine/data --exec-root=/engine/exec --pidfile=/engine/pid"
    with machine.running(command, "docker version"):
        machine.shell("docker system prune --all --force")
        yield


def test_the_machine_reaches_nobody(machine: ClosedMachine) -> None:
    """What follows proves something: there is no route to any other host, and no name of one."""
    assert machine.shell("ip route") == ""
    with pytest.raises(AssertionError, match="unreachable"):
        machine.shell(
            "python3 -c \"import socket; socket.create_connection(('192.0.2.1', 443), 5)\""
        )


def test_from_the_wheels_to_docker_run(installed: ClosedMachine) -> None:
    """Install, verify, import, serve, and run an image by its own name."""
    said = installed.shell("cat /tmp/printed")
    assert "ok: /etc/entrepot/entrepot.toml, 8 upstreams" in said
    assert "data folder: /var/lib/entrepot/data (it does not exist yet)" in said
    assert "signed by maker.pub.pem" in installed.shell(VERIFY)
    said = installed.shell(IMPORT)
    assert f"would be imported: {NGINX}" in said
    assert f"imported: {NGINX}" in said.replace("would be imported", "")
    installed.shell(LS)
    with installed.running(SERVE, ANSWERS), dockerd(installed):
        assert installed.shell(RUN) == "it runs\n"


def test_from_the_wheels_straight_from_the_bundle(installed: ClosedMachine) -> None:
    """Without an import, and with an image that the client pulls from the files of the bundle."""
    with installed.running(SERVE_BUNDLE.strip(), ANSWERS), dockerd(installed):
        assert installed.shell(RUN) == "it runs\n"


def test_from_the_image_to_docker_run(machine: ClosedMachine) -> None:
    """The same, where Entrepôt itself runs in a container."""
    with dockerd(machine):
        machine.shell(LOAD)
        said = machine.shell(IMPORT_WITH_IMAGE)
        assert f"imported: {NGINX}" in said
        machine.shell(f"until {ANSWERS}; do sleep 0.2; done", seconds=60)
        assert machine.shell(RUN) == "it runs\n"
        machine.shell("docker rm --force entrepot")


FAILURES = (
    ("echo '3.99 x86_64 glibc' >made-for", "./install /opt/x", "these wheels are for Python"),
    ("mkdir /opt/x; echo dear >/opt/x/letter", "./install /opt/x", "/opt/x is not empty"),
    ("", "./install", "name the folder to install into"),
    ("", "./install -x", "there is no option -x"),
    ("", "PYTHON=python9 ./install /opt/x", "there is no python9"),
    ("echo >>$(echo wheels/orjson-*.whl)", "./install /opt/x", "DO NOT MATCH THE HASHES"),
)


def test_an_installation_that_fails_says_why(installed: ClosedMachine) -> None:
    """One wrong byte is noticed, the reason is printed, and no half of it is left."""
    for before, command, problem in FAILURES:
        installed.shell(f"rm -rf /opt/x /tmp/x\ncp -r {UNPACKED} /tmp/x\ncd /tmp/x\n{before}")
        installed.shell("find /opt -path '/opt/x*' >/tmp/before")
        with pytest.raises(AssertionError, match=problem):
            installed.shell(f"cd /tmp/x\n{command}")
        installed.shell("find /opt -path '/opt/x*' | diff /tmp/before -")


def test_a_second_installation_replaces_the_first(installed: ClosedMachine) -> None:
    """An upgrade, and the way back, is `install` into the same folder; it repairs it, too."""
    modules = "/opt/entrepot/lib/python3*/site-packages"
    installed.shell(f"rm {modules}/registry/cli/main.py\n! entrepot --version")
    # Only Entrepôt itself: each package is installed in the same way, in a quarter of a second.
    installed.shell(f"cp -r {UNPACKED} /tmp/y\nsed -i '/^entrepot==/!d' /tmp/y/requirements.txt")
    said = installed.shell("/tmp/y/install /opt/entrepot\nentrepot --version")
    assert said == "entrepot 0.1.0\n" * 2


def test_nothing_on_the_page_is_left_out() -> None:
    """Every block of commands of the other side is run above, but those of what is optional."""
    section = PAGE.partition("## The other side\n")[2].partition(
        "### Without Entrepôt on that side"
    )[0]
    blocks = re.findall(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE)

    assert blocks == [WHEELS, LOAD, VERIFY, IMPORT, SERVE_BUNDLE, START, IMPORT_WITH_IMAGE, RUN]


def test_wheels_have_the_hashes_of_the_lock(carried: Carried, tmp_path: Path) -> None:
    """Nothing is in the archive that the lock does not name, but our own wheel."""
    (archive,) = (carried.disk / "install").glob("entrepot-wheels-*.tar")
    subprocess.run(["tar", "-xf", archive, "-C", tmp_path], check=True)
    locked = {line for name in ("run", "pip") for line in hashes(ROOT / "locks" / f"{name}.txt")}
    found = {
        path.name: subprocess.run(
            ["sha256sum", path], capture_output=True, text=True, check=True
        ).stdout.split()[0]
        for path in (tmp_path / "entrepot-wheels" / "wheels").iterdir()
    }

    others = {name for name, digest in found.items() if digest not in locked}

    assert [name.split("-")[0] for name in others] == ["entrepot"]


def hashes(lock: Path) -> list[str]:
    return re.findall(r"--hash=sha256:([0-9a-f]{64})", lock.read_text())
