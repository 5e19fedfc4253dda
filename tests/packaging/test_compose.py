"""`docker compose up` with the files as they are: healthy, locked down, its volume kept."""

from __future__ import annotations

import json
import os
import re
import shlex
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients import bundled_images, images
from tests.harness.go_programs import GoMissing
from tests.packaging import base_image, compose_program, context, engine
from tests.packaging.sbom import LIST_INSTALLED, list_named, read_installed

pytestmark = pytest.mark.timeout(1200)

BASE = "entrepot-test-base:local"
FOLDERS = ("/", "/opt/entrepot", "/data", "/tmp")
WRITE = """
import pathlib
probe = pathlib.Path("{folder}", "probe")
try:
    probe.write_text("x")
except OSError:
    print("no")
else:
    probe.unlink()
    print("yes")
"""


class Stack:
    """The compose project, brought up on an engine of our own."""

    def __init__(self, host: engine.Engine, command: list[str], folder: Path) -> None:
        self.host = host
        self.command = command
        self.folder = folder

    def compose(self, *arguments: str, **variables: str) -> str:
        """Run compose on the project and return what it printed."""
        base = {"BASE": BASE, "PIP_FLAGS": context.PIP_FLAGS} | variables
        words = [*self.command, "--project-directory", str(self.folder), *arguments]
        return engine.finished(words, 300, self.host.environment() | base)

    def type(self, lines: str) -> str:
        """Run lines of a page in the project's folder, and return what they printed."""
        compose = f"{shlex.join(self.command)} --project-directory {shlex.quote(str(self.folder))}"
        # A test has no terminal.
        script = lines.replace("docker compose exec ", "docker compose exec -T ")
        script = script.replace("docker compose", compose)
        words = ["sh", "-euc", script]
        return engine.finished(words, 300, self.host.environment(), self.folder)

    def events(self, name: str) -> list[dict]:
        """Return the lines of the log about one event."""
        lines = self.compose("logs", "--no-log-prefix", "mirror").splitlines()
        found = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in found if line["event"] == name]

    def up(self) -> None:
        """Bring the project up and wait until its own health check is content."""
        try:
            self.compose("up", "--detach", "--no-build", "--wait", "--wait-timeout", "60")
        except AssertionError as refused:
            state = self.inspect()["State"]
            raise AssertionError(f"{refused}\n{state}\n{self.compose('logs')}") from refused

    def inspect(self) -> dict:
        """What the engine knows about the container."""
        name = self.compose("ps", "--all", "--quiet", "mirror").strip()
        return json.loads(self.host.docker("inspect", name))[0]

    def inside(self, program: str) -> str:
        """Run a Python program in the container and return what it printed."""
        return self.compose("exec", "-T", "mirror", "python3", "-c", program).strip()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The image built from the checkout and the project up."""
    command = compose_command()
    folder = tmp_path_factory.mktemp("project")
    context.prepare(folder)
    base_image.write(folder / "base.tar")
    with engine.running() as host:
        host.docker("import", folder / "base.tar", BASE)
        started = Stack(host, command, folder)
        started.compose("build")
        try:
            started.up()
            yield started
        finally:
            started.compose("down", "--volumes", "--timeout", "10")


def compose_command() -> list[str]:
    """Compose, or a skip that names what is missing; in CI a failure."""
    not_found = engine.missing()
    try:
        command = compose_program.command() if not not_found else []
    except GoMissing as absent:
        not_found = [str(absent)]
    if not not_found:
        return command
    reason = f"needed for a Docker engine of our own: {', '.join(not_found)}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def test_the_mirror_answers_its_neighbours(stack: Stack) -> None:
    """Port 5000 is published on every address."""
    with urllib.request.urlopen(f"http://{stack.host.address}:5000/v2/", timeout=10) as answer:
        assert answer.status == 200


def test_the_console_answers_its_own_machine_only(stack: Stack) -> None:
    """Port 5001 is published on 127.0.0.1 alone."""
    ask = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=10).status)"
    url = "http://127.0.0.1:5001/readyz"
    assert stack.host.on_its_host("python3", "-c", ask, url).strip() == "200"
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://{stack.host.address}:5001/readyz", timeout=5)


def test_it_runs_with_as_little_as_possible(stack: Stack) -> None:
    """No root, no capability, no new privilege, and nothing to write to but the volume and /tmp."""
    settings = stack.inspect()["HostConfig"]
    assert settings["ReadonlyRootfs"] is True
    assert settings["CapDrop"] == ["ALL"]
    assert settings["SecurityOpt"] == ["no-new-privileges:true"]
    status = stack.inside("print(open('/proc/1/status').read())")
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert facts["Uid"].split() == ["10001"] * 4
    assert int(facts["CapBnd"], 16) == 0
    assert facts["NoNewPrivs"] == "1"
    written = [folder for folder in FOLDERS if stack.inside(WRITE.format(folder=folder)) == "yes"]
    assert written == ["/data", "/tmp"]


def test_only_its_user_reads_the_volume(stack: Stack) -> None:
    """A new volume has the mode of the folder in the image, so that a start has no note on it."""
    assert stack.inside("import os; print(oct(os.stat('/data').st_mode & 0o777))") == "0o700"
    assert "other users can read" not in stack.compose("logs", "mirror")


def test_the_image_names_what_is_installed(stack: Stack) -> None:
    """Its SBOM has each Python package that is in it, in its version, and no other."""
    document = stack.inside("print(open('/opt/entrepot/entrepot.cdx.json').read())")

    assert read_installed(stack.inside(LIST_INSTALLED)) == list_named(document)


def test_the_volume_outlives_the_container(stack: Stack) -> None:
    """A restart and a new container find what the old one left."""
    stack.inside("open('/data/kept', 'w').write('still here')")
    before = stack.inspect()["Id"]
    stack.compose("restart", "--timeout", "20")
    wait_until_healthy(stack)
    assert stack.inside("print(open('/data/kept').read())") == "still here"
    stack.compose("down", "--timeout", "20")
    stack.up()
    assert stack.inspect()["Id"] != before
    assert stack.inside("print(open('/data/kept').read())") == "still here"


def read_blocks(heading: str) -> list[str]:
    """Return the blocks of commands below a heading of docs/installation.md."""
    page = (context.ROOT / "docs" / "installation.md").read_text(encoding="utf-8")
    section = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE)


COMMANDS, BACK_UP, RESTORE = read_blocks("With Docker Compose")


def test_commands_are_run_in_the_container(stack: Stack) -> None:
    """They have the settings and the data folder of the server, as the page says."""
    image_list, check, reload, *_ = COMMANDS.splitlines()
    stack.type(image_list)
    said = stack.type(check)
    assert "ok: defaults (no file), 8 upstreams" in said
    assert "data folder: /data (a server is using it)" in said
    stack.type(reload)
    wait_until(lambda: stack.events("reloaded"), "the settings are loaded again")
    assert stack.events("reloaded")[-1]["changed"] == []


@pytest.fixture
def settings(stack: Stack) -> Iterator[Path]:
    """The folder of the settings; what a test writes there is deleted."""
    folder = stack.folder / "config" / "local"
    before = {path.name for path in folder.iterdir()}
    yield folder
    for path in folder.iterdir():
        if path.name not in before:
            path.unlink()


def test_settings_are_in_a_folder(stack: Stack, settings: Path) -> None:
    """A reload reads a file that was replaced there, and what it names without a folder.

    Without a variable of the shell, its storage.limit applies.
    """
    (settings / "token").write_text("secret")
    login = '[upstreams."ghcr.io"]\nusername = "ann"\npassword_file = "token"\n'
    (settings / "entrepot.toml").write_text(f'storage.limit = "7GiB"\n{login}')
    count = len(stack.events("reloaded"))
    stack.type(COMMANDS.splitlines()[2])
    wait_until(lambda: len(stack.events("reloaded")) > count, "the settings are loaded again")
    line = stack.events("reloaded")[-1]
    assert line["settings"] == "/etc/entrepot/entrepot.toml"
    assert line["changed"] == [
        'storage.limit = "7GiB" (was "50GiB")',
        'upstreams."ghcr.io".password: changed',
        'upstreams."ghcr.io".password_file = "/etc/entrepot/token" (was "")',
        'upstreams."ghcr.io".username = "ann" (was "")',
    ]


def test_a_limit_of_the_shell_is_passed_on(stack: Stack) -> None:
    """It counts more than the settings file."""
    given = {"ENTREPOT_STORAGE__LIMIT": "9GiB"}
    passed = json.loads(stack.compose("config", "--format", "json", **given))
    assert passed["services"]["mirror"]["environment"]["ENTREPOT_STORAGE__LIMIT"] == "9GiB"


def test_the_log_does_not_fill_the_disk(stack: Stack) -> None:
    """The engine keeps a few files of a limited size."""
    kept = stack.inspect()["HostConfig"]["LogConfig"]
    assert kept == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "5"}}


def test_a_backup_is_restored(stack: Stack, tmp_path: Path) -> None:
    """What the page says brings every image back after the volume was deleted."""
    kept = [images.build_index("docker.io", f"library/{name}", name) for name in ("one", "two")]
    packed = bundled_images.pack(tmp_path, tuple(kept))
    bring = (
        f"docker compose run --rm --volume {packed.disk}:/bundle:ro mirror bundle import /bundle"
    )
    stack.type(bring)
    before = stack.type("docker compose exec mirror entrepot images ls --json")
    stack.type(BACK_UP)
    stack.type(RESTORE)
    wait_until_healthy(stack)
    assert json.loads(before)
    assert stack.type("docker compose exec mirror entrepot images ls --json") == before


def test_it_stops_when_asked(stack: Stack) -> None:
    """SIGTERM ends it well within the grace period, with exit code 0."""
    begun = time.monotonic()
    stack.compose("stop")
    name = stack.compose("ps", "--all", "--quiet", "mirror").strip()
    state = json.loads(stack.host.docker("inspect", name))[0]["State"]
    assert (state["ExitCode"], state["OOMKilled"]) == (0, False)
    assert time.monotonic() - begun < 20
    stack.up()


def wait_until(holds: Callable[[], object], what: str) -> None:
    """Wait for a condition, for a minute at most."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.5)


def wait_until_healthy(stack: Stack) -> None:
    """Wait for the container's own health check, for a minute at most."""
    deadline = time.monotonic() + 60
    while (health := stack.inspect()["State"]["Health"])["Status"] != "healthy":
        assert time.monotonic() < deadline, health
        time.sleep(0.5)
