"""Laws of links in the place of files that are about to be written: they are not followed."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from registry.bundle.write.writer import _open_part
from registry.cli.bundle.need_file import write_need_file
from registry.oci.digest import Digest
from registry.store.data_folder import open_folder
from registry.store.files import write_durably
from registry.store.ingests import IngestInfo, Ingests
from registry.store.sparse import SparsePartial

DIGEST = Digest.of(b"blob")
PART = f"sha256-{DIGEST.encoded}"
KEPT = b"a file of somebody else"


def write_part(folder: Path) -> None:
    writer = Ingests(folder).take(DIGEST)
    assert writer is not None
    writer.append([b"blob"])


def write_info(folder: Path) -> None:
    Ingests(folder).write_info(DIGEST, IngestInfo(4, "a", "b", 1.0))


def write_parts(folder: Path) -> None:
    sparse = Ingests(folder).open_sparse(DIGEST, 4)
    assert isinstance(sparse, SparsePartial)
    sparse.add(0, DIGEST, [b"blob"])


def write_need(folder: Path) -> None:
    opened: Any = SimpleNamespace(lock=SimpleNamespace(bundle_id="sha256:0"))
    done: Any = SimpleNamespace(incomplete={"a:1": []}, need={DIGEST: 4})
    write_need_file(opened, done, folder / "need.json", dry_run=False)


def write_bundle(folder: Path) -> None:
    with _open_part(folder / "out.tar.part") as file:
        file.write(b"tar")


def prove_writable(folder: Path) -> None:
    open_folder(folder)


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (write_part, f"{PART}.part"),
        (write_info, f"{PART}.new"),
        (write_parts, f"{PART}.pieces"),
        (write_parts, f"{PART}.new"),
        (write_need, "need.json.part"),
        (write_bundle, "out.tar.part"),
        (prove_writable, ".probe-7"),
        (lambda folder: write_durably(folder / "x", b"new"), ".new-7-8-x"),
    ],
)
def test_links_are_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None], name: str
) -> None:
    """Whoever can write to a folder cannot have us overwrite files in other folders."""
    monkeypatch.setattr("os.getpid", lambda: 7)
    monkeypatch.setattr("threading.get_native_id", lambda: 8)
    (folder := tmp_path / "folder").mkdir()
    other = tmp_path / "other"
    other.write_bytes(KEPT)
    (folder / name).symlink_to(other)

    with suppress(OSError):
        write(folder)

    assert other.read_bytes() == KEPT
    assert list(tmp_path.iterdir()) in ([folder, other], [other, folder])


def test_a_blob_is_not_read_through_a_link(tmp_path: Path) -> None:
    """Readers of a partial file get no bytes of another file."""
    other = tmp_path / "other"
    other.write_bytes(KEPT)
    (tmp_path / f"{PART}.part").symlink_to(other)

    with pytest.raises(OSError, match="symbolic links"):
        Ingests(tmp_path).open(DIGEST)
