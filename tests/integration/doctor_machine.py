"""A machine with clients of containers: files below a folder, and programs that ask as they would.

A program here is a script. It asks for the tag that it is told to pull, at the addresses that the
test names, as the real one does with the configuration that the test writes.
"""

import json
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness.commands import clean_environment, run_command

_SCRIPT = """\
#!{python} -IS
import http.client, json, re, ssl, sys, time
from urllib.parse import urlsplit
words = " ".join(sys.argv[1:])
told = json.load(open({told!r}))
if words.startswith(told.get("says_at", "info")) and "says" in told:
    print(told["says"])
    sys.exit(told.get("says_code", 0))
text = words
try:
    text += open("Dockerfile").read()
except OSError:
    pass
tag = re.search("entrepot-probe-[0-9a-f]{{32}}", text).group()
for url in told.get("asks", ()):
    parts = urlsplit(url.replace("TAG", tag))
    if parts.scheme == "https":
        unverified = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=5, context=unverified)
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=5)
    headers = {{"User-Agent": told["agent"], **told.get("headers", {{}})}}
    target = parts.path + ("?" + parts.query if parts.query else "")
    connection.request("HEAD", target, headers=headers)
    connection.getresponse().read()
time.sleep(told.get("sleeps", 0))
print(told.get("output", "not found"))
sys.exit(1)
"""
BUSYBOX = "/v2/library/busybox/manifests/TAG"
BY_NAMESPACE = f"{BUSYBOX}?ns=docker.io"
BY_PATH = "/v2/docker.io/library/busybox/manifests/TAG"


@dataclass(frozen=True)
class ClientMachine:
    """A machine whose files are below `root`, and whose only programs are in `programs`."""

    folder: Path

    @property
    def root(self) -> Path:
        """The folder that clients have for `/`."""
        return self.folder / "root"

    @property
    def programs(self) -> Path:
        """The only folder on the PATH."""
        return self.folder / "bin"

    def write(self, path: str, text: str) -> Path:
        """Write a file below the root."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def add_program(self, name: str, **told: Any) -> None:
        """Add a program: it `asks` these URLs, or `says` a text if it is called with `says_at`."""
        self.programs.mkdir(parents=True, exist_ok=True)
        file, facts = self.programs / name, self.programs / f"{name}.json"
        facts.write_text(json.dumps({"agent": f"{name}/1.0", **told}))
        file.write_text(_SCRIPT.format(python=sys.executable, told=str(facts)))
        file.chmod(stat.S_IRWXU)

    def add_docker(self, mirrors: Sequence[str], asks: Sequence[str] = (), **info: Any) -> None:
        """Add docker, whose daemon lists these mirrors and says `info` too."""
        known = {
            "ServerVersion": "24.0.7",
            "RegistryConfig": {"Mirrors": list(mirrors)},
            "DriverStatus": [["Backing Filesystem", "extfs"]],
            "SecurityOptions": ["name=seccomp,profile=builtin"],
            **info,
        }
        self.add_program("docker", says=json.dumps(known), asks=list(asks))

    def set_up(self, client: str, mirror: str, *options: str) -> None:
        """Let `entrepot setup` write what the client needs."""
        words = ("setup", client, "--mirror", mirror, *options, "--root", str(self.root), "--write")
        done = run_command(*words, environment=self.environment)
        assert done.returncode == 0, done.stderr

    @property
    def environment(self) -> dict[str, str]:
        """The environment of commands."""
        return clean_environment() | {"HOME": "/home/me", "PATH": str(self.programs)}

    def examine(
        self, mirror: str, *words: str, environment: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Run `entrepot doctor` here, and return its report, with its exit code as `code`."""
        self.programs.mkdir(parents=True, exist_ok=True)
        named = ("--mirror", mirror) if mirror else ()
        done = run_command(
            "doctor",
            *named,
            *words,
            "--root",
            str(self.root),
            "--json",
            environment={**self.environment, **(environment or {})},
        )
        assert done.stdout, done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        return {**report, "code": done.returncode}


def find_bad(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the findings that say that something is wrong."""
    found = [*report["server"], *report["clients"]]
    return [each for each in found if each["state"] in ("fail", "warn")]


def find(report: Mapping[str, Any], check: str) -> Mapping[str, Any]:
    """Return the first finding of a check."""
    return next(each for each in (*report["server"], *report["clients"]) if each["check"] == check)
