"""A machine with the files of clients, and one whose disk refuses some of them."""

from pathlib import Path, PurePosixPath

from registry.clients.changes import FileChange
from registry.clients.files import ClientFiles
from registry.clients.installation import Installation, Outcome
from registry.clients.known import CLIENTS
from registry.clients.mirror import parse_mirror
from registry.clients.plan import ClientPlan, Scope

RECORD = PurePosixPath("/etc/entrepot/setup.json")
DAEMON = "/etc/docker/daemon.json"
FORMER = '{\n  "debug": true\n}\n'
CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


class Site:
    """A root with the files of clients, each use of which opens them anew."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def file(self, path: str) -> Path:
        """Return where a file is; its folder is made."""
        file = self.root / path.removeprefix("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        return file

    def open(self) -> Installation:
        """Open the files."""
        return Installation(ClientFiles(self.root), RECORD)

    def plan(
        self, client: str, host: str = "10.0.0.5:5000", ca: str = "", only: str = ""
    ) -> ClientPlan:
        """Return what a client needs; `only` is a registry that is named."""
        url = f"{'https' if ca else 'http'}://{host}"
        mirror = parse_mirror(url, [only or "docker.io"], are_named=bool(only), ca=ca)
        return CLIENTS[client](mirror, Scope(), self.open().read_without(client))

    def preview(self, client: str, only: str = "") -> list[FileChange]:
        """Return what `write` would do."""
        return self.open().preview(client, self.plan(client, only=only))

    def write(
        self, client: str, host: str = "10.0.0.5:5000", ca: str = "", only: str = ""
    ) -> list[Outcome]:
        """Point a client at a mirror."""
        return self.open().write(client, self.plan(client, host, ca, only))


class FailingFiles(ClientFiles):
    """A disk that refuses to write and to delete files whose path has a text in it."""

    def __init__(self, root: Path, text: str) -> None:
        super().__init__(root)
        self._text = text

    def write(self, path: PurePosixPath, content: bytes, *, is_secret: bool) -> None:
        """Write it, or fail."""
        self._refuse(path)
        super().write(path, content, is_secret=is_secret)

    def delete(self, path: PurePosixPath) -> None:
        """Delete it, or fail."""
        self._refuse(path)
        super().delete(path)

    def _refuse(self, path: PurePosixPath) -> None:
        if self._text in str(path):
            raise OSError("the disk is broken")
