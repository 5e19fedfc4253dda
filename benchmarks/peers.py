"""Who is measured: Entrepôt and its peers, each started fresh before one upstream.

Every peer is configured as somebody who knows it would: nginx with sendfile, a cache lock that is
long enough for a large blob, and kept upstream connections; the others as their manuals say. All of
them log requests to a file, as Entrepôt does.
"""

import os
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.drayage import DrayageMissing, find_drayage
from benchmarks.processes import DoesNotStart, Server
from tests.fakes.certificates import Authority
from tests.harness.free_port import find_free_port
from tests.harness.mirror import MirrorProcess

NGINX = """
user root;
worker_processes auto;
error_log {folder}/error.log error;
pid {folder}/nginx.pid;
events {{ worker_connections 8192; }}
http {{
  sendfile on;
  tcp_nopush on;
  access_log {folder}/access.log;
  keepalive_requests 1000000;
  proxy_cache_path {folder}/cache levels=1:2 keys_zone=images:64m max_size=50g inactive=1d
                   use_temp_path=off;
  client_body_temp_path {folder}/body;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  proxy_temp_path {folder}/proxy;
  upstream origin {{ server {upstream}; keepalive 32; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location = /v2/ {{ default_type application/json; return 200 "{{}}"; }}
    location / {{
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host {upstream};
      proxy_cache images;
      proxy_cache_key $uri;
      proxy_cache_valid 200 60s;
      proxy_cache_lock on;
      proxy_cache_lock_age 1h;
      proxy_cache_lock_timeout 1h;
      proxy_cache_use_stale error timeout updating http_500 http_502 http_503 http_504;
    }}
  }}
}}
"""
REGISTRY = """
version: 0.1
log: {{level: info}}
storage: {{filesystem: {{rootdirectory: {folder}/content}}}}
http: {{addr: "127.0.0.1:{port}"{tls}}}
{proxy}
"""
DRAYAGE = """
listen = "127.0.0.1:{port}"
cache_dir = "{folder}/cache"
[upstreams.docker_io]
registry = "http://{upstream}"
"""


@dataclass(frozen=True)
class Place:
    """Where a running peer answers; `session` has all its processes, `prefix` ends in /."""

    name: str
    port: int
    session: int
    stop: Callable[[], object]
    prefix: str = "/v2/"

    def manifest(self, repository: str, reference: str) -> str:
        """Return the path of a manifest."""
        return f"{self.prefix}{repository}/manifests/{reference}"

    def blob(self, repository: str, digest: str) -> str:
        """Return the path of a blob."""
        return f"{self.prefix}{repository}/blobs/{digest}"


class Peer(ABC):
    """Something that can be started as a cache of one upstream, given as host:port."""

    name: str

    @abstractmethod
    def explain_absence(self) -> str:
        """Say why it cannot be had on this machine; empty when it can."""

    @abstractmethod
    def read_version(self) -> str:
        """Return the version that it prints."""

    @abstractmethod
    def start(self, folder: Path, upstream: str) -> Place:
        """Start it with an empty (new) folder; DoesNotStart when it does not."""


class Nginx(Peer):
    """`proxy_cache` of Debian's nginx."""

    name = "nginx"

    def explain_absence(self) -> str:
        """Look for the program."""
        return _explain_missing("nginx", "nginx-light")

    def read_version(self) -> str:
        """Ask it."""
        return _ask("nginx", "-v").rpartition("/")[2]

    def start(self, folder: Path, upstream: str) -> Place:
        """Start one worker a core."""
        port = find_free_port()
        configuration = folder / "nginx.conf"
        configuration.write_text(NGINX.format(folder=folder, port=port, upstream=upstream))
        command = [find_program("nginx"), "-p", str(folder), "-c", str(configuration)]
        server = Server([*command, "-g", "daemon off;"], folder / "log")
        return Place(self.name, port, server.wait_for(port).pid, server.stop)


class DockerRegistry(Peer):
    """Debian's docker-registry as a pull-through proxy; with `root`, behind TLS."""

    name = "docker-registry"

    def __init__(self, root: Path | None = None) -> None:
        self._root = root

    def explain_absence(self) -> str:
        """Look for the program."""
        return _explain_missing("docker-registry", "docker-registry")

    def read_version(self) -> str:
        """Ask it."""
        return _ask("docker-registry", "--version").split()[-1]

    def start(self, folder: Path, upstream: str) -> Place:
        """Start it as a proxy."""
        return start_registry(self.name, folder, upstream=upstream, root=self._root)


class Drayage(Peer):
    """The peer in Rust; it names the registry in the path."""

    name = "drayage"

    def explain_absence(self) -> str:
        """Install it, if that is possible."""
        try:
            find_drayage()
        except DrayageMissing as error:
            return str(error)
        return ""

    def read_version(self) -> str:
        """Ask it."""
        return _ask(str(find_drayage()), "--version").split()[-1]

    def start(self, folder: Path, upstream: str) -> Place:
        """Start it with its defaults."""
        port = find_free_port()
        (folder / "config.toml").write_text(
            DRAYAGE.format(folder=folder, port=port, upstream=upstream)
        )
        (folder / "cache").mkdir(exist_ok=True)
        command = [str(find_drayage()), "serve", "--config", str(folder / "config.toml")]
        server = Server(command, folder / "log")
        place = server.wait_for(port)
        return Place(self.name, port, place.pid, server.stop, "/v2/docker.io/")


class Entrepot(Peer):
    """What is in this checkout, with default settings.

    Where a case says so, the table of its upstream has `settings`; with `root`, it speaks TLS.
    """

    name = "entrepot"

    def __init__(self, *, root: Path | None = None, **settings: object) -> None:
        self._scheme = "https" if root else "http"
        self._settings = settings | ({"ca_file": str(root)} if root else {})

    def explain_absence(self) -> str:
        """It is always here."""
        return ""

    def read_version(self) -> str:
        """Name the commit, when there is one."""
        return _ask("git", "describe", "--always", "--dirty") or "unknown"

    def start(self, folder: Path, upstream: str) -> Place:
        """Start it, with the upstream as Docker Hub."""
        table = {"endpoints": [f"{self._scheme}://{upstream}"]} | self._settings
        mirror = MirrorProcess(folder, {"docker.io": table}, workers=0).start_anew()
        return Place(self.name, int(mirror.url.rpartition(":")[2]), mirror.pid, mirror.stop)


def start_registry(
    name: str,
    folder: Path,
    *,
    upstream: str = "",
    root: Path | None = None,
    authority: Authority | None = None,
    program: str = "",
) -> Place:
    """Start a docker-registry, or another `program` with its settings.

    It is a proxy of `upstream`, which is asked over TLS if there is a `root` to trust. Without an
    upstream, it serves what is in its folder; with an `authority`, over TLS.
    """
    program = program or find_program("docker-registry")
    if not program:
        raise DoesNotStart(_explain_missing("docker-registry", "docker-registry"))
    port = find_free_port()
    scheme = "https" if root else "http"
    proxy = f'proxy: {{remoteurl: "{scheme}://{upstream}"}}' if upstream else ""
    tls = ""
    if authority:
        tls = f", tls: {{certificate: {authority.certificate}, key: {authority.key}}}"
    configuration = folder / "config.yml"
    configuration.write_text(REGISTRY.format(folder=folder, port=port, proxy=proxy, tls=tls))
    environment = {"OTEL_TRACES_EXPORTER": "none"} | ({"SSL_CERT_FILE": str(root)} if root else {})
    server = Server([program, "serve", str(configuration)], folder / "log", environment)
    trust = authority.client_context() if authority else None
    return Place(name, port, server.wait_for(port, trust).pid, server.stop)


def find_program(program: str) -> str:
    """Return the path of a program; empty where it is not installed."""
    # Servers live in /usr/sbin, which not everybody's PATH has.
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return shutil.which(program, path=path) or ""


def _explain_missing(program: str, package: str) -> str:
    return (
        "" if find_program(program) else f"{program} is not installed (Debian's package {package})"
    )


def _ask(program: str, *arguments: str) -> str:
    found = find_program(program)
    if not found:
        return ""
    done = subprocess.run([found, *arguments], capture_output=True, text=True, check=False)  # noqa: S603 - programs of the bench, and no shell
    return (done.stdout + done.stderr).strip() if done.returncode == 0 else ""
