"""The checklist in docs/security.md: its commands work, and show what it says they show."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.fakes.certificates import make_authority
from tests.fakes.upstream import FakeUpstream
from tests.harness.deadline import await_truth
from tests.harness.mirror import MirrorProcess
from tests.integration.test_client_certificates import write_server
from tests.integration.wire import PATIENCE

ROOT = Path(__file__).parents[2]
_LINE = re.compile(r"- \[ \] [^`]+: `(?P<command>[^`]+)`(?: prints (?P<expected>.+))?")
# What another machine has to try, and what only a service of the system has.
_ELSEWHERE = ("curl -m 3 ", "ps -C ")


def read_checklist() -> dict[str, str]:
    """Return what each command of the checklist prints; nothing if that depends on the site."""
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith("- [ ] ")]
    found = [_LINE.fullmatch(line) for line in lines]
    assert lines
    assert None not in found, "a line without a command"
    return {each["command"]: each["expected"] or "" for each in found if each is not None}


def list_local() -> list[str]:
    return [each for each in read_checklist() if not each.startswith(_ELSEWHERE)]


class Site:
    """A mirror in mode `users` over TLS, and a shell with the command `entrepot`."""

    def __init__(self, folder: Path, mirror: MirrorProcess, root: Path) -> None:
        self.mirror = mirror
        self.names = {
            "ca.crt": str(root),
            "mirror.lan:5000": mirror.host,
            "http://127.0.0.1:5001": mirror.console,
        }
        program = folder / "entrepot"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m registry "$@"\n')
        program.chmod(0o755)
        path = f"{folder}:{os.environ['PATH']}"
        self._environment = {
            **mirror.environment,
            "PATH": path,
            "ENTREPOT_CONFIG": str(mirror.config),
        }

    def run(self, command: str) -> str:
        """Run a command of the page in a shell; return what it prints."""
        for name, here in self.names.items():
            command = command.replace(name, here)
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
            check=False,
            env=self._environment,
            cwd=ROOT,
        )
        return done.stdout


@pytest.fixture(scope="module")
def site(shared_hub: FakeUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    folder = tmp_path_factory.mktemp("checklist")
    authority, key = make_authority(folder), folder / "bundles.pub"
    public = Ed25519PrivateKey.generate().public_key()
    key.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (folder / "password").write_text("secret")
    (folder / "password").chmod(0o600)
    corp = {"username": "robot", "password_file": str(folder / "password")}
    settings = {
        "server": write_server(authority),
        "access": {"mode": "users", "rules": [{"who": ["alice"], "allow": ["*"]}]},
        "bundles": {"keys": [str(key)], "require_signature": True},
    }
    upstreams = {
        "docker.io": shared_hub.url,
        "registry.corp.lan": {"endpoints": [shared_hub.url], **corp},
    }
    with MirrorProcess(folder, upstreams, settings, workers=1) as mirror:
        assert not mirror.run("users", "add", "alice", "--no-password").returncode
        assert not mirror.run("tokens", "add", "ci", "--expires", "90d").returncode
        yield Site(folder, mirror, authority.root)


@pytest.mark.parametrize("command", list_local())
def test_the_commands_show_what_the_page_says(site: Site, command: str) -> None:
    """Those that the machine of the mirror runs; a command of another form prints something."""
    expected = read_checklist()[command]
    words = re.search("`([^`]+)`", expected)

    if expected == "nothing":
        assert site.run(command) == ""
    elif words is not None:
        assert await_truth(lambda: words[1] in site.run(command))
    else:
        assert site.run(command) != ""


def test_a_mirror_that_is_not_in_order_is_found(site: Site) -> None:
    """The lines that print nothing are no empty promise."""
    site.mirror.data.chmod(0o755)
    folders = [each for each in site.mirror.data.parents if each.owner() == Path.home().owner()]
    modes = {each: each.stat().st_mode for each in folders}
    try:
        for each in folders:
            each.chmod(0o755)
        said = site.run("entrepot config check")
    finally:
        for each, mode in modes.items():
            each.chmod(mode)
        site.mirror.data.chmod(0o700)

    assert "other users can read the images" in said
