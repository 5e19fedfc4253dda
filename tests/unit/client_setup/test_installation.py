"""Writing and undoing: what others have changed meanwhile, several clients, and failures."""

import json
from pathlib import Path, PurePosixPath

import pytest

from registry.clients.edits import AddItem
from registry.clients.installation import Installation
from registry.clients.known import CLIENTS
from registry.clients.mirror import parse_mirror
from registry.clients.plan import ClientPlan, FileEdits, Scope
from registry.errors import ClientFileInvalid
from tests.unit.client_setup.site import CA, DAEMON, FORMER, RECORD, FailingFiles, Site
from tests.unit.client_setup.trees import describe_tree


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_copy_of_the_former_file_is_kept(site: Site) -> None:
    """Beside it, with its mode; it is named in the outcome, and gone after the undoing."""
    file = site.file(DAEMON)
    file.write_text(FORMER)
    file.chmod(0o600)

    (outcome,) = site.write("docker")

    assert outcome.copy is not None
    copy = site.file(str(outcome.copy))
    assert (copy.read_text(), copy.stat().st_mode) == (FORMER, file.stat().st_mode)
    assert copy.name.startswith("daemon.json.entrepot-20")
    site.open().undo("docker")
    assert [each.name for each in file.parent.iterdir()] == ["daemon.json"]


def test_another_address_takes_the_place_of_the_first(site: Site) -> None:
    """What an earlier run has written is replaced; the undoing leads to what was before both."""
    file = site.file(DAEMON)
    file.write_text(FORMER)
    before = describe_tree(site.root)
    site.write("docker", "10.0.0.5:5000")

    site.write("docker", "10.0.0.6:5000")

    written = json.loads(file.read_text())
    assert written["registry-mirrors"] == ["http://10.0.0.6:5000"]
    assert written["insecure-registries"] == ["10.0.0.6:5000"]
    site.open().undo("docker")
    assert before == describe_tree(site.root)


def test_what_others_have_added_since_stays(site: Site) -> None:
    """The undoing removes only what was written, also if the file was new."""
    file = site.file(DAEMON)
    site.write("docker")
    file.write_text(file.read_text().replace("{", '{\n  "debug": true,', 1))

    (outcome,) = site.open().undo("docker")[0]

    assert json.loads(file.read_text()) == {"debug": True}
    assert outcome.change.is_edited
    assert not site.file(str(RECORD)).exists()


def test_the_copy_has_what_others_have_added_too(site: Site) -> None:
    """A second writing makes a new copy, which the undoing then restores."""
    file = site.file(DAEMON)
    file.write_text(FORMER)
    site.write("docker")
    file.write_text(file.read_text().replace("true", "false"))

    site.write("docker", "10.0.0.6:5000")
    site.open().undo("docker")

    assert file.read_text() == FORMER.replace("true", "false")
    assert [each.name for each in file.parent.iterdir()] == ["daemon.json"]


def test_without_the_copy_only_our_settings_are_removed(site: Site) -> None:
    """Somebody has deleted the copy."""
    file = site.file(DAEMON)
    file.write_text(FORMER)
    (outcome,) = site.write("docker")
    site.file(str(outcome.copy)).unlink()

    site.open().undo("docker")

    assert json.loads(file.read_text()) == {"debug": True}


def test_two_clients_share_a_file(site: Site) -> None:
    """podman and CRI-O read the same one: it stays as long as one of them needs it."""
    before = describe_tree(site.root)
    assert len(site.write("podman")) == 1
    assert site.write("cri-o") == []

    assert site.open().undo("podman")[0] == []
    file = site.file("/etc/containers/registries.conf.d/50-entrepot.conf")
    assert "10.0.0.5:5000/docker.io" in file.read_text()
    assert len(site.open().undo("cri-o")[0]) == 1
    assert before == describe_tree(site.root)


def test_two_clients_share_an_authority(site: Site) -> None:
    """That of docker is needed by docker-29 too, and goes with the last of them."""
    before = describe_tree(site.root)
    ca = site.root / "etc/docker/certs.d/10.0.0.5:5000/ca.crt"
    site.write("docker", ca=CA)
    site.write("docker-29", ca=CA)
    site.open().undo("docker")
    assert ca.read_text() == CA
    site.open().undo("docker-29")
    assert before == describe_tree(site.root)


def test_what_the_user_has_written_is_not_undone(site: Site) -> None:
    """It was there already, so nothing is recorded."""
    file = site.file(DAEMON)
    file.write_text(
        '{"registry-mirrors": ["http://10.0.0.5:5000"], "insecure-registries": ["10.0.0.5:5000"]}'
    )
    before = describe_tree(site.root)
    assert site.write("docker") == []
    assert site.open().undo("docker")[0] == []
    assert before == describe_tree(site.root)


def test_a_file_that_is_gone_is_written_again(site: Site) -> None:
    """And if it is gone at the undoing, there is nothing to do."""
    before = describe_tree(site.root)
    site.write("docker")
    site.file(DAEMON).unlink()
    assert len(site.write("docker")) == 1
    site.file(DAEMON).unlink()
    assert site.open().undo("docker")[0] == []
    assert before == describe_tree(site.root)


def test_if_one_file_is_refused_none_is_written(site: Site) -> None:
    """The authority is not installed, as daemon.json cannot be changed."""
    site.file(DAEMON).write_text("{ // mine\n}")
    before = describe_tree(site.root)
    with pytest.raises(ClientFileInvalid, match=r"daemon\.json:1: it has a comment"):
        site.write("docker", ca=CA)
    assert before == describe_tree(site.root)


def test_what_a_failure_leaves_is_undone(site: Site) -> None:
    """The first of two files was written; the second has no folder, but a file in its place."""
    (site.root / "etc").mkdir()
    before = describe_tree(site.root)
    plan = ClientPlan(
        files=tuple(
            FileEdits(PurePosixPath(path), "json", (AddItem(("list",), "item"),))
            for path in ("/etc/a/file.json", "/etc/b/file.json")
        )
    )
    files = FailingFiles(site.root, "/b/")
    with pytest.raises(OSError, match="the disk is broken"):
        Installation(files, RECORD).write("some", plan)
    assert (site.root / "etc/a/file.json").exists()

    site.open().undo("some")

    assert before == describe_tree(site.root)


def test_links_do_not_lead_out_of_the_root(
    site: Site, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Below another root, a link could lead to a file of this machine."""
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "daemon.json"
    elsewhere.write_text("{}")
    site.file(DAEMON).symlink_to(elsewhere)
    with pytest.raises(ClientFileInvalid, match="a link leads to"):
        site.write("docker")
    assert elsewhere.read_text() == "{}"


def test_what_is_no_file_of_text_is_refused(site: Site) -> None:
    """A folder, and bytes that are not UTF-8."""
    site.file(DAEMON).mkdir()
    with pytest.raises(ClientFileInvalid, match="it is no file"):
        site.write("docker")
    site.file(DAEMON).rmdir()
    site.file(DAEMON).write_bytes(b'{\n"\xff": 1}')
    with pytest.raises(ClientFileInvalid, match=r"daemon\.json:2: it is not UTF-8"):
        site.write("docker")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"version": 2}', '{"version": 1, "files": 3}'])
def test_a_damaged_record_is_named(site: Site, text: str) -> None:
    """Nothing is written or undone by it."""
    site.file(str(RECORD)).write_text(text)
    for use in (lambda: site.write("docker"), lambda: site.open().undo("docker")):
        with pytest.raises(ClientFileInvalid, match=r"setup\.json: it is"):
            use()


def test_others_may_not_read_a_token(site: Site) -> None:
    """A new file is for its owner alone; so is the record. An existing file keeps its mode."""
    mirror = parse_mirror("http://10.0.0.5:5000", ["docker.io"], token="ent_1_2")
    installation = site.open()
    plan = CLIENTS["docker"](mirror, Scope(), installation.read_without("docker"))
    (outcome,) = installation.write("docker", plan)
    modes = {site.file(path).stat().st_mode & 0o777 for path in (DAEMON, str(RECORD))}
    assert (modes, outcome.is_open) == ({0o600}, False)

    site.open().undo("docker")
    site.file(DAEMON).write_text(FORMER)
    site.file(DAEMON).chmod(0o644)
    (outcome,) = site.open().write("docker", plan)
    assert outcome.is_open
