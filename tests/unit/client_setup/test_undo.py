"""What is kept, whatever happens between `--write` and `--undo`."""

import json
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from registry.clients.edits import AddItem
from registry.clients.files import ClientFiles
from registry.clients.installation import Installation
from registry.clients.plan import ClientPlan, FileEdits
from registry.errors import ClientFileInvalid
from tests.unit.client_setup.site import CA, DAEMON, FORMER, RECORD, FailingFiles, Site
from tests.unit.client_setup.trees import describe_tree

PODMAN = "/etc/containers/registries.conf.d/50-entrepot.conf"
HOSTS = "etc/containerd/certs.d"
OWN = "# mine\n"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.mark.parametrize("before", ["", "# theirs\n"])
def test_two_undoings_keep_what_others_have_added(site: Site, before: str) -> None:
    """Two clients need the file, and somebody has changed it before the first undoing."""
    file = site.file(PODMAN)
    if before:
        file.write_text(before)
    site.write("podman")
    site.write("cri-o")
    file.write_text(file.read_text() + OWN)

    site.open().undo("podman")
    site.open().undo("cri-o")

    assert file.exists()
    assert (before + OWN).split() == file.read_text().split()
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def test_an_undoing_that_was_interrupted_keeps_what_the_user_had(site: Site) -> None:
    """One of two files was restored. The second time, it is still known what it had before."""
    site.file("/etc/b/file.json").write_text('{"list": ["item"]}\n')
    edits = (AddItem(("list",), "item"), AddItem(("other",), "x"))
    paths = (PurePosixPath("/etc/a/file.json"), PurePosixPath("/etc/b/file.json"))
    before = describe_tree(site.root)
    site.open().write("some", ClientPlan(tuple(FileEdits(path, "json", edits) for path in paths)))
    with pytest.raises(OSError, match="the disk is broken"):
        Installation(FailingFiles(site.root, "/a/"), RECORD).undo("some")

    site.open().undo("some")

    assert before == describe_tree(site.root)


@pytest.mark.parametrize("where", ["setup.json", "/docker/certs.d/docker.io"])
def test_a_writing_that_has_not_begun_leaves_nothing(site: Site, where: str) -> None:
    """Neither copies nor folders, if the record cannot be written, or a folder not be made."""
    site.file(DAEMON).write_text(FORMER)
    if where != "setup.json":
        site.file(f"/etc{where}").write_text("a file in the place of a folder")
    before = describe_tree(site.root)
    plan = site.plan("docker", ca=CA)

    with pytest.raises(OSError, match=r"disk is broken|exists"):
        Installation(FailingFiles(site.root, "setup.json"), RECORD).write("docker", plan)

    assert before == describe_tree(site.root)


def test_what_is_not_needed_any_more_is_undone(site: Site) -> None:
    """First for all registries, then for one only: the file for all would still count."""
    before = describe_tree(site.root)
    site.write("nerdctl")
    shown = [(each.path.parent.name, each.is_undone) for each in site.preview("nerdctl", "ghcr.io")]
    site.write("nerdctl", only="ghcr.io")

    assert shown == [("ghcr.io", False), ("_default", True)]
    assert [each.name for each in (site.root / HOSTS).iterdir()] == ["ghcr.io"]
    site.open().undo("nerdctl")
    assert before == describe_tree(site.root)


def test_what_is_needed_still_stays(site: Site) -> None:
    """containerd finds its setting in the file that the first run has written."""
    first = site.write("containerd")
    assert len(first) == 2
    written = describe_tree(site.root)

    assert site.write("containerd") == []
    assert written == describe_tree(site.root)


def test_the_authority_of_a_former_address_is_removed(site: Site) -> None:
    """No client trusts it any longer than its mirror is used."""
    site.write("docker", "10.0.0.5:5000", ca=CA)
    site.write("docker", "10.0.0.6:5000", ca=CA)

    folders = [each.name for each in (site.root / "etc/docker/certs.d").iterdir()]
    assert sorted(folders) == ["10.0.0.6:5000", "docker.io"]


@pytest.mark.parametrize("path", [DAEMON, str(RECORD)])
def test_what_others_write_at_the_same_time_is_not_lost(site: Site, path: str) -> None:
    """A file that changes after it was read is refused; the next run knows it."""
    file = site.file(DAEMON)
    file.write_text(FORMER)

    def interfere() -> None:
        if path == DAEMON:
            file.write_text(FORMER.replace("true", "false"))
        else:
            site.write("podman")

    with pytest.raises(ClientFileInvalid, match="it was changed just now; run the command again"):
        Installation(BusyFiles(site.root, interfere), RECORD).write("docker", site.plan("docker"))

    site.write("docker")
    assert json.loads(file.read_text())["debug"] == (path != DAEMON)
    for client in ("docker", "podman"):
        site.open().undo(client)
    assert [each.name for each in site.root.rglob("*") if each.is_file()] == ["daemon.json"]


class BusyFiles(ClientFiles):
    """Files beside which somebody does something as soon as the first folder was looked for."""

    def __init__(self, root: Path, interfere: Callable[[], None]) -> None:
        super().__init__(root)
        self._interfere: Callable[[], None] | None = interfere

    def make_folder(self, path: PurePosixPath) -> tuple[PurePosixPath, ...]:
        """Make it, after the interference."""
        if self._interfere is not None:
            self._interfere()
            self._interfere = None
        return super().make_folder(path)
