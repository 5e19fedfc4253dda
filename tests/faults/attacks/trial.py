"""One attack on a real mirror beside ten honest clients, and what it did to them."""

import base64
import json
import sqlite3
import ssl
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self
from urllib.error import HTTPError

from tests.fakes.certificates import make_authority
from tests.fakes.upstream import FakeUpstream
from tests.faults.attacks.kinds import LOGIN_HOST, OF_USERS
from tests.faults.attacks.measurement import MIB, Usage, Watch, measure, wait_for_descriptors
from tests.harness.deadline import await_truth
from tests.harness.mirror import MirrorProcess

RETURN = 60.0  # seconds after which all descriptors have to be back
SLACK = 24  # descriptors that may stay: of upstreams, of the catalog, of honest clients
OVER_TLS = frozenset({"handshakes left open"})
BLOB = 8 * MIB
REPOSITORY = "library/attacked"
PASSWORD = "correct horse battery"
HIDDEN = 20_000  # repositories that nobody may see, for the attack with lists
ACCESS: Mapping[str, Any] = MappingProxyType(
    {
        "mode": "users",
        "login_hosts": [LOGIN_HOST],
        "rules": [{"who": ["@team"], "allow": ["docker.io/library/*"]}],
    }
)


@dataclass(frozen=True)
class Latency:
    """Seconds that answers took, and the pulls that failed, by their kind."""

    median: float
    worst: float
    pulls: int
    failures: dict[str, int]

    @classmethod
    def parse(cls, text: str) -> "Latency":
        """Read what the honest clients print."""
        told = json.loads(text)
        times = told["times"]
        return cls(statistics.median(times), times[-1], len(times), told["failures"])

    def __str__(self) -> str:
        failed = "".join(f", {count} {kind}" for kind, count in self.failures.items())
        return f"{self.median * 1000:.1f} / {self.worst * 1000:.0f} ms{failed}"


@dataclass(frozen=True)
class Outcome:
    """Everything that was measured; `back_after` is in seconds."""

    kind: str
    count: int
    descriptors: int
    before: Latency
    during: Latency
    idle: Usage
    loaded: Usage
    peak: Usage
    back_after: float
    attack: dict[str, Any]
    ready: str
    counted: dict[str, float]
    login: str = ""

    def list_faults(self) -> list[str]:
        """Return which of the bars it does not keep."""
        faults = []
        if self.during.failures:
            faults.append(f"honest clients failed: {self.during.failures}")
        if self.during.median > 2 * self.before.median:
            faults.append(f"median {self.during.median:.4f} s, was {self.before.median:.4f} s")
        if self.during.worst > max(1.0, self.before.worst):
            faults.append(f"worst {self.during.worst:.2f} s")
        if self.peak.pss > 1.5 * self.loaded.pss:
            faults.append(f"PSS {self.peak.pss >> 20} MiB, was {self.loaded.pss >> 20} MiB")
        if self.back_after >= RETURN:
            faults.append(f"descriptors not back after {self.back_after:.0f} s")
        return faults

    def __str__(self) -> str:
        def mib(size: int) -> str:
            return f"{size / MIB:.0f}"

        return " | ".join(
            [
                "",
                f"{self.kind}, {self.count:,}",
                f"{self.descriptors:,}",
                str(self.before),
                str(self.during),
                f"{mib(self.loaded.rss)} → {mib(self.peak.rss)}",
                f"{mib(self.loaded.pss)} → {mib(self.peak.pss)}",
                f"{self.loaded.descriptors:,} → {self.peak.descriptors:,}",
                mib(self.peak.sockets),
                f"{self.back_after:.0f} s",
                ", ".join(
                    [f"{name} {count:.0f}" for name, count in self.counted.items()]
                    + [self.login] * bool(self.login)
                ),
                "",
            ]
        ).strip()


HEAD = """\
| attack | `ulimit -n` | median / worst before | during | RSS MiB | PSS MiB | descriptors | \
sockets MiB | back after | counted |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


class Trial:
    """A mirror with a small image and a large blob, which `with` starts and stops."""

    def __init__(
        self,
        folder: Path,
        kind: str,
        descriptors: int,
        limits: Mapping[str, int] | None = None,
        *,
        has_users: bool = False,
    ) -> None:
        """`descriptors` is the limit, soft and hard, of each process; `limits` are its settings.

        With `has_users`, honest clients log in, and the attacker has a token, except for attacks on
        logins.
        """
        self._kind = kind
        self._descriptors = descriptors
        self._has_users = has_users
        self._honest: list[str] = []
        self._attacker: list[str] = []
        self._hub = FakeUpstream()
        settings: dict[str, Any] = {"limits": dict(limits or {})}
        self._authority: Path | None = None  # the CA of the mirror, if it has TLS
        if kind in OVER_TLS:
            authority = make_authority(folder)
            files = {"tls_cert": str(authority.certificate), "tls_key": str(authority.key)}
            settings["server"] = files
            self._authority = authority.root
        if has_users:
            settings["access"] = dict(ACCESS)
        self._settings = settings
        self._folder = folder

    def __enter__(self) -> Self:
        self._hub.__enter__()
        upstreams = {"docker.io": self._hub.url}
        self._mirror = MirrorProcess(self._folder / "mirror", upstreams, self._settings)
        layer = bytes(range(256)) * 1024
        image = self._hub.add_image(REPOSITORY, "1", [layer])
        large = self._hub.add_big_blob(BLOB, repository=REPOSITORY)
        self._small = [f"/v2/{REPOSITORY}/manifests/1", f"/v2/{REPOSITORY}/blobs/{image.layers[0]}"]
        self._large = f"/v2/{REPOSITORY}/blobs/{large}"
        limit = f"--nofile={self._descriptors}:{self._descriptors}"
        self._mirror.start_anew(under=["prlimit", limit])
        if self._has_users:
            self._add_accounts()
        return self

    def _add_accounts(self) -> None:
        for name in ("alice", "bob"):
            add = ("users", "add", name, "--group", "team", "--password-stdin")
            assert self._mirror.run(*add, stdin=PASSWORD).returncode == 0
        made = self._mirror.run("tokens", "add", "mallory", "--group", "team", "--json")
        secret = made.stdout.split('"token": "')[1].split('"')[0]
        self._honest = ["--header", f"Authorization: Basic {_encode_login('alice')}"]
        if self._kind not in OF_USERS:
            self._attacker = [f"Authorization: Bearer {secret}"]
        await_truth(lambda: self._log_in("alice")[0] == HTTPStatus.OK)

    def _hide_repositories(self) -> None:
        """Add names to the catalog that no rule allows."""
        with closing(sqlite3.connect(self._mirror.data / "catalog.db", timeout=30)) as rows, rows:
            (digest,) = rows.execute("SELECT digest FROM holdings LIMIT 1").fetchone()
            names = ((f"docker.io/hidden/{number:06}", digest, 1.0) for number in range(HIDDEN))
            rows.executemany("INSERT INTO holdings VALUES (?, ?, ?)", names)

    def __exit__(self, *_: object) -> None:
        self._mirror.kill()
        self._hub.__exit__(None, None, None)

    def run(self, count: int, seconds: float) -> Outcome:
        """Measure honest clients alone and during an attack of `count` connections."""
        pid, port = self._mirror.pid, int(self._mirror.host.rpartition(":")[2])
        self._ask_honestly(1, [*self._small, self._large])  # everything is stored from now on
        if self._has_users and self._kind == "lists":
            self._hide_repositories()
        idle = measure(pid, port)
        with Watch(pid, port) as alone:
            before = self._ask_honestly(seconds, self._small)
        kind_target = self._small[0] if self._kind == "pipelining unread" else self._large
        command = [sys.executable, "-m", "tests.faults.attacks.attacker", self._kind, str(port)]
        with (
            Watch(pid, port) as attacked,
            subprocess.Popen(
                [*command, str(count), kind_target, *self._attacker],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            ) as attacker,
        ):
            time.sleep(min(5.0, seconds / 2))  # until its connections are open
            during = self._ask_honestly(seconds, self._small)
            login = self._try_login() if self._kind in OF_USERS else ""
            ready = self._look_at("readyz")
            said, _ = attacker.communicate(b"\n")
        back_after = wait_for_descriptors(pid, port, idle.descriptors + SLACK, RETURN)
        return Outcome(
            self._kind,
            count,
            self._descriptors,
            before,
            during,
            idle,
            alone.peak,
            attacked.peak,
            back_after,
            json.loads(said),
            ready,
            self._read_counters(),
            login,
        )

    @property
    def _url(self) -> str:
        return self._mirror.url.replace("http", "https") if self._authority else self._mirror.url

    def _try_login(self) -> str:
        """Log in as somebody who has not logged in yet; return what came of it, and when."""
        status, seconds = self._log_in("bob")
        return f"new login: {status} after {seconds:.1f} s"

    def _log_in(self, name: str) -> tuple[int, float]:
        """Pull with a password; return the status, and how many seconds it took."""
        headers = {"Authorization": f"Basic {_encode_login(name)}"}
        request = urllib.request.Request(f"{self._url}{self._small[0]}", headers=headers)
        context = ssl.create_default_context(cafile=self._authority)
        began = time.monotonic()
        try:
            with urllib.request.urlopen(request, timeout=30, context=context) as answer:
                status = answer.status
        except HTTPError as error:
            status = error.code
        return status, time.monotonic() - began

    def _ask_honestly(self, seconds: float, targets: list[str]) -> Latency:
        command = [sys.executable, "-m", "tests.faults.attacks.honest", self._url, str(seconds)]
        authority = ["--ca", str(self._authority)] if self._authority else []
        command += [*targets, *authority, *self._honest]
        done = subprocess.run(command, capture_output=True, check=True)
        return Latency.parse(done.stdout.decode())

    def _look_at(self, page: str) -> str:
        try:
            with urllib.request.urlopen(f"{self._mirror.console}/{page}", timeout=10) as answer:
                return str(answer.read().decode())
        except HTTPError as error:
            return str(error.read().decode())
        except OSError as error:
            return str(error)

    def _read_counters(self) -> dict[str, float]:
        wanted = (
            "entrepot_refused_connections_total",
            "entrepot_cut_connections_total",
            "entrepot_delayed_requests_total",
            "entrepot_refused_requests_total",
        )
        counted = {}
        for line in self._look_at("metrics").splitlines():
            count = float(line.rpartition(" ")[2]) if line.startswith(wanted) else 0
            if count:
                counted[line.split('"')[1]] = count
        return counted


def _encode_login(name: str) -> str:
    return base64.b64encode(f"{name}:{PASSWORD}".encode()).decode()
