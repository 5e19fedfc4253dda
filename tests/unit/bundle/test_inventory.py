"""Inventories and needs, which are carried back to the maker of bundles."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.bundle.format.inventory import read_inventory, write_inventory, write_need
from registry.bundle.format.lock import Lock
from registry.bundle.read.open import load_inventory, load_lock
from registry.errors import BundleInvalid
from registry.oci.digest import Digest

A, B = (Digest.of(b"a"), 1), (Digest.of(b"b"), 2)
digests = st.binary(max_size=8).map(Digest.of)
lists = st.dictionaries(digests, st.integers(0, 2**40), max_size=20)


@given(lists)
def test_what_is_written_is_read(blobs: dict[Digest, int]) -> None:
    """Every list of blobs that is written is read, in a fixed order."""
    assert tuple(sorted(blobs.items())) == read_inventory(write_inventory(blobs.items()), "x").blobs


def test_order_does_not_matter() -> None:
    """The same blobs give the same bytes."""
    assert write_inventory([A, B]) == write_inventory([B, A, A])
    assert write_need("id", ["b", "a"], [A, B]) == write_need("id", ["a", "b"], [B, A])


def test_a_need_names_images() -> None:
    """A need is read like an inventory, and has the names of the incomplete images."""
    need = read_inventory(write_need("sha256:1", ["docker.io/library/a:1"], [A]), "need.json")
    assert (need.blobs, need.images) == ((A,), ("docker.io/library/a:1",))


def test_spaces_do_not_matter() -> None:
    """An indented document is read as the same document."""
    raw = write_inventory([A])
    pretty = json.dumps(json.loads(raw), indent=2).encode() + b"\n"
    assert read_inventory(raw, "x") == read_inventory(pretty, "x")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b"[" * 100_000,
        b'{"formatVersion":2,"blobs":[]}',
        b'{"formatVersion":1,"blobs":[["sha256:zz",1]]}',
        b'{"formatVersion":1,"blobs":[[1,1]]}',
        b'{"formatVersion":1,"blobs":[],"images":[1]}',
        b'{"formatVersion":1,"blobs":[],"images":null}',
        b'{"formatVersion":1,"blobs":[["sha256:' + b"a" * 64 + b'",-1]]}',
        b'{"formatVersion":1,"blobs":[],"x":"\\ud800"}',
    ],
)
def test_anything_else_is_refused(raw: bytes) -> None:
    """The message names the file."""
    with pytest.raises(BundleInvalid, match=r"^need\.json: "):
        read_inventory(raw, "need.json")


def test_a_document_of_another_kind_is_named(tmp_path: Path) -> None:
    """The message names the file that was given, and the option that takes such a file."""
    path = tmp_path / "may.json"
    path.write_bytes(write_inventory([A]))
    with pytest.raises(BundleInvalid, match=r"may\.json: it is an inventory .* with --have$"):
        load_lock(path)
    path.write_bytes(write_need("sha256:1", ["docker.io/library/a:1"], [A]))
    with pytest.raises(BundleInvalid, match=r"may\.json: it is a need\.json, .* with --need$"):
        load_lock(path)
    path.write_bytes(Lock("subset", (), {}, ()).raw)
    with pytest.raises(BundleInvalid, match=r"may\.json: it is the bundle\.json .* with --since$"):
        load_inventory(path)
    path.write_bytes(b"{}")
    with pytest.raises(BundleInvalid, match=r"may\.json: it cannot be read"):
        load_lock(path)


def test_a_too_large_file_is_refused(tmp_path: Path) -> None:
    """Only one byte more than the limit is read."""
    path = tmp_path / "inventory.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # without holes, no memory could hold it
    with pytest.raises(BundleInvalid, match=r"json: 67108865 bytes are more than 67108864"):
        load_inventory(path)
