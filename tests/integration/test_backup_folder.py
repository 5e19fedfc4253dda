"""The folder that `entrepot cache backup` writes to: who may read it, and where it may be."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from registry.cli.main import build_cli
from registry.settings import exposure
from tests.fakes.upstream import FakeUpstream
from tests.harness.mirror import MirrorProcess
from tests.integration.images import keep

OTHERS = 0o077


def test_a_backup_is_only_for_its_user(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream, tmp_path: Path
) -> None:
    """Its folders and files are closed, whatever the umask, also in a folder that the user made."""
    keep(shared_mirror, shared_hub.add_image("private/app", "1", [b"private"]))
    new, prepared = tmp_path / "new", tmp_path / "prepared"
    prepared.mkdir(mode=0o755)
    shared_mirror.run("cache", "backup", str(prepared))
    (prepared / "blobs").chmod(0o755)  # as an earlier version made it
    again = shared_mirror.run("cache", "backup", str(prepared))
    first = shared_mirror.run("cache", "backup", str(new))

    assert (again.returncode, first.returncode) == (0, 0), again.stderr
    assert not new.stat().st_mode & OTHERS
    for folder in (new, prepared):
        inside = [path for path in folder.iterdir() if path.stat().st_mode & OTHERS]
        assert inside == []
        deeper = [path for path in folder.rglob("*") if path.is_dir()]
        assert [path for path in deeper if path.stat().st_mode & OTHERS] == []


def test_a_backup_has_the_accounts(shared_hub: FakeUpstream, tmp_path: Path) -> None:
    """Users and tokens are in the backup, for its user only; those that were removed are not."""
    settings = {"access": {"mode": "users", "rules": [{"who": ["ci"], "allow": ["*"]}]}}
    backup = tmp_path / "backup"
    accounts = backup / "accounts.json"
    with MirrorProcess(tmp_path, {"docker.io": shared_hub.url}, settings, workers=1) as mirror:
        mirror.run("tokens", "add", "ci")
        assert not mirror.run("cache", "backup", str(backup)).returncode
        assert accounts.read_bytes() == (mirror.data / "accounts.json").read_bytes()
        assert accounts.stat().st_mode & 0o777 == 0o600

        mirror.run("tokens", "rm", "ci")
        assert not mirror.run("cache", "backup", str(backup)).returncode
        assert b"ci" not in accounts.read_bytes()

        (mirror.data / "accounts.json").unlink()
        assert not mirror.run("cache", "backup", str(backup)).returncode
        assert not accounts.exists()


def test_a_folder_that_others_may_enter_is_told(
    shared_mirror: MirrorProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's own folder is not changed; the command says how to close it."""
    monkeypatch.setattr(exposure, "_list_folders", lambda path: [path.parent])  # tests are private
    tmp_path.chmod(0o755)
    prepared = tmp_path / "prepared"
    prepared.mkdir(mode=0o755)
    command = ["cache", "backup", str(prepared), "--config", str(shared_mirror.config)]

    done = CliRunner().invoke(build_cli(), command)

    assert done.exit_code == 0, done.output
    assert f"forbid it: chmod 700 {prepared}" in " ".join(done.stderr.split())
    assert prepared.stat().st_mode & 0o777 == 0o755


def test_a_backup_makes_no_folders_above_it(shared_mirror: MirrorProcess, tmp_path: Path) -> None:
    """If the folder above is missing, the backup disk may not be mounted: nothing is written."""
    missing = tmp_path / "mnt" / "backup"

    done = shared_mirror.run("cache", "backup", str(missing / "entrepot"))

    assert done.returncode == 2
    assert f"there is no folder {missing}; mount the disk" in done.stderr
    assert not missing.parent.exists()
